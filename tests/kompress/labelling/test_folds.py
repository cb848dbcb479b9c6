import hashlib

from hypothesis import given
from hypothesis import strategies as st

from kompress.labelling.folds import fold_of, next_fold


def test_a_fold_is_the_hash_of_the_group():
    digest = hashlib.sha256(b"fold:repo-1").hexdigest()

    assert fold_of("repo-1", 5) == int(digest[:16], 16) % 5


@given(st.text(), st.integers(2, 20))
def test_a_group_lies_in_one_fold(group_id, folds):
    assert 0 <= fold_of(group_id, folds) < folds
    assert fold_of(group_id, folds) == fold_of(group_id, folds)


def test_the_next_fold_tells_what_a_folds_labels_teach():
    assert next_fold([0, 1, 4]) == {0: 1, 1: 4, 4: 0}
    assert next_fold([3]) == {}
