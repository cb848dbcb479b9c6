import pytest

from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.errors import InvalidConfig

VOTERS = [{"name": "grammar", "kind": "syntax"}]


def round_config(**changes):
    return parse_config(RoundConfig, {"voters": VOTERS} | changes)


def test_a_round_needs_what_it_trains_on_and_what_its_figures_speak_of():
    mix = [{"source": "gold", "share": 0.5}, {"source": "corrected"}]

    assert round_config().label_sources() == {"consensus"}
    found = round_config(label_source="silver", recipe={"mix": mix}).label_sources()
    assert found == {"silver", "gold", "corrected"}


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        ({"source": "silver", "voter": "oracle"}, "the mix names the voter 'oracle'"),
        ({"source": "consensus", "voter": "grammar"}, "leave voter out"),
        ({"source": "silver", "share": 0.4}, "shares add up to 0.4"),
        ({"source": "silver", "kind": ["a"]}, "recipe.mix.0.kind"),
    ],
)
def test_a_wrong_part_of_a_mix_is_named(part, expected):
    with pytest.raises(InvalidConfig, match=expected):
        round_config(recipe={"mix": [part]})


def test_the_first_round_cannot_train_on_a_students_labels():
    mix = [{"source": "self_label+teacher"}]
    base = {"voters": VOTERS, "recipe": {"mix": mix}}

    with pytest.raises(InvalidConfig, match="no student exists before it"):
        parse_config(LoopConfig, {"base": base})


CORRECTOR = {
    "name": "expert",
    "kind": "teacher",
    "params": {"protocol": "correct", "engine": "vllm", "model": "m"},
}


def test_a_teacher_that_corrects_waits_for_a_student_to_correct():
    both = {"voters": [*VOTERS, CORRECTOR]}

    with pytest.raises(InvalidConfig, match="'expert' of the protocol correct"):
        parse_config(LoopConfig, {"base": both})
    loop = parse_config(LoopConfig, {"base": {"voters": VOTERS}, "rounds": [{}, both]})

    assert loop.resolve(1).correctors() == ()
    assert loop.resolve(2).correctors() == ("expert",)


def test_a_voter_may_give_more_answers_than_usual_but_not_fewer():
    def voter(**changes):
        return round_config(voters=[VOTERS[0] | changes]).voters[0]

    assert voter(replicates=2).limit == 2
    assert voter(max_replicates=3).limit == 3
    with pytest.raises(
        InvalidConfig, match="max_replicates 1 and replicates 2; expected max_repl"
    ):
        voter(replicates=2, max_replicates=1)


def test_a_stored_recipe_with_a_removed_key_is_read_and_a_typo_is_not():
    recipe = round_config(recipe={"name": "old", "optimizer": "adamw"}).recipe

    assert "optimizer" not in recipe.model_dump()
    assert recipe.record()["optimizer"] == "adamw"
    for wrong in ({"optimizer": "sgd"}, {"optimiser": "adamw"}):
        with pytest.raises(InvalidConfig, match=r"recipe\.optimi"):
            round_config(recipe=wrong)


WHOLE_NUMBERS = [
    ("seed",), ("stop", "max_rounds"), ("stop", "patience"),
    ("base", "shard_documents"), ("base", "selection", "num_documents"),
    ("base", "escalation", "gold_words"), ("base", "pairwise", "cycles"),
    ("base", "self_label", "min_chars"), ("base", "recipe", "seed"),
    ("base", "recipe", "epochs"), ("base", "recipe", "student", "hidden_size"),
    ("base", "recipe", "fine_tuning", "lora_rank"),
]  # fmt: skip


@pytest.mark.parametrize("path", WHOLE_NUMBERS)
@pytest.mark.parametrize("value", [10**400, -(10**400), 2**63, -(2**63) - 1])
def test_numbers_of_over_64_bits_are_refused(path, value):
    config: dict = {"base": {"voters": [{"name": "a", "kind": "salience"}]}}
    place = config
    for key in path[:-1]:
        place = place.setdefault(key, {})
    place[path[-1]] = value

    with pytest.raises(InvalidConfig) as refused:
        parse_config(LoopConfig, config)

    assert path[-1] in str(refused.value)
    assert len(str(refused.value)) < 300
