import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import RecipeConfig, RoundConfig, parse_config
from kompress.labelling.training_examples import (
    describe_sources,
    first_voter,
    gold_targets,
    is_held_out,
    label_targets,
)
from kompress.types import Label, VoteRow


def label(means, sds):
    return Label(np.array(means, dtype=np.float16), np.array(sds, dtype=np.float16))


def test_targets_are_the_mask_or_the_mean():
    found = label([0.25, 0.5, 0.75], [0.25, 0.25, 0.25])

    hard, weight = label_targets(
        found, "consensus", RecipeConfig(targets="hard", weigh_certainty=False)
    )
    soft, _ = label_targets(found, "consensus", RecipeConfig(targets="soft"))

    assert hard.tolist() == [0, 1, 1]
    assert soft.tolist() == [0.25, 0.5, 0.75]
    assert weight is None


def test_certainty_is_what_is_left_of_a_uniform_variance():
    # 1 - sd² / (1/12): 1 - 12/16 = 1/4; 1 - 12/64 = 13/16; a coin's 1/4 is cut at 0.
    found = label([0.5] * 4, [0.25, 0.125, 0.5, 0.0])

    _, weight = label_targets(found, "consensus", RecipeConfig(weigh_certainty=True))

    assert weight.tolist() == [0.25, 0.8125, 0.0, 1.0]


def test_a_mask_weighs_what_it_is_oftener_right_than_wrong():
    # 2 · .75 - 1 = 1/2, of a coin 0, |2 · .125 - 1| = 3/4; of the last 13/16 of 3/4.
    found = label([0.75, 0.5, 0.125, 0.125], [0.0, 0.0, 0.0, 0.125])

    target, weight = label_targets(
        found, "consensus", RecipeConfig(targets="hard", weigh_certainty=True)
    )
    _, soft = label_targets(
        found, "consensus", RecipeConfig(targets="soft", weigh_certainty=True)
    )

    assert target.tolist() == [1, 1, 0, 0]
    assert weight.tolist() == [0.5, 0.0, 0.75, 0.609375]
    # The mean of a well-known coin is as good a target as any.
    assert soft.tolist() == [1.0, 1.0, 1.0, 0.8125]


@pytest.mark.parametrize("source", ["silver", "corrected", "self_label"])
def test_a_single_voters_label_is_its_mask(source):
    found = label([0.25, 0.75], [0.25, 0.25])

    target, weight = label_targets(found, source, RecipeConfig(targets="soft"))

    assert target.tolist() == [0, 1]
    assert weight is None


@given(
    st.lists(st.tuples(st.floats(0, 1), st.floats(0, 0.5)), min_size=1),
    st.sampled_from(["soft", "hard"]),
)
def test_an_example_fits_what_training_accepts(words, targets):
    recipe = RecipeConfig(targets=targets, weigh_certainty=True)

    target, weight = label_targets(
        label(*zip(*words, strict=True)), "self_label+teacher", recipe
    )

    assert ((target >= 0) & (target <= 1)).all()
    assert ((weight >= 0) & (weight <= 1)).all()


def test_words_of_unknown_gold_weigh_nothing():
    target, weight = gold_targets(np.array([254, 0, 255], dtype=np.uint8))

    assert target.tolist() == [1, 0, 0]
    assert weight.tolist() == [1, 1, 0]


def test_silver_is_the_first_voters_that_said_anything():
    def row(voter, *codes):
        return VoteRow(1, voter, 0, 1, np.array(codes, dtype=np.uint8))

    rows = [row("a", 255, 255), row("b", 255, 0), row("c", 254, 0)]

    assert first_voter(("a", "b", "c"), rows) == "b"
    assert first_voter(("c", "b"), rows) == "c"
    assert first_voter(("a",), rows) is None


def test_a_group_is_held_out_by_its_hash():
    digest = hashlib.sha256(b"held_out:repo-1").hexdigest()
    place = int(digest[:16], 16) / 2**64

    assert not is_held_out("repo-1", place - 1e-6)
    assert is_held_out("repo-1", place + 1e-6)
    assert not is_held_out("repo-1", 0.0)


def test_sources_are_named_in_the_order_of_the_mix():
    mix = [{"source": "gold"}, {"source": "silver", "kinds": ["a"]},
           {"source": "silver"}]  # fmt: skip

    assert describe_sources(round_config()) == "consensus"
    assert describe_sources(round_config(mix)) == "gold, silver"


def round_config(mix=(), **recipe):
    return parse_config(
        RoundConfig,
        {
            "voters": [{"name": "alpha", "kind": "simulated"},
                       {"name": "beta", "kind": "simulated"}],
            "recipe": {"mix": list(mix), **recipe},
        },
    )  # fmt: skip
