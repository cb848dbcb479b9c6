import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import LoopConfig, parse_config
from kompress.errors import InvalidConfig
from kompress.recipes.corpus_fit import ReferenceUse, fit_to_corpus
from kompress.recipes.load import load_recipe, loop_data


def fit(name, origins, stand_in="salience"):
    data = loop_data(load_recipe(name))
    return fit_to_corpus(data, origins, stand_in=stand_in)


def names(changes):
    return [voter["name"] for voter in changes["voters"]]


def test_references_that_exist_are_used_and_counted():
    data, uses = fit("v4", {"qa": 12, "other": 3})

    assert [names(changes) for changes in data["rounds"]] == [["qa"], ["qa"]]
    assert uses == [ReferenceUse(("qa",), voter="qa", num_documents=12)]


def test_a_stand_in_votes_where_a_corpus_has_none():
    data, uses = fit("v4", {})

    parse_config(LoopConfig, data)
    voters = [{"name": "salience", "kind": "salience"}]
    assert [changes["voters"] for changes in data["rounds"]] == [voters, voters]
    assert data["base"]["voters"] == voters
    assert data["rounds"][1]["recipe"]["change"] == (
        "self-labels of v3's student; salience for references"
    )
    assert uses == [ReferenceUse(("qa",), stand_in="salience")]


def test_without_one_of_two_origins_the_other_is_enough():
    data, uses = fit("v3.1", {"qa": 5})

    assert names(data["rounds"][0]) == ["qa"]
    assert uses[-1] == ReferenceUse(("domain",))


def test_a_mix_of_one_voter_follows_its_stand_in():
    data, _ = fit("v3.3", {})

    (part,) = parse_config(LoopConfig, data).resolve(1).recipe.mix
    assert (part.voter, part.max_documents_per_kind) == ("salience", 500)


@pytest.mark.parametrize(
    ("name", "origins", "stand_in", "expected"),
    [
        ("v9", {}, "", "needs references of origin 'c3', the corpus has none; add"),
        # Two origins told apart by share: nothing can stand in for one of them.
        ("v8", {"qa": 5}, "salience", r"origin 'c3', the corpus has 'qa' \(5\)"),
        ("v8", {}, "salience", "origin 'c3', 'qa', the corpus has none"),
        ("v4", {"gpt": 5}, "", "which of the corpus' own"),
    ],
)
def test_what_cannot_run_says_what_is_missing(name, origins, stand_in, expected):
    with pytest.raises(InvalidConfig, match=expected):
        fit(name, origins, stand_in)


@given(st.sampled_from(["v3", "v3.1", "v3.2", "v4", "v11", "v16"]), st.data())
def test_a_fitted_loop_names_only_origins_that_exist(name, data):
    origins = dict.fromkeys(data.draw(st.sets(st.sampled_from(["qa", "domain"]))), 1)

    fitted, _ = fit(name, origins)

    parse_config(LoopConfig, fitted)
    for changes in fitted["rounds"]:
        used = {v["params"]["origin"] for v in changes["voters"] if "params" in v}
        assert used <= set(origins)
        assert used or names(changes) == ["salience"]
