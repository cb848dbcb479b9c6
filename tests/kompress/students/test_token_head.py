import numpy as np
import pytest
import torch

from kompress.config import StudentConfig
from kompress.students.dual_head import STUDENTS
from kompress.students.packed import Packing

SIZES = {
    "num_layers": 2,
    "hidden_size": 32,
    "num_heads": 2,
    "intermediate_size": 48,
    "span_channels": 8,
    "vocab_size": 320,
    "local_attention": 16,
    "global_every": 2,
    "quality_head": True,
}


def build(variant):
    torch.manual_seed(3)
    return STUDENTS[variant](StudentConfig(variant=variant, **SIZES)).eval()


def run(model, texts):
    """Give each text's log-odds by the token head, and its quality."""
    packing = Packing([len(ids) for ids in texts], model.config)
    with torch.inference_mode():
        heads = model(packing.spread(np.concatenate(texts)), packing)
    ends = np.cumsum([len(ids) for ids in texts])[:-1]
    return np.split(heads.keep_R.numpy()[packing.row_T], ends), heads.quality_C.numpy()


def test_it_has_the_dual_heads_keys_without_the_span_heads():
    one, two = build("token_head").state_dict(), build("dual_head").state_dict()

    assert set(two) - set(one) == {
        f"span_conv.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")
    }
    assert set(one) < set(two)


def test_it_has_no_span_head_and_no_quality_unless_asked():
    model = STUDENTS["token_head"](
        StudentConfig(variant="token_head", **{**SIZES, "quality_head": False})
    )
    packing = Packing([7], model.config)

    heads = model(packing.spread(np.arange(7)), packing)

    assert heads.span_R is None
    assert heads.quality_C is None
    assert not any(key.startswith("quality_head") for key in model.state_dict())


def test_with_equal_weights_it_gives_the_dual_heads_log_odds():
    one, two = build("token_head"), build("dual_head")
    one.load_state_dict(two.state_dict(), strict=False)
    texts = [np.arange(5, 40), np.arange(9, 90)]

    found, expected = run(one, texts), run(two, texts)

    for first, second in zip(found[0], expected[0], strict=True):
        assert first == pytest.approx(second, abs=1e-6)
    assert found[1] == pytest.approx(expected[1], abs=1e-6)


@pytest.mark.parametrize("variant", ["token_head", "dual_head"])
def test_packed_chunks_get_the_scores_and_the_quality_of_each_alone(variant):
    model = build(variant)
    rng = np.random.default_rng(0)
    texts = [rng.integers(5, 320, length) for length in (1, 17, 16, 63, 130)]

    keep, quality_C = run(model, texts)

    assert quality_C.shape == (5,)
    for number, ids in enumerate(texts):
        alone, quality = run(model, [ids])
        assert keep[number] == pytest.approx(alone[0], abs=1e-5)
        assert quality_C[number] == pytest.approx(quality[0], abs=1e-5)
