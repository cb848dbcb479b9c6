"""Eight labelled texts and a recipe of 2 layers x 32."""

import numpy as np
import pytest

from kompress.config import RecipeConfig
from kompress.training import TrainText, train


class Stopped(Exception):
    """The job was killed."""


def quiet(done, total, figures):
    """Report to nobody."""


@pytest.fixture(scope="session")
def texts():
    rng = np.random.default_rng(0)
    labelled = []
    for number in range(8):
        words = [
            rng.choice(["the", "of", "a", f"/tmp/{n}.log", str(n)]) for n in range(40)
        ]
        target = np.array([word not in {"the", "of", "a"} for word in words], float)
        labelled.append(
            TrainText(f"line {number} " + " ".join(words), np.r_[0, 1, target])
        )
    return labelled


@pytest.fixture(scope="session")
def recipe():
    return RecipeConfig.model_validate(
        {
            "student": {
                "num_layers": 2,
                "hidden_size": 32,
                "num_heads": 2,
                "intermediate_size": 48,
                "span_channels": 8,
                "vocab_size": 320,
                "max_tokens": 128,
                "local_attention": 16,
                "global_every": 2,
            },
            "batch_tokens": 300,
            "learning_rate": 3e-3,
            "checkpoint_every": 4,
            "num_threads": 1,
        }
    )


@pytest.fixture(scope="session")
def run():
    def run(texts, recipe, folder, **changes):
        arguments = {
            "tokenizer_json": None,
            "init": None,
            "epochs": 2,
            "seed": 0,
            "folder": folder,
            "resume": None,
            "progress": quiet,
        }
        return train(texts, recipe, **arguments | changes)

    return run


@pytest.fixture(scope="session")
def stopped():
    """What a killed training raises."""
    return Stopped


@pytest.fixture(scope="session")
def stop_at():
    def stop_at(step):
        def progress(done, total, figures):
            if done == step:
                raise Stopped

        return progress

    return stop_at


@pytest.fixture(scope="session")
def parent(run, texts, recipe, tmp_path_factory):
    return run(texts, recipe, tmp_path_factory.mktemp("parent"), epochs=20)
