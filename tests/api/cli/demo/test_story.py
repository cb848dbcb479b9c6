import pytest
from rich.console import Console, Group

from api.cli.demo.figures import lay_out
from api.cli.demo.story import tell


def label(number, source, category, total, kept, keep_rate=0.5):
    return {
        "loop": "d", "round": number, "source": source, "kind": "all",
        "category": category, "rule_set": "farm", "num_must_keep": total,
        "num_must_keep_kept": kept, "mk_in_ref": kept / total, "keep_rate": keep_rate,
    }  # fmt: skip


def student(number, suite, metric, value, **more):
    return {"round": number, "suite": suite, "metric": metric, "value": value,
            "stratum": "all", "override": "", "target_keep_rate": None,
            "definition": "multiset", **more}  # fmt: skip


def subject(kind, name, f1):
    return {"round": 2, "subject_kind": kind, "subject": name, "f1": f1, "recall": f1,
            "precision": f1, "keep_rate": 0.4, "balanced_accuracy": 0.7,
            "num_words": 900}  # fmt: skip


def summary(number, delta):
    return {"round": number, "override_delta": delta, "seconds": 61.0, "usd": 0,
            "student": 10 + number}  # fmt: skip


@pytest.fixture
def figures():
    return {
        "loop": {
            "loop": "d", "status": "stopped", "stop_reason": "2 of 2 rounds ran",
            "promoted_student": 11, "promotion": {"reason": "F1 0.610 against 0.550"},
            "label_source": {1: "silver", 2: "consensus"},
            "override": {1: "headroom-0.42", 2: "headroom-0.42"},
            "rule": {1: "beta", 2: "beta"},
        },
        "label_quality": [
            label(1, "silver", "all", 200, 100, 0.55),
            label(1, "silver", "number", 100, 10),
            label(1, "silver", "path", 80, 72),
            label(1, "silver", "flag", 5, 0),
            label(2, "consensus", "all", 200, 120, 0.5),
        ],
        "with_override": [
            label(1, "silver+override", "all", 200, 150, 0.6),
            label(2, "consensus+override", "all", 200, 190, 0.58),
            label(2, "consensus+override", "path", 80, 40),
        ],
        "round_summary": [summary(1, 0.2), summary(2, 0.123)],
        "student_scores": [
            student(1, "planted", "f1", 0.61),
            student(2, "planted", "f1", 0.55),
            student(1, "planted", "keep_rate", 0.4),
            student(2, "planted", "keep_rate", 0.45),
            student(1, "agent", "exact_pct", 0.3, target_keep_rate=0.8),
            student(2, "agent", "exact_pct", 0.5, target_keep_rate=0.8),
            student(1, "agent", "keep_rate", 0.8, target_keep_rate=0.8),
            student(2, "agent", "keep_rate", 0.8, target_keep_rate=0.8),
            student(1, "planted", "decision_pct", 0.25, target_keep_rate=0.8),
            student(2, "planted", "decision_pct", 0.25, target_keep_rate=0.8),
        ],
        "random_dropping": [student(2, "agent", "exact_pct", 0.49)],
        "subjects": [
            subject("voter", "salience", 0.5),
            subject("voter", "syntax", 0.6),
            subject("rule", "beta", 0.58),
        ],
        "ensemble_paradox": [
            {"round": 2, "stratum": "number", "collapsed": True},
            {"round": 2, "stratum": "path", "collapsed": False},
        ],
    }  # fmt: skip


def test_the_worst_category_is_named_with_its_loss_and_small_ones_are_not(figures):
    first = tell(figures)[0]

    assert "silver labels, which keep 55% of the words and 50% of the must" in first
    assert "lose most of number (90%)" in first
    assert "lose least of path (10%)" in first
    assert "flag" not in first  # 5 words


def test_an_ensemble_that_loses_to_a_voter_is_told_so(figures):
    second = tell(figures)[1]

    assert "beta (F1 0.580 at keep_rate 0.40), does not reach" in second
    assert "syntax (F1 0.600" in second
    assert "In number some rule is surely worse" in second
    figures["subjects"][2]["f1"] = 0.7
    assert "beats the best single voter" in tell(figures)[1]


def test_a_rule_of_the_labels_that_is_not_the_best_is_told_so(figures):
    figures["subjects"].append(subject("rule", "majority", 0.59))
    second = tell(figures)[1]
    figures["subjects"].append(subject("rule", "beta+fallback", 0.588))
    with_fallback = tell(figures)[1]

    assert "it is not the best rule: that is majority (F1 0.590 at 0.40)" in second
    # .588 is as good as .590: differences below .005 are called the same.
    assert "the rule of the labels, beta+fallback (F1 0.588" in with_fallback
    assert "no other of the 3 rules is better" in with_fallback


def test_what_got_better_worse_and_stayed_is_told_with_keep_rates(figures):
    third = tell(figures)[2]

    assert "better: exact_pct on agent texts 0.300 → 0.500 (keep_rate 0.80)" in third
    assert "worse: F1 against gold 0.610 → 0.550 (keep_rate 0.40 → 0.45)" in third
    assert "the same: decision_pct 0.250 → 0.250" in third


def test_the_override_and_the_end_are_told(figures):
    fourth, fifth = tell(figures)[3:]

    assert "the override adds 0.123 to exact_pct" in fourth
    assert "mk_in_ref from 0.600 to 0.950 and keep_rate from 0.50 to 0.58" in fourth
    assert "helps little with path" in fourth  # 0.5 < 0.6 of all words before it
    assert fifth == (
        "The loop stopped: 2 of 2 rounds ran. Promoted: student 11 of round 1, not the "
        "last (F1 0.610 against 0.550)."
    )


def test_a_loop_without_figures_still_has_a_story(figures):
    for name in ("label_quality", "with_override", "student_scores", "subjects"):
        figures[name] = []
    figures["loop"]["promoted_student"] = None

    assert tell(figures) == [
        "The loop stopped: 2 of 2 rounds ran. No student was promoted."
    ]
    assert tell({"round_summary": []}) == ["No round was started."]


def test_tables_show_the_figures(figures):
    console = Console(width=120, record=True, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    console.print(Group(*lay_out(figures)))
    text = console.export_text()
    console.file.close()

    lines = {line.split("  ")[0].strip(): line.split() for line in text.splitlines()}
    assert lines["number"][1:] == ["100", "0.100", "–", "–", "–"]
    assert lines["all"][1:] == ["200", "0.500", "0.750", "0.600", "0.950"]
    assert lines["keep_rate"]
    assert lines["F1 against gold"][-2:] == ["0.610", "0.550"]
    assert lines["beta *"][2:] == ["0.580", "0.580", "0.580", "0.700", "0.400", "900"]
    assert lines["cost, USD"][-2:] == ["0.000", "0.000"]
