import numpy as np
import pytest
import torch
from torch import nn
from transformers.models.modernbert import ModernBertConfig, ModernBertModel

from kompress.config import StudentConfig
from kompress.errors import InvalidConfig
from kompress.students.model import StudentModel, chunk_quality, keep_logits
from kompress.students.packing import Packing

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


BASE = StudentConfig(
    num_layers=22,
    hidden_size=768,
    num_heads=12,
    intermediate_size=1152,
    span_channels=256,
    vocab_size=50_368,
    max_tokens=8192,
)


def build(variant):
    torch.manual_seed(3)
    return StudentModel(StudentConfig(variant=variant, **SIZES)).eval()


def run(model, texts):
    """Give each text's log-odds by the token head, and its quality."""
    packing = model.pack([len(ids) for ids in texts])
    with torch.inference_mode():
        heads = model(packing.spread(np.concatenate(texts)), packing)
    ends = np.cumsum([len(ids) for ids in texts])[:-1]
    return np.split(heads.keep_R.numpy()[packing.row_T], ends), heads.quality_C.numpy()


def test_a_token_head_has_the_dual_heads_keys_without_the_span_heads():
    one, two = build("token_head").state_dict(), build("dual_head").state_dict()

    assert set(two) - set(one) == {
        f"span_conv.{layer}.{part}" for layer in (0, 2) for part in ("weight", "bias")
    }
    assert set(one) < set(two)


def test_a_token_head_has_no_span_head_and_no_quality_unless_asked():
    model = StudentModel(
        StudentConfig(variant="token_head", **{**SIZES, "quality_head": False})
    )
    packing = model.pack([7])

    heads = model(packing.spread(np.arange(7)), packing)

    assert heads.span_R is None
    assert heads.quality_C is None
    assert not any(key.startswith("quality_head") for key in model.state_dict())


def test_with_equal_weights_a_token_head_gives_the_dual_heads_log_odds():
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


@pytest.fixture(scope="module")
def base():
    with torch.device("meta"):
        return StudentModel(BASE)


def test_modernbert_base_sizes_give_the_deployed_models_parameter_count(base):
    # encoder 149,014,272 + token head 1,538 + span head 984,065
    assert sum(p.numel() for p in base.encoder.parameters()) == 149_014_272
    assert sum(p.numel() for p in base.parameters()) == 149_999_875


def test_the_encoder_has_the_keys_and_shapes_of_transformers(base):
    with torch.device("meta"):
        theirs = ModernBertModel(ModernBertConfig()).state_dict()

    ours = base.encoder.state_dict()

    assert list(ours) == list(theirs)
    assert [t.shape for t in ours.values()] == [t.shape for t in theirs.values()]


def test_the_heads_have_the_keys_that_the_client_loads(base):
    keys = {key for key in base.state_dict() if not key.startswith("encoder.")}

    assert keys == {
        f"{module}.{part}"
        for module in ("token_head", "span_conv.0", "span_conv.2")
        for part in ("weight", "bias")
    }


def test_a_width_that_the_heads_do_not_divide_is_refused():
    with pytest.raises(InvalidConfig, match="hidden_size 30 with 4 heads"):
        StudentModel(StudentConfig(hidden_size=30, num_heads=4))


def test_log_odds_are_those_of_the_softmax_over_both_logits():
    head = nn.Linear(3, 2)
    hidden_RE = torch.tensor([[0.3, -2.0, 1.0], [5.0, 0.1, 0.2]])

    p_R = keep_logits(hidden_RE, head).sigmoid()

    assert torch.allclose(p_R, head(hidden_RE).softmax(dim=1)[:, 1])


def test_a_chunks_quality_is_its_heads_value_at_the_mean_of_its_own_tokens():
    packing = Packing([1, 3], 4)
    head = nn.Linear(8, 1)
    with torch.no_grad():
        head.weight[:] = torch.eye(8)[:1]  # reads the first number alone
        head.bias[:] = 10.0
    hidden_RE = torch.full((packing.num_rows, 8), 1e6)  # on filling rows
    hidden_RE[packing.row_T, 0] = torch.tensor([5.0, 1.0, 2.0, 6.0])

    quality_C = chunk_quality(hidden_RE, head, packing)

    # 10 + 5 / 1, 10 + (1 + 2 + 6) / 3
    assert quality_C.tolist() == [15.0, 13.0]


def test_filling_rows_give_quality_no_gradient():
    packing = Packing([2, 5, 9], 4)
    hidden_RE = torch.ones(packing.num_rows, 8, requires_grad=True)

    chunk_quality(hidden_RE, nn.Linear(8, 1), packing).sum().backward()

    touched = np.flatnonzero(hidden_RE.grad.abs().sum(dim=1).numpy())
    assert touched.tolist() == packing.row_T.tolist()
