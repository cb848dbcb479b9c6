import pytest

from kompress.errors import InvalidConfig
from kompress.students.engines.registry import make_engine


@pytest.mark.parametrize("name", ["torch", "onnx", "onnx-int8"])
def test_an_engine_has_the_name_that_it_was_made_by(config, weights, name):
    assert make_engine(name, config, weights).name == name


def test_an_unknown_engine_is_refused(config, weights):
    with pytest.raises(InvalidConfig, match="expected one of torch"):
        make_engine("steam", config, weights)
