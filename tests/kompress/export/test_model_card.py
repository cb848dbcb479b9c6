import yaml

from kompress.export.model_card import write_card
from kompress.types import Score


def score(metric, value, **changes):
    fields = {"suite": "agent", "stratum": "all", "metric": metric, "value": value,
              "n": 1234, "rule_set": "farm"}  # fmt: skip
    return Score(**fields | changes)


def rows_of(card):
    lines = [line for line in card.splitlines() if line.startswith("| agent")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_the_front_matter_is_yaml_that_a_hub_reads(student):
    card = write_card(student, "org/name")

    front = yaml.safe_load(card.split("---")[1])
    assert front["license"] == "apache-2.0"
    assert front["library_name"] == "transformers"
    assert {"kompress", "dual-head"} <= set(front["tags"])


def test_every_figure_stands_beside_its_keep_rate_rule_set_and_n(student):
    scores = [
        score("keep_rate", 0.7834, rule_set=""),
        score("exact_pct", 0.9711, ci_low=0.9601, ci_high=0.9799),
        score("keep_rate", 0.5, rule_set="", target_keep_rate=0.5),
        score("exact_pct", 0.8, target_keep_rate=0.5),
    ]

    own, half = rows_of(write_card(student, "org/name", scores))

    assert own == ["agent", "all", "exact_pct", "0.971", "0.960–0.980", "0.783", "",
                   "farm", "multiset", "none", "1234"]  # fmt: skip
    assert half[3:7] == ["0.800", "", "0.500", "0.5"]


def test_scores_of_one_text_a_step_or_nothing_are_left_out(student):
    scores = [
        score("exact_pct", 0.9, text_sha256="ab" * 32),
        score("exact_pct", 0.9, step=100),
        score("exact_pct", None),
        score("held_out_loss", 0.3),
        score("exact_pct", 0.9, stratum="path"),
    ]

    assert rows_of(write_card(student, "org/name", scores)) == []


def test_a_card_without_scores_says_so(student):
    assert "Not measured" in write_card(student, "org/name")


def test_lineage_labels_and_recipe_are_told(student):
    card = write_card(student, "org/name", label_source="corrected")

    assert "- parent: none" in card
    assert "- labels: corrected" in card
    assert "- texts: 2;" in card
    assert '"name": "v4"' in card
    assert 'model_id="org/name"' in card
