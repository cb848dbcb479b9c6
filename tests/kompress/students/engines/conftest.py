"""A tiny model whose heads speak, and chunks for it."""

import numpy as np
import pytest
import torch

from kompress.students.engines.torch_engine import TorchEngine
from kompress.students.model import StudentModel


@pytest.fixture(scope="session")
def model(config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = StudentModel(config).eval()
        # Random heads give scores near 0.375 whatever happens below: make them speak.
        for value in model.state_dict().values():
            value.mul_(3)
    return model


@pytest.fixture(scope="session")
def weights(model):
    return {name: value.numpy() for name, value in model.state_dict().items()}


@pytest.fixture(scope="session")
def chunks(config):
    """Token ids end to end, and the lengths: shorter and longer than a block of 8."""
    num_tokens_C = np.array([50, 3, 33, 64, 1, 16, 17])
    ids_T = np.random.default_rng(0).integers(5, config.vocab_size, num_tokens_C.sum())
    return ids_T.astype(np.uint16), num_tokens_C


@pytest.fixture(scope="session")
def wanted(model, chunks):
    """Each chunk's scores by torch, scored alone."""
    ids_T, num_tokens_C = chunks
    parts = np.split(ids_T, np.cumsum(num_tokens_C)[:-1])
    engine = TorchEngine(model)
    scores = [engine.score_tokens(part, np.array([len(part)])) for part in parts]
    return np.concatenate(scores)
