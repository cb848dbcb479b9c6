import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from kompress.errors import InvalidCheckpoint
from kompress.students.engines.onnx_engine import OnnxEngine
from kompress.students.engines.onnx_graph import build_graph


def test_every_chunk_scores_as_torch_scores_it(config, weights, chunks, wanted):
    engine = OnnxEngine.from_weights(config, weights)

    score = engine.score_tokens(*chunks)

    np.testing.assert_allclose(score, wanted, atol=1e-5)
    assert engine.name == "onnx"


def test_a_file_scores_as_its_bytes(config, weights, chunks, wanted, tmp_path):
    path = tmp_path / "kompress-fp32.onnx"
    path.write_bytes(build_graph(config, weights))

    score = OnnxEngine(path, name="onnx", num_threads=1).score_tokens(*chunks)

    np.testing.assert_allclose(score, wanted, atol=1e-5)


def test_a_file_that_is_no_graph_is_refused(tmp_path):
    path = tmp_path / "kompress-fp32.onnx"
    path.write_bytes(b"not a graph")

    with pytest.raises(InvalidCheckpoint, match="export it again"):
        OnnxEngine(path, name="onnx")


def test_another_models_graph_is_refused():
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Neg", ["x"], ["y"])], "g", [x], [y])
    opset = [helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)

    with pytest.raises(InvalidCheckpoint, match="expected input_ids"):
        OnnxEngine(model.SerializeToString(), name="onnx")
