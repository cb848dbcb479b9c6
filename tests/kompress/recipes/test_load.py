import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.errors import InvalidConfig
from kompress.recipes.load import (
    load_recipe,
    loop_data,
    recipe_chain,
    shipped_recipes,
    shipped_voters,
)
from kompress.voters import VOTERS

LINE = ["v3", "v3.1", "v3.2", "v3.3", "v4", "v5", "v6", "v8", "v9", "v11", "v16", "v17"]
OURS = ["farm-1", "farm-2"]
OWN = """
label_source = "silver"
[recipe]
name = "mine"
"""


def resolved(name):
    """The last round's config: the recipe's own."""
    config = parse_config(LoopConfig, loop_data(load_recipe(name)))
    return config.resolve(config.stop.max_rounds)


@pytest.fixture
def write(tmp_path):
    def write(text, name="mine.toml"):
        path = tmp_path / name
        path.write_text(text)
        return str(path)

    return write


def test_the_line_ships_in_the_order_of_its_versions_and_ours_behind_it():
    assert shipped_recipes() == [*LINE, *OURS]


@pytest.mark.parametrize("name", [*LINE, *OURS])
def test_a_shipped_recipe_is_what_its_file_is_called(name):
    recipe = load_recipe(name)
    config = resolved(name)

    assert (recipe.name, config.recipe.name) == (name, name)
    assert recipe.change == config.recipe.change != ""
    assert config.folds == 0
    assert recipe.stand_in in VOTERS or not recipe.stand_in


@pytest.mark.parametrize("name", [*LINE, *OURS])
def test_a_round_is_its_recipes_file_and_nothing_else(name):
    # Alone or at the end of a chain: the same config.
    chain = recipe_chain(load_recipe(name))
    config = parse_config(LoopConfig, loop_data(load_recipe(name)))

    for number, link in enumerate(chain, 1):
        assert config.resolve(number) == parse_config(RoundConfig, link.round)


@pytest.mark.parametrize(
    ("name", "chain"),
    [
        ("v3", ["v3"]),
        ("v3.2", ["v3.1", "v3.2"]),
        ("v4", ["v3", "v4"]),
        ("v5", ["v3", "v4", "v5"]),
        ("v6", ["v3", "v4", "v5", "v6"]),
    ],
)
def test_a_loop_runs_the_recipes_that_a_recipe_follows(name, chain):
    data = loop_data(load_recipe(name))

    assert [changes["recipe"]["name"] for changes in data["rounds"]] == chain
    assert data["stop"] == {"max_rounds": len(chain) + 2, "patience": 1}


def test_the_weights_are_those_of_the_published_line():
    # docs/references.md: 3 (v3, v8), 6 (v3.1, v3.2), 10 (v4-v6, v16), 5 (v17)
    found = {name: resolved(name).recipe.must_keep_weight for name in LINE}

    assert [found[name] for name in ("v3", "v8", "v3.1", "v3.2")] == [3, 3, 6, 6]
    assert [found[name] for name in ("v4", "v5", "v6", "v16", "v17")] == [10] * 4 + [5]


def test_v3_2_moves_adapters_alone_and_v11_is_larger():
    tuning = resolved("v3.2").recipe.fine_tuning
    small, large = resolved("v3.1").recipe.student, resolved("v11").recipe.student

    assert (tuning.method, tuning.lora_rank, tuning.lora_alpha) == ("lora", 16, 32)
    assert tuning.lora_modules == ("Wqkv", "Wo")
    assert large.num_layers > small.num_layers
    assert large.hidden_size > small.hidden_size
    assert large.hidden_size % large.num_heads == 0


def test_a_third_of_v8_is_c3():
    assert [(part.voter, part.share) for part in resolved("v8").recipe.mix] == [
        ("c3", 0.33),
        ("qa", 0.67),
    ]


def test_the_voters_of_all_rounds_are_named():
    # v8 reads two origins; what follows v3 takes its voter.
    assert {"c3", "qa", "domain", "salience"} <= set(shipped_voters())


def test_an_unknown_name_lists_those_there_are():
    with pytest.raises(InvalidConfig, match=r"'v7'; expected one of v3, v3\.1, .*v17"):
        load_recipe("v7")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (OWN + "colour = 1", "recipe.colour"),
        ("colour = 1" + OWN, "colour: .*\n.*its keys are: follows, "),
        ("[published]\nexact = 1" + OWN.replace("\nlabel", "\n#"), "published.exact"),
        ("label_source = 'silver'", "recipe.name is missing"),
        ("[recipe", "is not TOML"),
        (OWN + "parent = 3", "recipe.parent"),
        ("follows = 'v0'" + OWN, "no recipe is called 'v0'"),
        ("follows = 'mine.toml'" + OWN, "in a circle: mine -> mine"),
        (OWN.replace("silver", "self_label"), "no student exists before it"),
        (OWN + "[[recipe.mix]]\nsource = 'silver'\nvoter = 'x'", "the voter 'x'"),
    ],
)
def test_a_wrong_recipe_names_its_mistake(write, text, expected):
    with pytest.raises(InvalidConfig, match=expected):
        loop_data(load_recipe(write(text)))


def test_a_recipe_of_ones_own_follows_a_shipped_one_or_a_file_beside_it(write):
    write("follows = 'v3'" + OWN, "first.toml")
    second = OWN.replace("silver", "self_label").replace("mine", "second")

    data = loop_data(load_recipe(write("follows = 'first.toml'" + second, "s.toml")))

    assert [c["recipe"]["name"] for c in data["rounds"]] == ["v3", "mine", "second"]
    # None of its own: the voters are those of the recipe that it follows.
    assert [voter["name"] for voter in data["rounds"][2]["voters"]] == ["qa"]


def test_without_voters_those_vote_that_need_no_model(write):
    data = loop_data(load_recipe(write(OWN)))

    kinds = [voter["kind"] for voter in data["base"]["voters"]]
    assert kinds == ["salience", "self_information", "syntax"]


@given(st.sampled_from(LINE), st.floats(0.5, 100))
def test_any_weight_in_a_file_is_the_rounds_weight(name, weight):
    data = loop_data(load_recipe(name))
    data = json.loads(json.dumps(data))
    data["rounds"][-1]["recipe"]["must_keep_weight"] = weight

    config = parse_config(LoopConfig, data)

    last = config.resolve(len(config.rounds)).recipe
    assert (last.name, last.must_keep_weight) == (name, weight)
