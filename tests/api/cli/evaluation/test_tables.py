from api.cli.evaluation.tables import (
    SubjectCost,
    comparison_table,
    cost_table,
    label_of,
    other_table,
    suite_table,
)
from kompress.config import EvaluationConfig
from kompress.evaluation.baselines.baseline import BaselineResult
from kompress.evaluation.compare import FigureDifference
from kompress.types import Score

CONFIG = EvaluationConfig(keep_rates=(0.5, 0.8))


def score(metric, value, *, suite="agent", rules="farm", rate=None, **more):
    return Score(
        suite, "all", metric, value, 1_234, rules, target_keep_rate=rate, **more
    )


def result(name, value, keep_rate, *more):
    rows = [
        score("exact_pct", value, ci_low=value - 0.1, ci_high=value + 0.05),
        score("exact_pct", value + 0.1, rate=0.5),
        score("token_savings", 0.3, rules=""),
        *more,
    ]
    return BaselineResult("student", name, tuple(rows), keep_rate, None)


def test_one_student_has_a_line_for_each_metric():
    lines = list(suite_table("agent", 20, [("student 7", result("7", 0.6, 0.75))],
                             [], CONFIG))  # fmt: skip

    assert lines == [
        f"agent: 20 texts{'':21}n  keep   own 95 % interval{'':9}@0.5  @0.8",
        "exact_pct, farm                 1,234 0.750 0.600   0.500…0.650        0.700",
        "token_savings                   1,234 0.750 0.300             –",
    ]  # fmt: skip


def test_many_subjects_share_a_block_with_random_dropping_at_their_own_rates():
    random = [score("exact_pct", rate, rate=rate) for rate in (0.75, 0.25)]
    subjects = [
        ("student 7", result("7", 0.6, 0.75)),
        ("textrank", result("t", 0.2, 0.25)),
    ]

    lines = list(suite_table("agent", 20, subjects, random, CONFIG))

    assert [line.split() for line in lines[1:]] == [
        ["exact_pct,", "farm", "1,234"],
        ["student", "7", "0.750", "0.600", "0.500…0.650", "0.750", "0.700"],
        ["textrank", "0.250", "0.200", "0.100…0.250", "0.250", "0.300"],
    ]  # token savings are left to `scores`


def test_a_block_shows_its_own_suite_rule_set_and_way_to_count():
    others = (
        score("exact_pct", 0.9, suite="agent~digits"),
        score("exact_pct", 0.9, rules="kompress-r0"),
        score("exact_pct", 0.9, definition="substring"),
        score("exact_pct", 0.9, override="headroom-0.42"),
        score("exact_pct", 0.9, text_sha256="00"),
    )
    subjects = [("student 7", result("7", 0.6, 0.75, *others))]

    lines = list(suite_table("agent", 1, subjects, [], CONFIG))
    rest = list(other_table(subjects[0][1].rows, "farm"))

    assert "0.900" not in "".join(lines)
    assert [line.split()[:3] for line in rest[1:]] == [
        ["agent", "exact_pct", "kompress-r0"],
        ["agent", "exact_pct", "substring"],
        ["agent", "exact_pct", "farm"],
    ]
    assert list(other_table([], "farm")) == []


def test_a_cost_that_nobody_knows_is_a_dash_and_nothing_is_zero():
    lines = list(cost_table([
        SubjectCost("voter syntax", 0.5, 1.5, 0.0),
        SubjectCost("student:beta", 0.5, None, None, -0.25, "a note"),
    ]))  # fmt: skip

    assert [line.split() for line in lines[1:]] == [
        ["voter", "syntax", "0.500", "1.500", "0", "–"],
        ["student:beta", "0.500", "–", "–", "-0.250", "a", "note"],
    ]


def test_a_difference_has_its_sign_and_p():
    pair = FigureDifference(
        "f1", "plain", None, 0.5, 0.75, -0.25, -0.3, -0.2, 0.002, 99
    )
    unknown = FigureDifference("f1", "all", 0.8, None, None, None, None, None, None, 0)

    lines = list(comparison_table([pair, unknown], "planted", "3"))

    assert [line.split() for line in lines[2:]] == [
        [
            "f1",
            "plain",
            "own",
            "0.500",
            "0.750",
            "-0.250",
            "-0.300…-0.200",
            "0.002",
            "99",
        ],
        ["f1", "@0.8", "–", "–", "–", "–", "–", "0"],
    ]
    assert list(comparison_table([], "planted", "3")) == []


def test_long_names_are_cut_and_marked():
    long = Score("a" * 40, "all", "b" * 40, 0.5, 1, "headroom-0.42",
                 override="headroom-0.42", ci_low=-0.123, ci_high=-0.1)  # fmt: skip

    lines = list(other_table([long], "farm"))

    assert len(lines[1]) <= 100
    assert label_of("voter", "syntax", {"voter syntax": "best"}) == "best voter syntax"
    assert label_of("baseline", "textrank", {}) == "textrank"
