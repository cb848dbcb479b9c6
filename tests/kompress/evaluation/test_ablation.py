import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import AggregationConfig, RecipeConfig
from kompress.errors import InvalidText
from kompress.evaluation.ablation import (
    TextLabel,
    labels_by_source,
    share_retained,
    train_on_each,
)
from kompress.evaluation.baselines.voters import PoolMember, VoterPool
from kompress.types import ABSTAIN, Vote

KEEP, DROP = 254, 0
TEXTS = ["disk is full", "all is well now"]
RULES = AggregationConfig(rule="majority", compare=())
RECIPE = RecipeConfig.model_validate(
    {
        "parent": "previous",
        "student": {
            "num_layers": 1, "hidden_size": 16, "num_heads": 1,
            "intermediate_size": 16, "span_channels": 4, "vocab_size": 300,
            "max_tokens": 64,
        },
        "epochs": 2,
        "num_threads": 1,
    }
)  # fmt: skip


def cast(*codes):
    return [Vote(np.array(codes, dtype=np.uint8))]


def voted():
    return VoterPool(
        [PoolMember("a", None), PoolMember("b", None), PoolMember("c", None)],
        {
            (TEXTS[0], "a"): cast(KEEP, DROP, KEEP),
            (TEXTS[0], "b"): cast(KEEP, DROP, DROP),
            (TEXTS[0], "c"): cast(DROP, DROP, KEEP),
            (TEXTS[1], "a"): cast(DROP, ABSTAIN, KEEP, KEEP),
        },
    )


def test_every_source_labels_the_same_texts():
    found = labels_by_source(voted(), RULES, TEXTS)

    assert list(found) == ["a", "b", "c", "majority"]
    targets = {name: labels[0].target_N.tolist() for name, labels in found.items()}
    assert targets == {
        "a": [1, 0, 1],
        "b": [1, 0, 0],
        "c": [0, 0, 1],
        "majority": [1, 0, 1],
    }


def test_words_without_a_vote_have_no_weight():
    found = labels_by_source(voted(), RULES, TEXTS)

    weights = {name: labels[1].weight_N.tolist() for name, labels in found.items()}
    assert weights["a"] == [1, 0, 1, 1]
    assert weights["b"] == [0, 0, 0, 0]
    assert weights["majority"] == [1, 0, 1, 1]  # somebody voted on these


@pytest.mark.parametrize(
    ("rule", "best", "on_rule", "on_best", "share"),
    [
        (0.9, 0.8, 0.85, 0.8, 0.5),  # .05 of .1
        (0.9, 0.8, 0.7, 0.75, -0.5),
        (0.9, 0.8, 0.95, 0.8, 1.5),
        (0.8, 0.8, 0.9, 0.8, None),  # nothing gained, nothing to retain
        (0.7, 0.8, 0.9, 0.8, None),
        (None, 0.8, 0.9, 0.8, None),
        (0.9, None, 0.9, 0.8, None),
        (0.9, 0.8, None, 0.8, None),
        (0.9, 0.8, 0.9, None, None),
    ],
)
def test_the_share_of_the_gain_is_as_worked_by_hand(
    rule, best, on_rule, on_best, share
):
    found = share_retained(
        rule=rule,
        best_voter=best,
        student_on_rule=on_rule,
        student_on_best_voter=on_best,
    )

    assert found == (None if share is None else pytest.approx(share))


@given(st.floats(0, 0.5), st.floats(0.01, 0.5))
def test_students_as_good_as_their_teachers_retain_all(best, gain):
    found = share_retained(
        rule=best + gain,
        best_voter=best,
        student_on_rule=best + gain,
        student_on_best_voter=best,
    )

    assert found == pytest.approx(1.0)


@pytest.mark.slow
def test_equal_labels_make_equal_students_and_others_do_not(tmp_path):
    keep = [TextLabel(np.ones(3), np.ones(3)), TextLabel(np.ones(4), np.ones(4))]
    drop = [TextLabel(np.zeros(3), np.ones(3)), TextLabel(np.zeros(4), np.ones(4))]
    seen = []

    trained = list(
        train_on_each(
            TEXTS,
            {"a": keep, "b": keep, "c": drop},
            RECIPE,
            folder=tmp_path,
            max_tokens=10_000,
            progress=lambda *step: seen.append(step),
        )
    )

    assert [one.source for one in trained] == ["a", "b", "c"]
    scores = [np.concatenate(one.student.score(TEXTS)) for one in trained]
    assert scores[0].tolist() == scores[1].tolist()
    assert scores[0].mean() > scores[2].mean()
    assert {one.num_tokens for one in trained} == {trained[0].num_tokens}
    assert all(one.seconds > 0 for one in trained)
    assert {name for name, *_ in seen} == {"a", "b", "c"}
    assert seen[-1][1] == seen[-1][2]


def test_without_texts_nothing_can_be_learnt(tmp_path):
    for texts in ([], ["", " \n"]):
        with pytest.raises(InvalidText, match="no text with words"):
            list(
                train_on_each(
                    texts,
                    {},
                    RECIPE,
                    folder=tmp_path,
                    max_tokens=1_000,
                    progress=lambda *_: None,
                )
            )
