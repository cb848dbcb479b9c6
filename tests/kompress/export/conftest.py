"""Small students of the client's chunk length, trained on nothing."""

import pytest
import torch

from kompress.config import StudentConfig
from kompress.students import Student
from kompress.students.model import StudentModel
from kompress.students.tokenizer import WordTokenizer, train_tokenizer

TEXTS = ("error[E0308]: mismatched types in src/main.rs:42", "all is well") * 9
TINY = StudentConfig(
    num_layers=4,
    hidden_size=32,
    num_heads=2,
    intermediate_size=64,
    span_channels=8,
    vocab_size=300,
    local_attention=16,
)


def make_student(config):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = StudentModel(config)
    tokenizer = WordTokenizer(train_tokenizer(TEXTS, config.vocab_size))
    return Student.from_model(
        model,
        tokenizer,
        recipe={"name": "v4"},
        lineage={"parent": None, "texts": ["ab" * 32, "cd" * 32], "seed": 3},
    )


@pytest.fixture(scope="session")
def tiny():
    return TINY


@pytest.fixture(scope="session")
def student():
    return make_student(TINY)


@pytest.fixture(scope="session")
def variant():
    """Make a tiny student whose config differs in some fields."""
    return lambda **changes: make_student(TINY.model_copy(update=changes))
