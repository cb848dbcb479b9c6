import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from kompress.errors import InvalidCheckpoint, InvalidConfig
from kompress.students.engines.onnx_graph import build_graph, quantize_blocks

LENGTHS = (50, 3, 33)


@pytest.fixture(scope="module")
def texts(config):
    rng = np.random.default_rng(0)
    return [rng.integers(5, config.vocab_size, length) for length in LENGTHS]


def torch_scores(model, ids):
    with torch.inference_mode():
        packing = model.pack([len(ids)])
        heads = model(packing.spread(ids), packing)
    keep, span = heads[0].numpy(), heads[1].numpy()
    score = 1 / (1 + np.exp(-keep)) * (0.5 + 0.5 / (1 + np.exp(-span)))
    return score[packing.row_T]


def onnx_scores(graph, rows):
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    longest = max(map(len, rows))
    ids = np.zeros((len(rows), longest), dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, text in enumerate(rows):
        ids[row, : len(text)] = text
        mask[row, : len(text)] = 1
    feed = {"input_ids": ids, "attention_mask": mask}
    (scores,) = session.run(["final_scores"], feed)
    return [row[: len(text)] for row, text in zip(scores, rows, strict=True)]


def test_the_graph_gives_the_torch_models_scores_padded_or_not(
    config, model, weights, texts
):
    graph = build_graph(config, weights)
    wanted = [torch_scores(model, text) for text in texts]

    alone = [onnx_scores(graph, [text])[0] for text in texts]
    together = onnx_scores(graph, texts)

    for want, one, padded in zip(wanted, alone, together, strict=True):
        np.testing.assert_allclose(one, want, atol=1e-5)
        np.testing.assert_allclose(padded, want, atol=1e-5)
    assert np.concatenate(wanted).std() > 0.02  # or nothing was compared


def test_without_a_span_head_the_score_is_the_token_heads(
    config, model, weights, texts
):
    single = config.model_copy(update={"variant": "token_head"})
    no_span = {name: w for name, w in weights.items() if not name.startswith("span")}
    sure = weights | {"span_conv.2.bias": np.array([1e4], dtype=np.float32)}

    score = onnx_scores(build_graph(single, no_span), texts)

    # A span head that is certain multiplies by 0.5 + 0.5·1 = 1.
    for one, other in zip(
        score, onnx_scores(build_graph(config, sure), texts), strict=True
    ):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_eight_bits_stay_close_and_reach_every_matrix_they_can(
    config, model, weights, texts
):
    graph = build_graph(config, weights, bits=8)

    for text, score in zip(texts, onnx_scores(graph, texts), strict=True):
        # Weights times 3 make errors grow from layer to layer.
        assert np.abs(score - torch_scores(model, text)).mean() < 0.02
    kinds = [node.op_type for node in onnx.load_from_string(graph).graph.node]
    # Wqkv, Wo and Wi of 4 layers; mlp.Wo reads 48 values, no multiple of 32.
    assert kinds.count("MatMulNBits") == 12


def test_equal_weights_give_equal_bytes_in_any_order(config, weights):
    backwards = dict(reversed(weights.items()))

    assert build_graph(config, weights) == build_graph(config, backwards)


def test_the_file_is_what_the_client_asks_for(config, weights):
    model = onnx.load_from_string(build_graph(config, weights))

    onnx.checker.check_model(model, full_check=True)
    assert [(o.domain, o.version) for o in model.opset_import] == [("", 17)]
    assert [i.name for i in model.graph.input] == ["input_ids", "attention_mask"]
    assert [o.name for o in model.graph.output] == ["final_scores"]


def test_unknown_bits_are_refused(config, weights):
    with pytest.raises(InvalidConfig, match="expected 32"):
        build_graph(config, weights, bits=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("token_head.bias"), "have no token_head.bias"),
        (lambda w: w.update({"token_head.bias": np.zeros(3)}), r"expected \(2,\)"),
        (lambda w: w.update({"token_head.bias": np.full(2, np.nan)}), "holds NaN"),
    ],
)
def test_wrong_weights_are_named(config, weights, change, message):
    broken = dict(weights)
    change(broken)

    with pytest.raises(InvalidCheckpoint, match=message):
        build_graph(config, broken)


@given(arrays(np.float32, (3, 64), elements=st.floats(-4, 4, width=32)))
def test_a_quantised_weight_is_off_by_half_a_level_at_most(weight):
    levels, scale = quantize_blocks(weight)

    back = (levels.astype(np.float32) - 128) * scale[:, :, None]
    off = np.abs(back.reshape(weight.shape) - weight).reshape(3, 2, 32)
    assert (off <= scale[:, :, None] * 0.5001 + 1e-30).all()
