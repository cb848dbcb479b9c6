"""A trained student, exported, and headroom-ai 0.42.0 in an environment of its own."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from kompress.config import RecipeConfig, StudentConfig
from kompress.corpora.readers import load_sample
from kompress.corpora.splits import assign_split
from kompress.evaluation.suites import AGENT_KINDS
from kompress.export.headroom import export
from kompress.export.hub_cache import write_hub_cache
from kompress.must_keep import classify_words
from kompress.students import load
from kompress.training import TrainText, train
from kompress.types import decode_votes
from kompress.voters import VOTERS, make_voter
from tests.kompress.corpora.near_pairs import find_near_pairs

ROOT = Path(__file__).parents[2]
CLIENT_PYTHON = ROOT / ".farm" / "client-venv" / "bin" / "python"
DRIVER = Path(__file__).with_name("drive_headroom.py")
REPO_ID = "kompress-farm/under-test"
MIN_WORDS = 64
# 96 span channels, so that the client gets a widened head.
SMALL = StudentConfig(
    num_layers=4,
    hidden_size=96,
    num_heads=4,
    intermediate_size=192,
    span_channels=96,
    vocab_size=4_000,
)
EPOCHS = 4
MAX_TRAIN_WORDS = 12_000  # half a minute on a busy core


@dataclass(frozen=True)
class Corpus:
    """What the student learns from, and the `agent` suite's texts that it never saw."""

    train: list[str]
    agent: list[str]


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    # Threads of several programs on few cores wait for each other.
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def corpus():
    documents = load_sample()
    pairs_2P = np.array(sorted(find_near_pairs([d.text for d in documents], 0.8))).T
    near_DD = coo_array((np.ones(pairs_2P.shape[1]), pairs_2P), [len(documents)] * 2)
    _, group_D = connected_components(near_DD, directed=False)
    splits = map(assign_split, map(str, group_D.tolist()))
    places = list(zip(documents, splits, strict=True))
    train = [document.text for document, split in places if split == "train"]
    ends = np.cumsum([len(text.split()) for text in train])
    return Corpus(
        train=train[: int(np.searchsorted(ends, MAX_TRAIN_WORDS))],
        agent=[
            document.text
            for document, split in places
            if split == "held_out" and document.kind in AGENT_KINDS
        ],
    )


@pytest.fixture(scope="session")
def checkpoint(corpus, tmp_path_factory):
    """A student's folder, trained until its decisions are neither all nor nothing."""
    folder = tmp_path_factory.mktemp("student")
    snapshot = VOTERS["salience"].fit({}, corpus.train)
    voter = make_voter("salience", "salience", {}, snapshot)
    votes = dict(voter.vote(corpus.train))
    texts = [
        TrainText(text, _target(text, decode_votes(votes[number].codes_N)))
        for number, text in enumerate(corpus.train)
    ]
    train(
        texts,
        RecipeConfig(student=SMALL, must_keep_weight=1.0, num_threads=1),
        tokenizer_json=None,
        init=None,
        epochs=EPOCHS,
        seed=0,
        folder=folder,
        resume=None,
        progress=lambda *_: None,
    )
    return folder


@pytest.fixture(scope="session")
def exported(checkpoint, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "student"
    return export(load(checkpoint), folder, REPO_ID, label_source="silver")


@pytest.fixture(scope="session")
def hf_home(exported, tmp_path_factory):
    home = tmp_path_factory.mktemp("hf-home")
    write_hub_cache(exported, home)
    return home


@pytest.fixture(scope="session")
def drive(hf_home, tmp_path_factory):
    """Run the real client in its own environment; gives what it answered."""
    assert CLIENT_PYTHON.exists(), "expected headroom's environment: make test-client"

    def run(job, **environment):
        folder = tmp_path_factory.mktemp("driver")
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        subprocess.run(
            [str(CLIENT_PYTHON), str(DRIVER), "job.json", "answer.json"],
            cwd=folder,
            check=True,
            timeout=240,
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(folder),
                "HF_HOME": str(hf_home),
                "HF_HUB_OFFLINE": "1",
                "HEADROOM_KOMPRESS_CANARY_SECONDS": "0",
                "HEADROOM_KOMPRESS_ONNX_INTRA_THREADS": "1",
                "OMP_NUM_THREADS": "1",
                # The client gives up on time, silently; a busy machine is no fault.
                "HEADROOM_KOMPRESS_TIME_BUDGET_SECONDS": "0",
                "HEADROOM_KOMPRESS_ACQUIRE_TIMEOUT_SECONDS": "0",
                "HEADROOM_COMPRESSION_DEADLINE_MS": "0",
                "HEADROOM_KOMPRESS_EXECUTION_TIMEOUT_MS": "200000",
                **environment,
            },
        )
        return json.loads((folder / "answer.json").read_text(encoding="utf-8"))

    return run


@pytest.fixture(scope="session")
def long_texts(corpus):
    """Those of the `agent` suite that the client compresses at all."""
    return [text for text in corpus.agent if len(text.split()) >= MIN_WORDS]


def _target(text, p_N):
    must_N = classify_words(text.split(), "farm") != 0
    return np.where(must_N, 1.0, p_N)
