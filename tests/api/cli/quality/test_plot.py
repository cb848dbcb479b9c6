"""Reliability diagrams: whose they are, and that the same figures give one picture."""

import numpy as np
import pytest

from api.cli.quality.plot import choose_rows, draw_diagrams
from db.queries import loops, quality
from kompress.types import VoterStatRow


def row(voter, truth="gold", number=1, stratum="all", n=10):
    empty = {"stated": None, "observed": None, "n": 0}
    full = {"stated": 0.95, "observed": 0.75, "n": n}
    return {
        "loop": "mine", "round": number, "voter": voter, "stratum": stratum,
        "truth": truth, "ece": 0.2, "diagram": [*[empty] * 9, full],
    }  # fmt: skip


def test_the_newest_round_is_drawn_by_gold_if_there_is_any():
    rows = [
        row("a"), row("a", number=2), row("a", number=3, truth="leave_one_out"),
        row("b", number=2), row("b", number=2, stratum="hex"), row("c", number=2, n=0),
        {**row("d", number=2), "diagram": None},
    ]  # fmt: skip

    chosen = choose_rows(rows)
    without = choose_rows([r for r in rows if r["truth"] != "gold"])

    assert [(r["voter"], r["round"]) for r in chosen] == [("a", 2), ("b", 2)]
    assert [(r["voter"], r["truth"]) for r in without] == [("a", "leave_one_out")]
    assert choose_rows([row("a", truth="must_keep")]) == []


def test_equal_figures_give_equal_pictures(tmp_path):
    one, two = tmp_path / "one.svg", tmp_path / "two.svg"

    draw_diagrams([row(name) for name in "abcde"], one)
    draw_diagrams([row(name) for name in "abcde"], two)

    assert one.read_bytes() == two.read_bytes()
    drawn = one.read_text()
    assert "ECE 0.200, 10 votes" in drawn
    assert "mine, round 1: reliability of each voter" in drawn


@pytest.fixture
def judged(farm, ndjson, sessions):
    farm(
        "corpus",
        "add",
        "ops",
        ndjson({"id": "a", "kind": "log", "text": "a b", "split": "train"}),
    )
    farm("loop", "start", "ops", "--name", "mine")
    counts = np.arange(256).tolist()
    with sessions.begin() as session:
        loop = loops.get_loop(session, "mine")
        (first,) = loops.rounds_of(session, loop.id)
        rows = [
            VoterStatRow(voter, "all", "gold", 3, 1, 1, 3, 0, 0, counts, counts[::-1])
            for voter in ("t1", "t2")
        ]
        quality.add_voter_stats(session, first.id, rows)
        ece = {("t1", "all", "gold"): 0.0625}
        quality.set_voter_fits(session, first.id, {}, ece)


def test_a_diagram_is_drawn_on_request(farm, judged, tmp_path):
    out = tmp_path / "reliability.png"

    said = farm("quality", "--by", "voter", "--plot", out).stdout

    assert f"drawn in {out}" in said
    assert out.read_bytes().startswith(b"\x89PNG")
    assert "0.062" in said  # the ECE stands in the table; ten bins a row do not
    assert "stated" not in said
    rows = farm.json("quality", "--by", "voter", "--plot", out)
    assert len(rows[0]["diagram"]) == 10


def test_what_cannot_be_drawn_is_said(farm, judged, tmp_path):
    out = tmp_path / "x.svg"

    assert ".png or .svg" in farm.mistake("quality", "--plot", "x.gif")
    gone = farm.mistake("quality", "--plot", tmp_path / "none" / "x.png")
    assert "none does not exist" in gone
    assert "no voter is named" in farm.mistake(
        "quality", "--source", "nobody", "--plot", out
    )
    assert "nothing is drawn" in farm("quality", "--round", "7", "--plot", out).stdout
    assert not out.exists()
