import numpy as np
import openvino
import pytest

from kompress.errors import InvalidCheckpoint
from kompress.students.engines.openvino_graph import GAP, build_model


def run(model, chunks, first_rows):
    """Score in float32 with the chunks laid at these rows; the rest is gap."""
    ids_T, num_tokens_C = chunks
    num_rows = -(-(first_rows[-1] + num_tokens_C[-1]) // 8) * 8
    ids_R, chunk_R, place_R = np.zeros((3, num_rows), dtype=np.int64)
    ends = np.cumsum(num_tokens_C)
    rows = []
    for number, (num, end) in enumerate(zip(num_tokens_C, ends, strict=True)):
        row = first_rows[number] + np.arange(num)
        ids_R[row], chunk_R[row] = ids_T[end - num : end], number + 1
        place_R[row] = np.arange(num)
        rows.append(row)
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = openvino.Core().compile_model(model, "CPU", settings)
    return compiled([ids_R, chunk_R, place_R])[0][np.concatenate(rows)]


@pytest.mark.parametrize("extra", [0, 5])
def test_packed_chunks_score_as_each_alone_wherever_they_lie(
    config, weights, chunks, wanted, extra
):
    num_tokens_C = chunks[1]
    first = np.cumsum(num_tokens_C + GAP + extra) - (num_tokens_C + GAP + extra)

    score = run(build_model(config, weights, bits=32), chunks, first)

    np.testing.assert_allclose(score, wanted, atol=1e-5)
    assert wanted.std() > 0.02  # or nothing was compared


def test_without_a_span_head_the_score_is_the_token_heads(config, weights, chunks):
    token_head = config.model_copy(update={"variant": "token_head"})
    sure = weights | {"span_conv.2.bias": np.array([1e4], dtype=np.float32)}
    first = np.cumsum(chunks[1] + GAP) - (chunks[1] + GAP)

    score = run(build_model(token_head, weights, bits=32), chunks, first)

    # A span head that is certain multiplies by 0.5 + 0.5·1 = 1.
    expected = run(build_model(config, sure, bits=32), chunks, first)
    np.testing.assert_allclose(score, expected, atol=1e-6)


def test_a_missing_weight_is_named(config, weights):
    broken = dict(weights)
    del broken["encoder.layers.1.mlp.Wo.weight"]

    with pytest.raises(InvalidCheckpoint, match=r"no encoder\.layers\.1\.mlp\.Wo"):
        build_model(config, broken, bits=8)
