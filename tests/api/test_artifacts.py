from hashlib import sha256

import pytest

from api.artifacts import fetch_artifact, put_artifact
from api.errors import InvalidInput


def test_what_is_put_is_fetched_and_lies_where_workers_look(tmp_path):
    digest = put_artifact(tmp_path.as_uri(), b"student")

    assert digest == sha256(b"student").hexdigest()
    assert fetch_artifact(tmp_path.as_uri(), digest) == b"student"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [
        tmp_path / digest[:2] / digest
    ]
    assert put_artifact(tmp_path.as_uri(), b"student") == digest


def test_an_artifact_that_was_altered_or_is_not_there_is_refused(tmp_path):
    digest = put_artifact(tmp_path.as_uri(), b"student")
    (tmp_path / digest[:2] / digest).write_bytes(b"other")

    with pytest.raises(InvalidInput, match="was altered"):
        fetch_artifact(tmp_path.as_uri(), digest)
    with pytest.raises(InvalidInput, match="set FARM_ARTIFACTS"):
        fetch_artifact(tmp_path.as_uri(), "00" * 32)


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(InvalidInput, match="cannot write 7 bytes"):
        put_artifact((tmp_path / "file").as_uri(), b"student")
