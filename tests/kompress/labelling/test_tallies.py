"""What is held of many documents."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kompress.labelling.tallies import GroupCounts, TextSample


def counted(groups, limit):
    """Each document counts 1 of its own kind of thing, and 2 of another."""
    found = GroupCounts(limit=limit)
    for group in groups:
        found.add(group, np.array([1, 2]))
    return found.stack((2,))


def drawn(sizes, limit):
    found = TextSample(limit=limit)
    for text_id, num_words in sizes:
        found.add(text_id, num_words, f"text {text_id}")
    return found.drawn()


def test_counts_of_one_group_add_up_in_the_order_of_names():
    assert counted(["b", "a", "b"], limit=9).tolist() == [[1, 2], [2, 4]]
    assert counted([], limit=9).shape == (0, 2)


def test_groups_beyond_the_limit_are_thrown_together():
    groups = [f"g{n}" for n in range(1_000)]

    found = counted(groups, limit=10)

    assert found.shape == (10, 2)
    assert found.sum(axis=0).tolist() == [1_000, 2_000]
    # A hash spreads them: 100 each, give or take 10.
    assert 50 < found[:, 0].min() < found[:, 0].max() < 150
    assert len(counted(groups[:10], limit=10)) == 10


@given(
    st.lists(st.sampled_from("abcdefgh"), max_size=20),
    st.integers(1, 9),
    st.randoms(use_true_random=False),
)
def test_no_order_of_documents_changes_the_counts(groups, limit, random):
    shuffled = random.sample(groups, len(groups))

    assert counted(groups, limit).tolist() == counted(shuffled, limit).tolist()


def test_a_sample_holds_everything_up_to_its_limit():
    sizes = [(7, 3), (2, 4), (5, 3)]

    assert drawn(sizes, limit=10) == {2: "text 2", 5: "text 5", 7: "text 7"}
    assert drawn([], limit=10) == {}


def test_a_sample_stops_at_the_text_that_reaches_the_limit():
    # Texts of ten words: five of them hold 45 or more, four do not.
    assert len(drawn([(n, 10) for n in range(1_000)], limit=45)) == 5


def test_a_sample_is_spread_over_all_texts():
    found = list(drawn([(n, 1) for n in range(10_000)], limit=1_000))

    # The mean of 1,000 of them: 5,000, give or take 91.
    assert abs(np.mean(found) - 5_000) < 400


@given(
    st.lists(st.integers(0, 9), max_size=20),
    st.integers(1, 60),
    st.randoms(use_true_random=False),
)
def test_no_order_of_texts_changes_the_sample(sizes, limit, random):
    texts = list(enumerate(sizes))

    assert drawn(texts, limit) == drawn(random.sample(texts, len(texts)), limit)
