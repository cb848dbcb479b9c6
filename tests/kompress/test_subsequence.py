from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kompress import subsequence
from kompress.subsequence import embed, find_bounds

WORDS = st.lists(st.sampled_from("abc"), max_size=9)


def cost_of(places, lines, wanted_lines):
    """The cost as `align` documents it."""
    total = 0
    has_lines = len(set(wanted_lines)) > 1
    for n in range(1, len(places)):
        total += places[n] != places[n - 1] + 1
        tears = lines[places[n]] != lines[places[n - 1]]
        wants = wanted_lines[n] != wanted_lines[n - 1]
        total += 2 * (has_lines and tears != wants)
    return total


def draw_lines(data, num_words):
    breaks = data.draw(st.lists(st.booleans(), min_size=num_words, max_size=num_words))
    return [sum(breaks[: n + 1]) for n in range(num_words)]


@given(words=WORDS, data=st.data())
def test_the_embedding_is_the_earliest_of_the_cheapest(words, data):
    wanted = [word for word in words if data.draw(st.booleans())]
    lines, wanted_lines = draw_lines(data, len(words)), draw_lines(data, len(wanted))

    found = embed(words, lines, wanted, wanted_lines, find_bounds(words, wanted))

    every = [
        places
        for places in combinations(range(len(words)), len(wanted))
        if [words[place] for place in places] == wanted
    ]
    # `combinations` come in order, and `min` takes the first of equals.
    best = min(every, key=lambda places: cost_of(places, lines, wanted_lines))
    assert found == list(best)


def test_bounds_are_the_earliest_and_the_latest_places():
    assert find_bounds(list("abcabc"), list("ac")) == ([0, 2], [3, 5])
    assert find_bounds(list("abc"), list("ca")) is None
    assert find_bounds([], []) == ([], [])


@pytest.mark.parametrize("bound", [2, 4, 16])
def test_a_bound_on_places_leaves_an_embedding(monkeypatch, bound):
    monkeypatch.setattr(subsequence, "MAX_PLACES", bound)
    words = ["a", "b"] * 30

    wanted = ["a"] * 10 + ["b"] * 10
    lines = [0] * len(words)
    found = embed(words, lines, wanted, [0] * 20, find_bounds(words, wanted))

    assert found == sorted(set(found))
    assert [words[place] for place in found] == wanted
