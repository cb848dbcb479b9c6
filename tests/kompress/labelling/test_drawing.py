import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress.config import RecipeConfig, SelectionConfig
from kompress.labelling.drawing import (
    cut_shards,
    draw_documents,
    share_of_budget,
    weigh_documents,
)


def test_documents_of_known_size_are_drawn_more_often_than_average():
    config = SelectionConfig(num_documents=1, uniform_share=0.0, random_slice=0.0)

    # Sizes 2 * 3 = 6, the average 2 * 1 = 2 of the influence, and 1 * 1.
    draw = draw_documents([7, 8, 9], {7: 2.0, 9: 1.0}, {7: 3.0, 9: 1.0}, config, (0, 1))

    # Document 8 counts as average: 1.5 * 2 = 3; the sizes sum to 10.
    (chosen,) = draw.documents
    assert chosen.probability == pytest.approx({7: 0.6, 8: 0.3, 9: 0.1}[chosen.id])
    assert not chosen.in_slice
    assert draw.num_expected == pytest.approx(1)
    assert draw.num_random_slice == 0


@given(
    st.sets(st.integers(1, 99), min_size=1, max_size=30),
    st.integers(1, 40),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_a_draw_holds_the_budget_and_its_slice_and_depends_on_the_seed_alone(
    ids, budget, share, seed
):
    config = SelectionConfig(num_documents=budget, random_slice=share)
    ids = sorted(ids)

    draw = draw_documents(ids, {}, {}, config, (seed, 1))

    assert draw == draw_documents(ids, {}, {}, config, (seed, 1))
    drawn = [document.id for document in draw.documents]
    assert drawn == sorted(set(drawn))
    assert set(drawn) <= set(ids)
    assert len(drawn) >= min(budget, len(ids))
    assert sum(row.in_slice for row in draw.documents) == draw.num_random_slice
    assert all(0 < row.probability <= 1 for row in draw.documents)


def test_documents_weigh_by_how_rarely_they_are_drawn_and_gold_weighs_one():
    # n/(N π) of n = 2 expected among N = 4: 0.5 / π, at most 3.
    found = weigh_documents([0.5, None, 0.25, 0.1], 2.0, 4, 3.0)

    np.testing.assert_allclose(found, [1.0, 1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("num_documents", "size", "sizes"),
    [
        (5, 5, [5]),
        (6, 5, [3, 3]),  # two shards are needed, of nearly equal size
        (11, 5, [3, 4, 4]),  # bounds 0, 11/3, 22/3, 11
        (3, 1, [1, 1, 1]),
    ],
)
def test_shards_are_nearly_equal(num_documents, size, sizes):
    shards = cut_shards(range(num_documents), size)

    assert [len(shard) for shard in shards] == sizes


@given(st.sets(st.integers(0, 999), min_size=1, max_size=60), st.integers(1, 20))
def test_shards_hold_every_document_once_in_order(ids, size):
    shards = cut_shards(list(ids), size)

    assert [i for shard in shards for i in shard] == sorted(ids)
    lengths = [len(shard) for shard in shards]
    assert all(0 < length <= size for length in lengths)
    assert max(lengths) - min(lengths) <= 1


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
