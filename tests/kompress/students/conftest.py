"""A student of 2 layers x 32, trained on nothing: enough to check arithmetic."""

import pytest
import torch

from kompress.config import StudentConfig
from kompress.students import Student
from kompress.students.model import StudentModel
from kompress.students.tokenizer import WordTokenizer, train_tokenizer

TEXTS = (
    "error[E0308]: mismatched types\n  --> src/main.rs:42:9 expected `u32`\n",
    "GET /api/v1/users?id=7 200 12ms\nGET /api/v1/users?id=8 500 1043ms retry",
    "the quick brown fox jumps over the lazy dog and naïve 日本語 words follow",
)
TINY = StudentConfig(
    num_layers=4,
    hidden_size=32,
    num_heads=2,
    intermediate_size=48,
    span_channels=8,
    vocab_size=320,
    max_tokens=64,
    local_attention=16,
)


@pytest.fixture(scope="session")
def config():
    return TINY


@pytest.fixture(scope="session")
def tokenizer():
    return WordTokenizer(train_tokenizer(TEXTS, TINY.vocab_size))


@pytest.fixture(scope="session")
def student(tokenizer):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = StudentModel(TINY)
    return Student.from_model(
        model, tokenizer, recipe={"name": "none"}, lineage={"parent": None}
    )


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # tiny matrices; two threads mostly wait for each other
    yield
    torch.set_num_threads(before)
