import json
from xml.etree import ElementTree as ET

import pytest

from api.cli.paradox.theory import describe, work_out
from tests.api.cli.conftest import Farm


@pytest.fixture
def farm(home):
    return Farm()  # no database: theory needs none


def test_the_theorem_is_shown_for_every_k(farm):
    found = farm.json("paradox", "--simulate", 3, 1)

    assert [row["nested"] for row in found["by_k"]] == pytest.approx([0.3, 0.6, 0.9])
    # All three keep: .3 · .6 · .9; any keeps: 1 - .7 · .4 · .1.
    independent = [row["independent"] for row in found["by_k"]]
    assert independent[0] == pytest.approx(0.162)
    assert independent[2] == pytest.approx(0.972)
    # Three equal voters of .85, ρ = .2, two drops: docs/references.md.
    assert found["by_k"][1]["correlated"] == pytest.approx(0.898, abs=5e-4)
    published = [(row["published"], row["published_best"]) for row in found["by_k"]]
    assert published == [
        pytest.approx((0.340, 0.873), abs=5e-4),
        pytest.approx((0.525, 0.873), abs=5e-4),
        pytest.approx((0.873, 0.873), abs=5e-4),
    ]


def test_what_is_drawn_agrees_with_the_closed_forms(farm):
    for row in farm.json("paradox", "--simulate", 4, 2, "--correlation", 0.4)["by_k"]:
        for name in ("nested", "independent", "correlated"):
            # Four standard errors of 10,000 words.
            assert row[f"{name}_drawn"] == pytest.approx(row[name], abs=0.02)


def test_the_sweep_stays_at_the_k_that_was_asked_for(farm):
    found = farm.json("paradox", "--simulate", 30, 2)

    assert [row["num_voters"] for row in found["sweep"]] == list(range(2, 31))
    assert found["sweep"][0]["nested"] == 0.9
    assert found["sweep"][-1]["nested"] == pytest.approx(0.3 + 0.6 / 29)


@pytest.mark.parametrize("rho", [0, 1])
def test_copies_and_strangers_are_not_drawn(farm, rho):
    found = farm.json("paradox", "--simulate", 3, 3, "--correlation", rho)

    last = found["by_k"][-1]
    assert last["correlated_drawn"] is None
    assert last["correlated"] == pytest.approx(0.85 if rho else 1 - 0.15**3)


def test_it_is_said_in_words(farm):
    said = farm("paradox", "--simulate", 3, 1).stdout

    assert "1 of 3 is its weakest voter,\nexactly: 0.300" in said
    assert (
        "superset of each voter's words, so never below the best voter's 0.900" in said
    )
    assert "0.340 beside its best voter's 0.873" in said
    assert max(map(len, said.splitlines())) <= 120


@pytest.mark.parametrize(
    ("num_voters", "k", "rank"),
    [(5, 2, "2nd weakest"), (5, 5, "best"), (15, 11, "11th weakest"),
     (25, 23, "23rd weakest"), (1, 1, "weakest")],
)  # fmt: skip
def test_the_ensemble_s_place_among_its_voters_is_named(num_voters, k, rank):
    said = " ".join(describe(work_out(num_voters, k, None)))

    assert f"{k} of {num_voters} is its {rank} voter" in said


@pytest.mark.slow  # loads matplotlib
def test_the_picture_says_what_it_shows(farm, tmp_path):
    for name in ("theory.png", "theory.svg"):
        said = farm("paradox", "--simulate", 5, 2, "--plot", tmp_path / name).stdout
        assert f"drawn in {tmp_path / name}" in said

    assert (tmp_path / "theory.png").read_bytes().startswith(b"\x89PNG")
    text = " ".join(ET.parse(tmp_path / "theory.svg").getroot().itertext())
    for words in ("recall of 2 of 5", "nested drops", "independent drops",
                  "drops correlated 0.2", "N: number of voters",
                  "recall: kept words / words to keep"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--simulate", 3, 4], "1 <= K <= N"),
        (["--simulate", 3, 0], "1 <= K <= N"),
        (["--simulate", 101, 1], "at most 100"),
        (["--simulate", 3, 1, "--correlation", 1.5], "correlation is 1.5"),
        (["--simulate", 3], "requires 2 arguments"),
    ],
)
def test_a_mistake_is_explained(farm, arguments, expected):
    assert expected in farm.mistake("paradox", *arguments)


def test_json_and_the_table_hold_the_same_figures(farm):
    found = json.loads(farm("paradox", "--simulate", 2, 1, "--json").stdout)
    said = farm("paradox", "--simulate", 2, 1).stdout

    # Both keep: .3 · .9 = .27.
    assert found["by_k"][0]["independent"] == pytest.approx(0.27)
    assert "0.270" in said
    assert "0.200–0.300" in said  # .3 + .9 - 1 to the weaker one's
