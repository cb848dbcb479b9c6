import numpy as np
import pytest

from kompress.config import RecipeConfig, StudentConfig
from kompress.corpora.generators import generate
from kompress.errors import InvalidConfig
from kompress.students import load
from kompress.students.engines.registry import ENGINES, make_engine
from kompress.training import TrainText, train


@pytest.mark.parametrize("name", ENGINES)
def test_an_engine_has_the_name_that_it_was_made_by(config, weights, name):
    assert make_engine(name, config, weights).name == name


def test_an_unknown_engine_is_refused(config, weights):
    with pytest.raises(InvalidConfig, match="expected one of torch"):
        make_engine("steam", config, weights)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A student that has learnt gold, so that its scores are far apart."""
    folder = tmp_path_factory.mktemp("student")
    texts = [
        TrainText(
            document.text,
            (document.gold.codes_N == 254).astype(float),
            (document.gold.codes_N != 255).astype(float),
        )
        for document in generate(120, 0)
    ]
    config = StudentConfig(num_layers=2, hidden_size=96, vocab_size=2_000)
    train(
        texts,
        RecipeConfig(student=config, num_threads=1),
        tokenizer_json=None,
        init=None,
        epochs=3,
        seed=0,
        folder=folder,
        resume=None,
        progress=lambda *_: None,
    )
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "agreement"),
    [
        ("onnx", 0.999),
        ("onnx-int8", 0.99),
        ("openvino", 0.99),
        ("openvino-int8", 0.99),
    ],
)
def test_engines_decide_as_torch_does_on_a_trained_student(trained, name, agreement):
    texts = [document.text for document in generate(40, 1)]
    exact = np.concatenate(load(trained).score(texts))

    score = np.concatenate(load(trained, engine=name).score(texts))

    assert 0.2 < (exact > 0.5).mean() < 0.8  # it learnt to tell words apart
    assert ((score > 0.5) == (exact > 0.5)).mean() >= agreement
