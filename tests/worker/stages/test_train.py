import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import RecipeConfig
from worker.stages.train import fold_of, share_of_budget


def test_a_fold_is_the_hash_of_the_group():
    digest = hashlib.sha256(b"fold:repo-1").hexdigest()

    assert fold_of("repo-1", 5) == int(digest[:16], 16) % 5


@given(st.text(), st.integers(2, 20))
def test_a_group_lies_in_one_fold(group_id, folds):
    assert 0 <= fold_of(group_id, folds) < folds
    assert fold_of(group_id, folds) == fold_of(group_id, folds)


@pytest.mark.parametrize(
    ("folds", "is_main", "tokens"),
    [
        # Epochs 3, fold epochs 2. Two folds: 3 + 2 * 2 * 1/2 = 5 passes.
        (2, True, 600),  # 1000 * 3 / 5
        (2, False, 200),  # 1000 * 1 / 5
        (0, True, 1000),
        # Four folds: one sees 2 * 3/4 = 1.5 passes, all 3 + 6 = 9.
        (4, True, 333),  # 1000 * 3 / 9
        (4, False, 166),  # 1000 * 1.5 / 9
    ],
)
def test_students_share_the_budget_by_what_they_see(folds, is_main, tokens):
    recipe = RecipeConfig(epochs=3, fold_epochs=2, max_train_tokens=1000)

    assert share_of_budget(recipe, folds, is_main=is_main) == tokens


def test_without_a_budget_there_is_no_share():
    assert share_of_budget(RecipeConfig(), 2, is_main=True) is None


@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 20), st.integers(1, 10**7))
def test_shares_never_exceed_the_budget(epochs, fold_epochs, folds, budget):
    recipe = RecipeConfig(
        epochs=epochs, fold_epochs=fold_epochs, max_train_tokens=budget
    )

    main = share_of_budget(recipe, folds, is_main=True)
    one = share_of_budget(recipe, folds, is_main=False)

    assert budget - folds - 1 <= main + folds * one <= budget


@pytest.mark.slow  # runs a loop
def test_a_round_whose_voters_all_fail_says_so_before_it_trains(farm):
    farm.add_documents(20)
    farm.start(failure_rate=1.0)

    farm.run()

    ((stage, _, error),) = farm.parked()
    assert stage == "train"
    assert "no label of source 'consensus' to train on" in error
    assert farm.query("SELECT count(*) FROM failures") == [
        (3 * farm.query("SELECT count(*) FROM selections")[0][0],)
    ]
