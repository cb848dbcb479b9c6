"""A served student that scores every second word high, for what surrounds a student."""

import threading
import time

import numpy as np

from kompress.students.tokenizer import WordTokenizer, train_tokenizer


class Half:
    """Scores every second word high; can be held and can fail, counts its batches."""

    def __init__(self, pause_s=0.0):
        self.id = "ab" * 32
        self.tokenizer = WordTokenizer(train_tokenizer(["a b c"] * 9, 300))
        self.batches = []
        self.pause_s = pause_s
        self.go = threading.Event()
        self.go.set()
        self.entered = threading.Event()

    def score(self, texts):
        self.entered.set()
        assert self.go.wait(10)
        self.batches.append(list(texts))
        if any("poison" in text for text in texts):
            raise ValueError("poison")
        return [np.arange(len(text.split())) % 2 * 0.9 for text in texts]

    def score_by_parts(self, text, max_tokens):
        """Score a word a token."""
        words = text.split()
        score_N = np.full(len(words), np.nan)
        for first in range(0, len(words), max_tokens):
            part = slice(first, first + max_tokens)
            (score_N[part],) = self.score([" ".join(words[part])])
            time.sleep(self.pause_s)
            yield score_N.copy()
