import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.metrics.ratios import Confusion, ratio


def test_a_ratio_over_nothing_is_none():
    assert ratio(0, 0) is None
    assert ratio(0, 3) == 0.0


@pytest.mark.parametrize(
    ("counts", "precision", "recall", "f1"),
    [
        ((3, 1, 2), 3 / 4, 3 / 5, 6 / 9),
        ((0, 0, 0), None, None, None),
        ((0, 2, 0), 0.0, None, 0.0),
        ((0, 0, 2), None, 0.0, 0.0),
    ],
)
def test_figures_of_a_confusion_are_those_worked_by_hand(counts, precision, recall, f1):
    confusion = Confusion(*counts)

    assert (confusion.precision, confusion.recall, confusion.f1) == (
        precision,
        recall,
        f1,
    )


CONFUSIONS = st.builds(Confusion, *[st.integers(0, 1_000)] * 3)


@given(CONFUSIONS, CONFUSIONS)
def test_the_micro_average_lies_between_its_parts(one, two):

    pooled = (one + two).f1

    parts = [each.f1 for each in (one, two) if each.f1 is not None]
    if pooled is None:
        assert parts == []
    else:
        assert min(parts) - 1e-12 <= pooled <= max(parts) + 1e-12
