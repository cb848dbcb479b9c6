import numpy as np
import pytest
import torch

from kompress.errors import InvalidCheckpoint
from kompress.students.engines.torch_engine import TorchEngine
from kompress.students.model import StudentModel


def test_packed_chunks_score_as_each_alone(model, chunks, wanted):
    score = TorchEngine(model).score_tokens(*chunks)

    np.testing.assert_allclose(score, wanted, atol=1e-5)


def test_the_score_is_the_heads_rule(model, chunks):
    engine = TorchEngine(model)

    p_T, s_T = engine.heads(*chunks)

    np.testing.assert_allclose(
        engine.score_tokens(*chunks), p_T * (0.5 + 0.5 * s_T), atol=1e-7
    )
    assert ((p_T >= 0) & (p_T <= 1) & (s_T >= 0) & (s_T <= 1)).all()
    assert s_T.std() > 0.02  # or the span head said nothing


def test_a_student_without_a_span_head_has_a_sure_one(config, chunks):
    with torch.random.fork_rng(devices=[]):
        model = StudentModel(config.model_copy(update={"variant": "token_head"}))

    p_T, s_T = TorchEngine(model).heads(*chunks)

    assert (s_T == 1).all()
    np.testing.assert_array_equal(TorchEngine(model).score_tokens(*chunks), p_T)


@pytest.mark.parametrize("change", ["missing", "foreign", "shape"])
def test_weights_that_do_not_fit_are_refused(config, weights, change):
    broken = dict(weights)
    if change == "missing":
        del broken["token_head.bias"]
    else:
        name = "token_head.bias" if change == "shape" else "token_tail.bias"
        broken[name] = np.zeros(3, dtype=np.float32)

    with pytest.raises(InvalidCheckpoint, match=r"token_(head|tail)\.bias"):
        TorchEngine.from_weights(config, broken)


def test_making_an_engine_leaves_the_random_state_alone(config, weights):
    before = torch.get_rng_state()

    TorchEngine.from_weights(config, weights)

    assert torch.equal(torch.get_rng_state(), before)


def test_bfloat16_products_stay_close(model, chunks, wanted):
    engine = TorchEngine(model, dtype=torch.bfloat16)

    score = engine.score_tokens(*chunks)

    assert score.dtype == np.float32
    # Weights times 3 make errors grow from layer to layer.
    assert 0 < np.abs(score - wanted).mean() < 0.03
    assert np.corrcoef(score, wanted)[0, 1] > 0.98


def test_no_chunks_give_no_scores(model):
    score = TorchEngine(model).score_tokens(
        np.empty(0, np.uint16), np.empty(0, np.int64)
    )

    assert score.shape == (0,)
