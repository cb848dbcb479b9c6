from dataclasses import asdict, replace
from xml.etree import ElementTree as ET

import pytest

from db.queries import loops, quality
from kompress.decisions import Fallback, Pilot, PilotFinding
from kompress.types import RuleStatRow, VoterStatRow
from tests.api.cli.conftest import Farm

# Counts by (keep kept, keep dropped, drop kept, drop dropped), ten words of each.
VOTERS = {
    ("sharp", "all"): (9, 1, 1, 9),  # balanced accuracy .9
    ("blunt", "all"): (8, 2, 6, 4),  # .6
    ("sharp", "number"): (5, 5, 5, 5),  # .5
    ("blunt", "number"): (10, 0, 2, 8),  # .9
}
RULES = {
    ("beta", "all"): (10, 0, 2, 8),  # .9
    ("beta", "number"): (9, 1, 4, 6),  # .75
    ("k_of_n(1)", "all"): (4, 6, 0, 10),  # .7
    ("k_of_n(1)", "number"): (10, 0, 1, 9),
    ("k_of_n(2)", "all"): (10, 0, 8, 2),
    ("k_of_n(2)", "number"): (10, 0, 8, 2),
}
BESIDE = {  # best voter, its value, interval of the difference
    ("beta", "all"): ("sharp", 0.9, -0.05, 0.05),
    ("beta", "number"): ("blunt", 0.9, -0.2, -0.1),
    ("k_of_n(1)", "all"): ("sharp", 0.9, -0.3, -0.1),
    ("k_of_n(2)", "all"): ("sharp", 0.9, None, None),
}


def store(sessions, number, voters, rules, truth="gold", beside=BESIDE):
    with sessions.begin() as session:
        found = loops.get_loop(session, "mine")
        row = loops.rounds_of(session, found.id)[number - 1]
        quality.add_voter_stats(session, row.id, [
            VoterStatRow(voter, stratum, truth, *counts, 0, 0, [0] * 256, [0] * 256)
            for (voter, stratum), counts in voters.items()
        ])  # fmt: skip
        quality.store_rule_stats(session, row.id, [
            RuleStatRow(rule, stratum, truth, *counts,
                        *beside.get((rule, stratum), ("sharp", 0.9, 0.0, 0.1)))
            for (rule, stratum), counts in rules.items()
        ])  # fmt: skip
        return row.id


@pytest.fixture
def loop(farm, ndjson, sessions):
    """A loop of one round whose own rule is `beta`."""
    farm("corpus", "add", "ops", ndjson({"text": "disk full", "split": "train"}))
    farm("loop", "start", "ops", "--name", "mine")
    with sessions.begin() as session:
        (first,) = loops.rounds_of(session, loops.get_loop(session, "mine").id)
        aggregation = {**first.config["aggregation"], "rule": "beta"}
        first.config = {**first.config, "aggregation": aggregation}
    return "mine"


@pytest.fixture
def judged(loop, sessions):
    """Its round judged two voters and three rules, in two strata, against gold."""
    return store(sessions, 1, VOTERS, RULES)


def line(found, subject, stratum="all"):
    (one,) = [
        one
        for one in found["lines"]
        if (one["subject"], one["stratum"]) == (subject, stratum)
    ]
    return one


def test_every_voter_and_rule_stands_beside_the_chosen_one(farm, judged):
    found = farm.json("paradox", "mine")

    assert (found["loop"], found["round"], found["rule"]) == ("mine", 1, "beta")
    assert found["truth"] == "gold"
    # The chosen rule first, then voters, the better one first, then the other rules.
    order = [(one["stratum"], one["subject"], one["kind"]) for one in found["lines"]]
    assert order == [
        ("all", "beta", "chosen"), ("all", "sharp", "voter"), ("all", "blunt", "voter"),
        ("all", "k_of_n(1)", "rule"), ("all", "k_of_n(2)", "rule"),
        ("number", "beta", "chosen"), ("number", "blunt", "voter"),
        ("number", "sharp", "voter"), ("number", "k_of_n(1)", "rule"),
        ("number", "k_of_n(2)", "rule"),
    ]  # fmt: skip
    sharp = line(found, "sharp")
    assert sharp["recall"] == pytest.approx(0.9)
    assert sharp["precision"] == pytest.approx(9 / 10)
    assert sharp["keep_rate"] == pytest.approx(10 / 20)
    assert sharp["balanced_accuracy"] == pytest.approx(0.9)
    assert (sharp["best_voter"], sharp["collapsed"]) == ("", False)
    blunt = line(found, "blunt")
    assert (blunt["precision"], blunt["keep_rate"]) == (8 / 14, 14 / 20)
    beta = line(found, "beta")
    assert (beta["recall"], beta["keep_rate"]) == (1.0, 0.6)
    assert beta["precision"] == pytest.approx(10 / 12)
    assert (beta["best_voter"], beta["low"], beta["high"]) == ("sharp", -0.05, 0.05)


