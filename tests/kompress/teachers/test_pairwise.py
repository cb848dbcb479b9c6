import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.errors import VoteFailed
from kompress.teachers.pairwise import PairwiseJudge
from kompress.teachers.request import Answer, Capabilities, Sample

ALL = Capabilities(forced_tokens=True, logprobs=True, samples=True, prefix_cache=True)
LETTERS = replace(ALL, logprobs=False)
FREE = replace(LETTERS, forced_tokens=False)


def answer(text="", probs=None):
    return Answer((Sample(text, choice_probs=probs),), 1, 1)


def test_the_text_and_both_references_stand_between_lines_they_do_not_hold():
    request = PairwiseJudge("agent", ALL).request("a\n=====", "a", "====== b")

    bar = "======="
    assert request.user == (
        f"Text:\n{bar}\na\n=====\n{bar}\n"
        f"A:\n{bar}\na\n{bar}\n"
        f"B:\n{bar}\n====== b\n{bar}\n"
        "A, B or T:"
    )
    assert (request.choices, request.max_tokens) == (("A", "B", "T"), 1)
    assert request.logprobs


def test_the_order_is_the_callers():
    judge = PairwiseJudge("qa", ALL)

    one, other = judge.request("a b", "a", "b"), judge.request("a b", "b", "a")

    assert one != other
    assert one.system == other.system


def test_braces_in_a_text_are_a_texts():
    assert "{a} {0}" in PairwiseJudge("qa", ALL).request("{a} {0}", "{", "}").user


@pytest.mark.parametrize(
    ("capabilities", "asked", "reads"),
    [
        (ALL, (("A", "B", "T"), True, 1), "logprobs"),
        (LETTERS, (("A", "B", "T"), False, 1), "samples"),
        (FREE, ((), False, 4), "free"),
        # Log-probabilities of free tokens are none of A, B and T.
        (replace(FREE, logprobs=True), ((), False, 4), "free"),
    ],
)
def test_it_falls_back_by_what_the_engine_can_do(capabilities, asked, reads):
    judge = PairwiseJudge("agent", capabilities)

    request = judge.request("a b", "a", "b")

    assert (request.choices, request.logprobs, request.max_tokens) == asked
    assert judge.parts["reads"] == reads


def test_probabilities_are_the_judgment():
    judge = PairwiseJudge("agent", ALL)

    assert judge.read(answer("A", ((0.5, 0.25, 0.25),))) == (0.5, 0.25, 0.25)
    # Stored answers are rounded: 0.333333 three times is a third each.
    assert judge.read(answer("A", ((0.333333,) * 3,))) == pytest.approx((1 / 3,) * 3)


@pytest.mark.parametrize("capabilities", [LETTERS, FREE])
@pytest.mark.parametrize(
    ("said", "judged"),
    [("A", (1, 0, 0)), (" B\n", (0, 1, 0)), ("T", (0, 0, 1))],
)
def test_a_letter_is_the_judgment(capabilities, said, judged):
    assert PairwiseJudge("agent", capabilities).read(answer(said)) == judged


@pytest.mark.parametrize(
    "said", ["", "AB", "A.", "a", "C", "Both", "A\nB", "Ответ: A", "\u0410"]
)
def test_anything_but_one_letter_is_no_judgment(said):
    with pytest.raises(VoteFailed, match="expected one letter"):
        PairwiseJudge("agent", FREE).read(answer(said))


@pytest.mark.parametrize(
    "probs",
    [
        None,
        (),
        ((0.5, 0.5),),
        ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0)),
        ((0.5, 0.5, 0.5),),
        ((0.0, 0.0, 0.0),),
        ((math.nan, 0.5, 0.5),),
        ((math.inf, 0.0, 0.0),),
        ((-0.5, 1.0, 0.5),),
    ],
)
def test_what_is_no_distribution_is_no_judgment(probs):
    with pytest.raises(VoteFailed, match="expected"):
        PairwiseJudge("agent", ALL).read(answer("A", probs))


def test_an_answer_without_samples_is_no_judgment():
    with pytest.raises(VoteFailed, match="no sample"):
        PairwiseJudge("agent", ALL).read(Answer((), 1, 1))


@given(
    said=st.text(max_size=5),
    probs=st.none()
    | st.lists(st.lists(st.floats(), max_size=4).map(tuple), max_size=2).map(tuple),
    capabilities=st.sampled_from([ALL, LETTERS, FREE]),
)
def test_a_judgment_is_a_distribution_or_a_failure(said, probs, capabilities):
    try:
        judged = PairwiseJudge("agent", capabilities).read(answer(said, probs))
    except VoteFailed:
        return

    assert sum(judged) == pytest.approx(1)
    assert all(0 <= p <= 1 for p in judged)
