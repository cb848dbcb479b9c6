"""Snapshots are the same bytes at any time, and never pickles."""

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import InvalidConfig
from kompress.voters.snapshot import pack, pack_words, unpack, unpack_words


def test_arrays_come_back():
    arrays = unpack(pack({"a": np.arange(3), "b": np.array(7)}), kind="k", names="ab")

    assert arrays["a"].tolist() == [0, 1, 2]
    assert int(arrays["b"]) == 7


def test_no_clock_gets_into_a_snapshot():
    with zipfile.ZipFile(io.BytesIO(pack({"a": np.arange(3)}))) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


def test_a_pickle_is_refused():
    buffer = io.BytesIO()
    np.savez(buffer, a=np.array([object()]))

    with pytest.raises(InvalidConfig, match="cannot read its snapshot"):
        unpack(buffer.getvalue(), kind="k", names="a")


@given(st.text(st.characters()).map(str.split))
def test_words_come_back(words):
    assert unpack_words(pack_words(words)) == words