def test_it_is_said_in_words_what_collapsed(farm, judged):
    result = farm("paradox", "mine")

    said = result.stdout
    assert "measured against gold" in said
    assert "beta, the labels' rule, collapsed in number" in said
    assert "k_of_n(1) would have collapsed in all" in said
    assert "k_of_n(2) would have collapsed" not in said
    assert "k_of_n(2) drops a word only if all its voters drop it" in said
    assert "-0.200 to -0.100" in said
    assert "its counts are wrong" not in said
    assert "beta is worse than one voter alone somewhere" in result.stderr


def test_a_rule_that_holds_is_said_to_hold(farm, loop, sessions):
    store(sessions, 1, VOTERS, RULES, beside={})

    result = farm("paradox", "mine")

    assert "beta, the labels' rule, collapsed nowhere" in result.stdout
    assert result.stderr == ""


def test_a_superset_that_is_none_is_pointed_out(farm, loop, sessions):
    # Any voter keeps, yet it kept 8 words to keep where `sharp` kept 9.
    store(sessions, 1, VOTERS, {**RULES, ("k_of_n(2)", "all"): (8, 2, 8, 2)})

    said = farm("paradox", "mine").stdout

    assert "yet in all it kept 8 words to keep where a voter kept 9" in said
    assert "yet in number" not in said


def test_what_fell_back_and_what_the_pilot_said_are_told(farm, judged, sessions):
    fallback = Fallback("blunt", 0.75, 0.9, -0.2, -0.1, words=9)
    whole = PilotFinding("all", 90, 0.8, "blunt", 0.75, -0.1, 0.2)
    pilot = Pilot(20, "gold", "beta", whole, ())
    well = "on 20 pilot documents (90 words) beta does not do worse"
    with sessions.begin() as session:
        loops.decide(
            session,
            judged,
            lambda made: replace(made, fallback={"number": fallback}, pilot=pilot),
        )

    said = farm("paradox", "mine").stdout
    found = farm.json("paradox", "mine")

    assert "number fell back to blunt: on calibration gold the rule had 0.750" in said
    assert f"pilot: {well}" in said
    assert found["fallback"] == {"number": asdict(fallback)}
    assert found["pilot"]["sentence"].startswith(well)
    assert (found["pilot"]["words"], found["pilot"]["collapses"]) == (90, False)


def test_without_gold_it_says_what_it_is_measured_by(farm, loop, sessions):
    voters = {("sharp", "all"): (9, 1, 0, 0), ("blunt", "all"): (7, 3, 0, 0)}
    rules = {("beta", "all"): (8, 2, 0, 0), ("k_of_n(2)", "all"): (7, 3, 0, 0)}
    store(sessions, 1, voters, rules, truth="must_keep",
          beside={("beta", "all"): ("sharp", 0.9, None, None)})  # fmt: skip

    said = farm("paradox", "mine").stdout
    found = farm.json("paradox", "mine")

    assert "no gold for the audit documents: measured against must-keep" in said
    assert "must-keep recall at equal keep_rate" in said
    # At equal keep_rate it may well fall behind: that is no wrong count.
    assert "above, all keep equally many words" in said
    assert "its counts are wrong" not in said
    assert found["truth"] == "must_keep"
    assert line(found, "sharp")["recall"] == pytest.approx(0.9)
    for name in ("precision", "balanced_accuracy"):
        assert {one[name] for one in found["lines"]} == {None}


