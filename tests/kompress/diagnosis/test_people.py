import numpy as np
import pytest

from kompress.diagnosis.gold import read_row
from kompress.diagnosis.measure import prepare_case
from kompress.diagnosis.people import measure_people, recall_at_precision


def case(gold, *, repository="r", lines=10):
    return prepare_case(
        read_row(
            {
                "id": "a",
                "source": "mini",
                "repository": repository,
                "text": "x\n" * lines,
                "gold": gold,
            }
        )
    )


def test_the_second_person_is_compared_with_the_first():
    two = case({"b": [[2, 5, "E"]], "a": [[1, 2, "E"], [10, 10, "C"]]})
    alone = case({"a": [[1, 1, "E"]]})

    found = measure_people([two, alone])

    # Nine lines count. The first marks 1-2, the second 2-5: one of two, one of four.
    assert found.recall == 1 / 2
    assert found.precision == 1 / 4
    # They agree on 5 of 9; by chance 2/9 * 4/9 + 7/9 * 5/9 = 43/81.
    assert found.kappa == pytest.approx((5 / 9 - 43 / 81) / (1 - 43 / 81))
    assert found.num_logs == 1


def test_where_nobody_marked_twice_there_is_no_ceiling():
    assert measure_people([case({"a": [[1, 1, "E"]]})]) is None


def test_a_fold_s_threshold_is_that_of_the_others():
    cases = [case({"a": [[1, 2, "E"]]}, repository=name) for name in "rs"]
    first = np.array([0.9, 0.6, 0.5, *[0.1] * 7])
    second = np.array([0.8, 0.3, 0.2, *[0.1] * 7])

    found = recall_at_precision(cases, [first, second], np.array([0, 1]), precision=1.0)

    # Each threshold lies where the other log is still pure: at .3 for the first, which
    # then takes three lines, two of them right; above .5 for the second, which takes
    # one of its two.
    assert found.recall == (1 + 0.5) / 2
    assert found.precision == pytest.approx((2 / 3 + 1) / 2)


def test_a_precision_that_is_never_reached_marks_as_little_as_can_be():
    cases = [case({"a": [[10, 10, "E"]]}, repository=name) for name in "rs"]
    score_L = np.linspace(0.9, 0.1, 10)

    found = recall_at_precision(
        cases, [score_L, score_L], np.array([0, 1]), precision=0.9
    )

    assert (found.recall, found.precision) == (0, 0)
