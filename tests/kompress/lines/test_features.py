import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.lines.cut import cut_lines
from kompress.lines.features import (
    describe_lines,
    end_bins,
    hash_ngrams,
    new_to_twin,
    relative_rarity,
    smooth,
)
from kompress.lines.log_lines import prepare_log
from kompress.lines.rarity import TemplateCounts


def test_a_line_s_ngrams_include_its_ends_and_no_other_line():
    # "\nab\n" has two of 3 bytes, one of 4, none of 5; "\nx\n" one of 3.
    bucket_G, row_G = hash_ngrams(["ab", "x", "", "AB"])

    assert sorted(row_G.tolist()) == [0, 0, 0, 1, 3, 3, 3]
    assert set(bucket_G[row_G == 0]) == set(bucket_G[row_G == 3])
    assert not set(bucket_G[row_G == 0]) & set(bucket_G[row_G == 1])


@given(st.lists(st.text(max_size=12), max_size=4))
def test_the_ngrams_of_a_line_do_not_depend_on_the_others(rows):
    rows = [row.replace("\n", "") for row in rows]
    bucket_G, row_G = hash_ngrams(rows)

    for place, row in enumerate(rows):
        alone_G, _ = hash_ngrams([row])
        assert sorted(bucket_G[row_G == place]) == sorted(alone_G)
        assert ((alone_G >= 0) & (alone_G < 2**18)).all()


def test_bins_double_towards_the_beginning():
    # 5, 4, 3, 2, 1 lines to the end.
    assert end_bins(5).tolist() == [2, 2, 1, 1, 0]
    assert end_bins(0).tolist() == []


def test_smoothing_counts_what_lies_outside_as_nothing():
    assert smooth(np.array([3.0, 0, 0, 3]), 1).tolist() == pytest.approx([1, 1, 1, 1])


def test_rarity_is_relative_to_a_template_that_no_text_has():
    log = prepare_log(cut_lines("a\nb\na\n"))
    counts = TemplateCounts.count([["a"], ["c"], ["a"]])

    # log(4 / 3) and log(4) of log(4).
    assert relative_rarity(log, counts).tolist() == pytest.approx(
        [0.2075, 1, 0.2075], abs=1e-4
    )


def test_what_the_twin_lacks_is_new():
    text = "step 1\nboom\nstep 2\n"

    assert new_to_twin(prepare_log(cut_lines(text), twin="step 9\n")).tolist() == [
        0,
        1,
        0,
    ]
    assert new_to_twin(prepare_log(cut_lines(text))).tolist() == [0, 0, 0]


def test_every_line_is_described_in_finite_numbers():
    none = TemplateCounts.count([])
    for text in ("", "\n", "a\n\n  error: b\n\tat x.Y.z(Y.java:1)\n"):
        log = prepare_log(cut_lines(text))
        dense_LF = describe_lines(log, none, none)
        assert len(dense_LF) == len(log)
        assert np.isfinite(dense_LF).all()