def test_voters_alone_and_the_fallback_have_rows_of_their_own(farm, loop, sessions):
    rules = {
        ("voter(sharp)", "all"): (9, 1, 1, 9),
        ("voter(f(x))", "all"): (5, 5, 5, 5),
        ("beta", "all"): (4, 6, 4, 6),
        ("beta+fallback", "all"): (9, 1, 2, 8),
    }
    store(
        sessions, 1, VOTERS, rules, beside={("beta", "all"): ("sharp", 0.9, -1, -0.1)}
    )

    found = farm.json("paradox", "mine")
    said = farm("paradox", "mine")

    assert found["rule"] == "beta+fallback"
    assert [(one["subject"], one["kind"]) for one in found["lines"]] == [
        ("beta+fallback", "chosen"), ("sharp", "voter"), ("f(x)", "voter"),
        ("beta", "rule"),
    ]  # fmt: skip
    assert line(found, "sharp")["balanced_accuracy"] == pytest.approx(0.9)
    assert line(found, "sharp")["best_voter"] == ""
    # The labels hold what the rule alone would have lost.
    assert "beta+fallback, the labels' rule, collapsed nowhere" in said.stdout
    assert "beta would have collapsed in all" in said.stdout
    assert said.stderr == ""


def test_the_newest_judged_round_is_shown_unless_one_is_named(farm, judged, sessions):
    with sessions.begin() as session:
        found = loops.get_loop(session, "mine")
        first = loops.rounds_of(session, found.id)[0]
        for number in (2, 3):
            loops.create_round(session, found.id, number, first.config)
    store(sessions, 2, VOTERS, RULES, beside={})

    assert farm.json("paradox", "mine")["round"] == 2
    assert farm.json("paradox")["round"] == 2
    assert farm.json("paradox", "mine", "--round", 1)["round"] == 1
    assert "round 3 of mine has judged" in farm.mistake("paradox", "mine", "--round", 3)
    wrong = farm.mistake("paradox", "mine", "--round", 4)
    assert "no round 4; expected one of 1, 2, 3" in wrong


def test_a_round_that_was_not_judged_says_so(farm, loop):
    assert "no round of mine has judged" in farm.mistake("paradox", "mine")


def test_without_a_loop_the_theory_is_offered(farm):
    assert "--simulate 3 1" in farm.mistake("paradox")
    assert "no loop is called" in farm.mistake("paradox", "other")


@pytest.mark.slow  # loads matplotlib
def test_the_picture_says_what_it_shows(farm, judged, tmp_path):
    farm("paradox", "mine", "--plot", tmp_path / "paradox.png")
    said = farm("paradox", "mine", "--plot", tmp_path / "paradox.svg").stdout

    assert "drawn in" in said
    assert (tmp_path / "paradox.png").read_bytes().startswith(b"\x89PNG")
    text = " ".join(ET.parse(tmp_path / "paradox.svg").getroot().itertext())
    for words in ("mine, round 1", "balanced accuracy on gold", "sharp", "k_of_n(2)",
                  "number", "collapsed: below its best voter",
                  "beta, the labels' rule"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mine", "--simulate", 3, 1], "found LOOP and --simulate"),
        (["mine", "--students", "1,2"], "found LOOP and --students"),
        (["--simulate", 3, 1, "--students", "1,2"], "--simulate and --students"),
        (["--simulate", 3, 1, "--round", 2], "--round without LOOP"),
        (["mine", "--correlation", 0.0], "--correlation without --simulate"),
        (["mine", "--suite", "dense"], "--suite without --students"),
        (["mine", "--rule-set", "farm", "--corpus", "ops"],
         "found --corpus, --rule-set without --students"),
        (["--simulate", 3, 1, "--max-documents", 3], "--max-documents without"),
        (["mine", "--plot", "a.pdf"], "ending in .png or .svg"),
        (["mine", "--plot", "none/a.png"], "the folder none does not exist"),
    ],
)  # fmt: skip
def test_what_excludes_each_other_is_a_mistake(home, arguments, expected):
    assert expected in Farm().mistake("paradox", *arguments)
