import xml.etree.ElementTree as ET

import pytest

from db.queries import loops, scores
from kompress.types import Score
from tests.api.cli.test_ladder import add_student

RATES = (0.5, 0.6, 0.7, 0.8, 0.9)


def rows(own, qualities, *, interval=0.02):
    """A student's scores: (keep_rate, exact_pct) of its own, exact_pct by RATES."""
    points = [(None, *own), *zip(RATES, RATES, qualities, strict=True)]
    return [
        Score("agent", "all", metric, value, 100, target_keep_rate=target,
              rule_set="farm" if metric == "exact_pct" else "",
              ci_low=value - interval, ci_high=value + interval)
        for target, rate, quality in points
        for metric, value in (("keep_rate", rate), ("exact_pct", quality))
    ]  # fmt: skip


@pytest.fixture
def scored(farm, ndjson, sessions):
    """A loop of two students and random dropping."""
    farm("corpus", "add", "ops", ndjson({"text": "disk full", "split": "train"}))
    farm("loop", "start", "ops", "--recipe", "v4", "--name", "mine")
    with sessions.begin() as session:
        loop = loops.get_loop(session, "mine")
        first = loops.rounds_of(session, loop.id)[0]
        second = loops.create_round(session, loop.id, 2, first.config)
        for row, own, qualities in (
            (first, (0.85, 0.9), (0.6, 0.7, 0.78, 0.86, 0.93)),
            (second, (0.75, 0.94), (0.7, 0.8, 0.9, 0.96, 0.98)),
        ):
            student = add_student(session, row)
            stored = rows(own, qualities)
            scores.store_scores(
                session, row.id, "student", str(student), student, stored
            )
            chance = rows((own[0], own[0]), RATES)
            scores.store_scores(session, row.id, "baseline", "random", None, chance)
    return student


def test_the_frontier_is_what_no_other_point_beats(farm, scored):
    points = farm.json("pareto", "mine")

    own = [p for p in points if p["target"] is None and p["student"]]
    assert [(p["round"], p["quality"], p["keep_rate"]) for p in own] == [
        (1, 0.9, 0.85),
        (2, 0.94, 0.75),
    ]
    # The second beats the first everywhere, by its own threshold and by its curve.
    best = {(p["student"], p["keep_rate"]) for p in points if p["on_frontier"]}
    assert best == {(scored, rate) for rate in (*RATES, 0.75)}
    random = [p for p in points if p["student"] is None]
    assert len(random) == 6
    assert {p["round"] for p in random} == {2}


@pytest.mark.slow  # loads matplotlib
def test_the_picture_says_what_it_shows(farm, scored, tmp_path):
    farm("pareto", "mine", "--out", tmp_path / "pareto.png")
    said = farm("pareto", "mine", "--out", tmp_path / "pareto.svg").stdout

    assert "drawn in" in said
    assert "0.920–0.960" in said
    assert (tmp_path / "pareto.png").read_bytes().startswith(b"\x89PNG")
    text = " ".join(ET.parse(tmp_path / "pareto.svg").getroot().itertext())
    for words in ("keep_rate: kept words", "exact_pct", "frontier", "random dropping",
                  "v3, round 1", "mine, suite agent"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["mine", "--metric", "rouge"], "expected one of exact_pct, f1"),
        (["mine", "--out", "a.pdf"], "ending in .png or .svg"),
        (["mine", "--out", "none/a.png"], "the folder none does not exist"),
        (["other"], "no loop is called"),
    ],
)
def test_a_mistake_is_explained(farm, scored, arguments, expected):
    assert expected in farm.mistake("pareto", *arguments)


def test_a_metric_without_scores_says_so(farm, scored):
    assert (
        "no student of mine has f1" in farm("pareto", "mine", "--metric", "f1").stdout
    )
