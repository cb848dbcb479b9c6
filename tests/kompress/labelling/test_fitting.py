from dataclasses import dataclass

import numpy as np
import pytest

from kompress.aggregation import make_aggregator
from kompress.aggregation.patterns import count_patterns
from kompress.config import RoundConfig, parse_config
from kompress.labelling.fit_data import FitData, count_joint_votes
from kompress.labelling.fitting import (
    count_fits,
    fit_rules,
    fitted_rates,
    flatten_rates,
    keep_out_of_fold,
)
from kompress.labelling.panel import Panels, make_panel
from kompress.types import DROP, KEEP, STRATA, UNKNOWN, VoteRow
from tests.truth_codes import coded

JUDGE = {"name": "j", "kind": "teacher"}


@dataclass
class Rates:
    """All that `fitted_rates` asks of what a rule learned."""

    sensitivity_SM: np.ndarray
    specificity_SM: np.ndarray


def config_of(rule, *, protocol="words", compare=(), names="ab"):
    return parse_config(
        RoundConfig,
        {
            "voters": [{"name": n, "kind": "simulated"} for n in names],
            "protocol": protocol,
            "pairwise": {"judges": [JUDGE]},
            "aggregation": {"rule": rule, "compare": list(compare)},
        },
    )


def patterns_of(rows, num_voters):
    table = np.array(rows, dtype=np.uint8)
    stratum_N, truth_N = table[:, 0], coded(table[:, 1])
    return count_patterns(table[:, 2:], np.ones(num_voters), stratum_N, truth_N)


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("words", {"stacking": 2, "stacking-without:a": 2, "stacking-without:b": 2}),
        # The winning reference makes the consensus; the words are measured beside it.
        ("pairwise", {"stacking": 1, "stacking-without:pairwise": 1}),
        (
            "both",
            {
                "stacking": 3,
                "stacking-without:a": 3,
                "stacking-without:b": 3,
                "stacking-without:pairwise": 3,
            },
        ),
    ],
)
def test_a_rule_is_fitted_to_the_columns_that_it_will_pool(protocol, expected):
    config = config_of("stacking", protocol=protocol, compare=["reliability"])
    num_voters = len(config.panel())
    rng = np.random.default_rng(0)
    rows = [[0, n % 2, *rng.integers(0, 255, num_voters)] for n in range(40)]

    fits = dict(fit_rules(config, patterns_of(rows, num_voters)))

    beside = 3 if protocol == "both" else 2
    assert {
        label: num_voters_of(found) for label, found in fits.items()
    } == expected | {"reliability": beside}
    assert count_fits(config) == len(fits)


def num_voters_of(learned):
    """How many voters a fitted rule pools: others are refused."""
    for num_voters in range(1, 5):
        votes = np.full((1, num_voters), 254, dtype=np.uint8)
        try:
            learned.aggregate(votes, np.ones(num_voters), np.zeros(1, dtype=int))
        except ValueError:
            continue
        return num_voters
    return None


def test_a_plain_round_fits_nothing():
    config = config_of("beta", compare=["majority"])

    assert dict(fit_rules(config, patterns_of([[0, 1, 254, 0]], 2))) == {}
    assert count_fits(config) == 0


def test_rates_are_read_by_stratum_and_weighed_by_words_for_all():
    sensitivity_SM = np.full((len(STRATA), 2), np.nan)
    specificity_SM = np.full((len(STRATA), 2), np.nan)
    sensitivity_SM[0], specificity_SM[0] = [0.5, 0.75], [0.25, 1.0]
    sensitivity_SM[2], specificity_SM[2] = [1.0, 0.5], [0.75, 0.5]
    # a voted on three plain words and a number, b on one of each.
    found = patterns_of(
        [[0, KEEP, 254, 255], [0, UNKNOWN, 254, 0], [0, DROP, 0, 255], [2, 0, 0, 0]], 2
    )

    rates = fitted_rates(
        config_of("beta"), Rates(sensitivity_SM, specificity_SM), found
    )

    assert rates == {
        # (3 · .5 + 1) / 4 and (3 · .25 + .75) / 4
        "a": {"plain": (0.5, 0.25), "number": (1.0, 0.75), "all": (0.625, 0.375)},
        "b": {"plain": (0.75, 1.0), "number": (0.5, 0.5), "all": (0.625, 0.75)},
    }
    assert flatten_rates(rates)["a", "all"] == (0.625, 0.375)
    assert flatten_rates({}) == {}


def test_a_rule_that_does_not_say_how_good_voters_are_gives_no_rates():
    found = patterns_of([[0, KEEP, 254, 255]], 2)

    assert fitted_rates(config_of("beta"), object(), found) == {}
    assert fitted_rates(config_of("beta"), None, found) == {}


def data_of(names, codes_TNM, truth_TN):
    """Texts, each of a group of its own, of plain words."""
    votes = {
        n: [
            VoteRow(1, name, 0, 1, np.array(codes_NM, dtype=np.uint8)[:, m])
            for m, name in enumerate(names)
        ]
        for n, codes_NM in enumerate(codes_TNM)
    }
    strata = {n: np.zeros(len(words), np.uint8) for n, words in enumerate(codes_TNM)}
    truth_W = np.concatenate(truth_TN).astype(np.uint8)
    return FitData(
        make_panel(names, votes, strata),
        truth_W,
        np.ones(truth_W.size, dtype=np.bool_),
        {n: f"g{n}" for n in votes},
    )


def test_gold_of_a_document_does_not_decide_that_document():
    # a is right, but in the first text; there b would say so, as in no other text.
    codes = [[[0, 254]] * 30] + [[[254, 9], [0, 9]] * 8] * 9
    truth = [[KEEP] * 30] + [[KEEP, DROP] * 8] * 9
    found = data_of("ab", codes, truth)
    panels = Panels(found.panel, found.panel)
    beats = []

    keep_W = keep_out_of_fold(
        config_of("stacking"), panels, found, frozenset(), lambda: beats.append(1)
    )

    whole = make_aggregator("stacking", {}).fit(count_joint_votes(found, frozenset()))
    wide = np.array([[0, 254]], dtype=np.uint8)
    seen = whole.aggregate(wide, np.ones(2), np.zeros(1, dtype=int))
    assert seen.mean_N[0] > 0.5
    assert not keep_W[:30].any()
    assert keep_W[30:].tolist() == [True, False] * 8 * 9
    assert len(beats) == 5


def test_a_plain_rule_decides_gold_as_it_decides_all_words():
    codes = [[[254, 254], [0, 0], [254, 254]]]
    found = data_of("ab", codes, [[KEEP, KEEP, UNKNOWN]])
    panels = Panels(found.panel, found.panel)

    keep_W = keep_out_of_fold(
        config_of("majority"), panels, found, frozenset(), lambda: None
    )

    assert keep_W.tolist() == [True, False, False]


def test_a_fit_without_a_voter_never_saw_it():
    rng = np.random.default_rng(0)
    rows = [[0, n % 2, *rng.integers(0, 255, 2)] for n in range(60)]
    found = patterns_of(rows, 2)

    fits = dict(fit_rules(config_of("stacking"), found))

    alone = patterns_of([[s, t, 255, b] for s, t, _, b in rows], 2)
    rule = make_aggregator("stacking", {})
    assert fits["stacking-without:a"].data == rule.fit(alone).data
    assert fits["stacking-without:a"].data != fits["stacking"].data
