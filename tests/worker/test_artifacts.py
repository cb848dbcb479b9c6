import hashlib
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.worker.worlds import at_once
from worker.artifacts import ArtifactStore
from worker.errors import ArtifactError


@pytest.fixture
def store(tmp_path):
    return ArtifactStore(f"file://{tmp_path}/artifacts")


def files(tmp_path):
    return sorted(path for path in tmp_path.rglob("*") if path.is_file())


def test_bytes_come_back_under_their_hash(store, tmp_path):
    digest = store.put(b"abc")

    # SHA-256 of "abc", FIPS 180-2, appendix B.1
    assert digest == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    assert store.get(digest) == b"abc"
    assert files(tmp_path) == [tmp_path / "artifacts" / "ba" / digest]


@given(st.binary(max_size=200))
def test_any_bytes_come_back(blob):
    with tempfile.TemporaryDirectory() as folder:
        store = ArtifactStore(f"file://{folder}")

        assert store.get(store.put(blob)) == blob


def test_the_same_bytes_are_stored_once(store, tmp_path):
    first = store.put(b"abc")
    written = files(tmp_path)[0].stat().st_mtime_ns

    assert store.put(b"abc") == first
    assert [path.stat().st_mtime_ns for path in files(tmp_path)] == [written]


def test_two_writers_at_once_leave_one_whole_file(store, tmp_path):
    blob = bytes(1_000_000)

    at_once(*[lambda: store.put(blob)] * 6)

    assert [path.stat().st_size for path in files(tmp_path)] == [1_000_000]


def test_an_altered_artifact_is_refused(store, tmp_path):
    digest = store.put(b"abc")
    files(tmp_path)[0].write_bytes(b"abd")

    with pytest.raises(ArtifactError, match="it was altered; restore it"):
        store.get(digest)


def test_an_artifact_that_is_not_there_names_the_place_to_look(store):
    with pytest.raises(ArtifactError, match="all hosts must share FARM_ARTIFACTS"):
        store.get("0" * 64)


def test_a_place_that_cannot_be_written_names_the_fix(tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")

    with pytest.raises(ArtifactError, match=r"cannot write 3 bytes .* free some space"):
        ArtifactStore(f"file://{tmp_path}/taken").put(b"abc")


FULL = """
import resource, signal, sys
from worker.artifacts import ArtifactStore
from worker.errors import ArtifactError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    ArtifactStore(sys.argv[1]).put(bytes(300_000))
except ArtifactError as error:
    print(error)
"""


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path):
    # A limit on the size of files stands for the end of the disk: writes fail half way.
    result = subprocess.run(
        [sys.executable, "-c", FULL, f"file://{tmp_path}/artifacts"],
        capture_output=True,
        text=True,
        check=True,
    )

    assert "cannot write 300000 bytes under" in result.stdout
    assert "point FARM_ARTIFACTS elsewhere" in result.stdout
    assert files(tmp_path) == []


def test_scratch_lies_beside_artifacts_that_are_local(store, tmp_path):
    assert store.scratch("train-7") == tmp_path / "artifacts" / "scratch" / "train-7"
    store.scratch("train-7").mkdir(parents=True)

    store.drop_scratch("train-7")
    store.drop_scratch("train-8")  # was never there

    assert not store.scratch("train-7").exists()


def test_scratch_of_a_bucket_lies_on_this_host():
    found = ArtifactStore("memory://bucket").scratch("train-7")

    assert found == Path(tempfile.gettempdir()) / "farm" / "scratch" / "train-7"


def test_a_bucket_holds_artifacts_too():
    store = ArtifactStore("memory://bucket")

    digest = store.put(b"abc")

    assert digest == hashlib.sha256(b"abc").hexdigest()
    assert store.get(digest) == b"abc"
