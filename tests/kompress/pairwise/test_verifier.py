import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.pairwise.verifier import CHECKS, Limits, verify
from kompress.types import Candidate
from kompress.words import join_kept, word_list

TEXT = "open the log\nroom 503 in checkout\nplease read the manual"
#        0    1   2    3     4   5  6         7      8    9   10


def masked(text, *kept, reference=None):
    keep_N = np.zeros(len(word_list(text)), dtype=np.bool_)
    keep_N[list(kept)] = True
    return Candidate("c", reference or join_kept(text, keep_N), keep_N)


def rewritten(reference):
    return Candidate("c", reference, None)


def test_a_reference_that_only_deletes_and_keeps_numbers_is_sound():
    assert verify(TEXT, masked(TEXT, 3, 4, 6)) == {}


def test_a_lost_must_keep_word_is_a_reason():
    # 503 is the text's only must-keep word.
    found = verify(TEXT, masked(TEXT, 3, 6))

    assert list(found) == ["must_keep"]
    assert "0 of 1" in found["must_keep"]


@pytest.mark.parametrize(
    ("min_must_keep", "refused"),
    # 1 of 2 must-keep words survive.
    [(0.5, False), (0.51, True)],
)
def test_the_bound_on_must_keep_words_is_inclusive(min_must_keep, refused):
    text = "took 12 then 40 too"
    candidate = masked(text, 0, 1)

    found = verify(text, candidate, Limits(min_must_keep=min_must_keep))

    assert ("must_keep" in found) == refused


def test_keeping_too_much_or_nothing_is_a_reason():
    text = "a b c d"

    # 3 of 4 words are .75.
    assert verify(text, masked(text, 0, 1, 2), Limits(max_keep_rate=0.75)) == {}
    assert set(verify(text, masked(text, 0, 1, 2), Limits(max_keep_rate=0.74))) == {
        "keep_rate"
    }
    assert set(verify(text, rewritten(""))) == {"keep_rate"}


def test_a_rewriting_reference_is_refused():
    found = verify(TEXT, rewritten("room 503 somewhere in checkout"))

    # A line with a word of its own is no line of the text either.
    assert set(found) == {"delete_only", "lines"}


def test_merged_lines_are_refused():
    # Words in order, so nothing is rewritten, but of two lines one was made.
    found = verify(TEXT, rewritten("open the log room 503"))

    assert set(found) == {"lines"}


def test_json_must_stay_json_that_says_what_the_text_says():
    text = '{\n"a": 1,\n"b": 2\n}'
    limits = Limits(min_must_keep=0.0)

    whole_line = verify(text, masked(text, 0, 3, 4, 5), limits)
    broken = verify(text, masked(text, 0, 1, 2, 3), limits)
    lying = verify(text, rewritten('{\n"a": 2\n}'), limits)

    assert whole_line == {}
    assert set(broken) == {"json"}
    assert "json" in lying


def test_a_users_own_check_is_one_more_reason():
    checks = {**CHECKS, "politeness": lambda text, ref: "" if "please" in ref else "!"}

    assert verify(TEXT, masked(TEXT, 4, 7), checks=checks) == {}
    assert verify(TEXT, masked(TEXT, 4), checks=checks) == {"politeness": "!"}


def test_a_check_that_raises_refuses_and_says_so():
    def broken(text, reference):
        raise KeyError("my bug")

    found = verify(TEXT, masked(TEXT, 4), checks={"mine": broken})

    assert found == {"mine": "the check failed: KeyError: 'my bug'"}


@given(
    st.lists(st.text("ab1 \n", max_size=12), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_no_mask_is_refused_for_its_words_or_lines(parts, random):
    text = "\n".join(parts)
    kept = [n for n in range(len(word_list(text))) if random.random() < 0.5]

    assert not {"delete_only", "lines"} & set(verify(text, masked(text, *kept)))
