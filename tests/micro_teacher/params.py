"""The micro-teacher: where it lies, how it is asked, and what it never saw."""

from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent

# It learned from `generate(NUM_TRAIN_DOCUMENTS, TRAIN_SEED)`: any other seed is held
# out.
TRAIN_SEED = 1_000_000
NUM_TRAIN_DOCUMENTS = 12_000
HELD_OUT_SEED = 77

# It was trained on chunks of at most so many words, with a number before each word.
CHUNK_WORDS = 48
WORD_VOTES: dict[str, Any] = {
    "protocol": "word_votes",
    "chunk_words": CHUNK_WORDS,
    "number_every": 1,
}
REWRITE: dict[str, Any] = {
    "protocol": "rewrite",
    "chunk_words": CHUNK_WORDS,
    "samples": 5,
}
