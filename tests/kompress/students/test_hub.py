import pytest
from huggingface_hub import constants

from kompress.errors import InvalidCheckpoint
from kompress.students.hub import (
    MODERNBERT_REVISION,
    fetch_checkpoint,
    fetch_client_tokenizer,
    is_hub_name,
)

OTHER = "0" * 40


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty hub cache, and no network."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)

    def put(repo, revision, *names, main=True):
        place = tmp_path / f"models--{repo.replace('/', '--')}"
        snapshot = place / "snapshots" / revision
        snapshot.mkdir(parents=True)
        if main:
            (place / "refs").mkdir()
            (place / "refs" / "main").write_text(revision)
        for name in names:
            (snapshot / name).write_bytes(name.encode())
        return snapshot

    return put


@pytest.mark.parametrize(
    ("source", "is_name"),
    [
        ("answerdotai/ModernBERT-base", True),
        ("org/name@v1.0", True),
        ("/tmp/org/name", False),
        ("./name", True),  # could be; a folder of that name goes first
        ("name", False),
        ("org/name/file", False),
        ("org/na me", False),
    ],
)
def test_a_hub_name_is_told_by_its_one_slash(source, is_name):
    assert is_hub_name(source) is is_name


def test_a_cached_checkpoint_is_found_without_a_network(cache):
    snapshot = cache("org/name", OTHER, "merged.pt", "config.json", "tokenizer.json")

    assert fetch_checkpoint("org/name") == snapshot
    assert fetch_checkpoint(f"org/name@{OTHER}") == snapshot


def test_weights_alone_make_a_checkpoint(cache):
    snapshot = cache("org/name", OTHER, "model.safetensors")

    assert fetch_checkpoint("org/name") == snapshot


def test_modernbert_base_is_taken_at_the_clients_revision(cache):
    repo = "answerdotai/ModernBERT-base"
    cache(repo, OTHER, "model.safetensors")
    pinned = cache(
        repo, MODERNBERT_REVISION, "model.safetensors", "tokenizer.json", main=False
    )

    assert fetch_checkpoint(repo) == pinned
    assert fetch_client_tokenizer() == b"tokenizer.json"


@pytest.mark.parametrize("name", ["org/absent", "./absent", "org/name@nowhere"])
def test_what_is_not_cached_says_what_to_do(cache, name):
    cache("org/name", OTHER, "merged.pt")

    with pytest.raises(InvalidCheckpoint, match=rf"{name}.*go online once"):
        fetch_checkpoint(name)


def test_a_checkpoint_without_weights_is_refused(cache):
    cache("org/name", OTHER, "config.json")

    with pytest.raises(InvalidCheckpoint, match=r"neither merged\.pt nor model\.saf"):
        fetch_checkpoint("org/name")


def test_an_uncached_tokenizer_is_none(cache):
    assert fetch_client_tokenizer() is None
