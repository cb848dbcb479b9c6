"""References of texts, and the labels that a loop makes of them."""

import numpy as np

from api.intake import ingest
from kompress.corpora.references import Reference, to_documents
from kompress.words import join_kept, word_list

SILVER = """
    SELECT t.content, b.mean FROM labels b JOIN texts t ON t.id = b.text_id
    JOIN rounds r ON r.id = b.round_id JOIN loops l ON l.id = r.loop_id
    WHERE l.name = :loop AND b.source = :source
"""


def say(number):
    return f"disk {number} failed\nretry in {number + 1} s\nsaid unit{number}.log once"


def third_words(text):
    return np.arange(len(word_list(text))) % 3 == 0


def add_references(farm, texts):
    pairs = [Reference(t, join_kept(t, third_words(t)), "bash", t[:9]) for t in texts]
    ingest(farm.sessions, "corpus", to_documents(pairs, "c3"))


def labels(farm, loop, source="silver"):
    return {
        content: (np.frombuffer(mean, dtype="<f2") >= 0.5).tolist()
        for content, mean in farm.query(SILVER, loop=loop, source=source)
    }


def by_references(**changes):
    voter = {"name": "c3", "kind": "references", "params": {"origin": "c3"}}
    return {
        "voters": [voter],
        "label_source": "corrected",
        "shard_documents": 7,
        **changes,
    }
