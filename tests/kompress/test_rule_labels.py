import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.rule_labels import (
    LIKE_ALONE,
    chosen_label,
    label_fallback,
    label_voter,
    voter_of,
)


@given(st.text())
def test_a_voters_name_comes_back_from_its_label(voter):
    label = label_voter(voter)

    assert voter_of(label) == voter
    assert re.fullmatch(LIKE_ALONE.replace("(", r"\(").replace("%)", r".*\)"), label,
                        re.DOTALL)  # fmt: skip


@pytest.mark.parametrize("label", ["beta", "k_of_n(2)", "beta+fallback", "voter"])
def test_a_rules_label_names_no_voter(label):
    assert voter_of(label) is None


def test_the_rule_of_the_labels_is_the_one_with_fallbacks_where_it_has_any():
    assert label_fallback("beta") == "beta+fallback"
    assert chosen_label("beta", {"beta", "beta+fallback"}) == "beta+fallback"
    assert chosen_label("beta", {"beta", "majority+fallback"}) == "beta"
