import tomllib

import pytest

from api.errors import InvalidInput
from api.loop_configs import recipe_config, recipe_config_text
from kompress.config import LoopConfig, parse_config
from kompress.errors import InvalidConfig
from kompress.recipes.load import shipped_recipes


def fitted(name, origins=(), kinds=("bash_output",), **options):
    return recipe_config(
        name,
        corpus="ops",
        origins=dict.fromkeys(origins, 5),
        kinds=dict.fromkeys(kinds, 5),
        **options,
    )


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_printed_as_a_loop_is_the_same_loop(name):
    printed = parse_config(LoopConfig, tomllib.loads(recipe_config_text(name)))

    config, _ = fitted(name, ["qa", "domain", "c3"])

    assert [printed.resolve(n) for n in (1, 2)] == [config.resolve(n) for n in (1, 2)]
    assert printed.stop == config.stop


def test_references_may_have_another_name():
    config, notes = fitted("v3", ["gpt"], renamed=["qa=gpt"])

    assert config.resolve(1).voters[0].params == {"origin": "gpt"}
    assert "'gpt', 5 documents" in notes[0]


def test_another_voter_stands_in_if_asked():
    config, _ = fitted("v4", silver_voter="syntax")

    assert [voter.kind for voter in config.resolve(2).voters] == ["syntax"]


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("v3", {"renamed": ["qa"]}, "expected RECIPE_ORIGIN=CORPUS_ORIGIN"),
        ("v3", {"renamed": ["c3=x"]}, "of origin 'c3'; expected one of qa"),
        ("v3", {"silver_voter": "none"}, "needs references of origin 'qa'"),
        ("v6", {"kinds": ["poem"]}, "'ops' has poem; add such documents"),
    ],
)
def test_what_a_corpus_cannot_do_is_said_at_once(name, options, expected):
    with pytest.raises((InvalidInput, InvalidConfig), match=expected):
        fitted(name, **options)
