import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.diagnosis.folds import assign_folds


@given(st.lists(st.sampled_from("abcdefgh"), max_size=20))
def test_a_repository_is_in_one_fold_and_folds_are_even(repositories):
    fold_T = assign_folds(repositories, num_folds=3)

    by_name = {}
    for name, fold in zip(repositories, fold_T.tolist(), strict=True):
        assert by_name.setdefault(name, fold) == fold
    sizes = np.bincount(list(by_name.values()), minlength=3)
    assert sizes.max() - sizes.min() <= 1


def test_folds_do_not_depend_on_the_order_of_logs():
    names = ["x/a", "x/b", "x/c", "x/b"]

    assert assign_folds(names)[::-1].tolist() == assign_folds(names[::-1]).tolist()
