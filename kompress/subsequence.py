"""Choose one of the ways in which some words lie among others, in order.

A dynamic programme from the last word to the first, over the places between the
leftmost and the rightmost embedding. N = words of the text
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Sequence

# What an embedding costs: a line of the reference that is torn over lines of the text,
# or lines that were joined, is worse than words left out between two kept ones.
LINE_COST = 2
GAP_COST = 1
# Most places looked at for one word of the reference, the first half and the last
# half: both the leftmost and the rightmost embedding stay among them, so the bound can
# cost the best embedding but never a correct one.
MAX_PLACES = 128

_UNREACHABLE = 1 << 60


def find_bounds(
    words: Sequence[str], wanted: Sequence[str]
) -> tuple[list[int], list[int]] | None:
    """Find the leftmost and the rightmost embedding of words among others.

    Args:
        words: the text's N words.
        wanted: the reference's words.

    Returns:
        Where each wanted word lies at the earliest and at the latest, ascending; None
        if `wanted` is no subsequence of `words`.
    """
    first = _leftmost(words, wanted)
    if first is None:
        return None
    mirrored = _leftmost(words[::-1], wanted[::-1])
    assert mirrored is not None, "what embeds forwards embeds backwards"  # noqa: S101
    return first, [len(words) - 1 - place for place in reversed(mirrored)]


def embed(
    words: Sequence[str],
    lines: Sequence[int],
    wanted: Sequence[str],
    wanted_lines: Sequence[int],
    bounds: tuple[list[int], list[int]],
) -> list[int]:
    """Choose the cheapest embedding; of several, the one with the earliest words.

    Args:
        words: the text's N words.
        lines: (N,) the line that each lies on, ascending.
        wanted: the reference's words.
        wanted_lines: the line of the reference that each of those lies on.
        bounds: what `find_bounds` found.

    Returns:
        A place among `words` for each of `wanted`, ascending.
    """
    if not wanted:
        return []
    # A flattened reference has one line only: no line of it can be torn.
    has_lines = wanted_lines[-1] != wanted_lines[0]
    tables = _tabulate_places(words, wanted, bounds)
    costs = [0] * len(tables[-1])
    steps: list[list[int]] = []
    for number in range(len(wanted) - 2, -1, -1):
        is_torn = wanted_lines[number] != wanted_lines[number + 1]
        same = LINE_COST if has_lines and is_torn else 0
        other = LINE_COST if has_lines and not is_torn else 0
        costs, step = _step_back(
            tables[number], tables[number + 1], costs, lines, same, other
        )
        steps.append(step)
    # `index` finds the first of the cheapest.
    at = costs.index(min(costs))
    chosen = [tables[0][at]]
    for table, step in zip(tables[1:], reversed(steps), strict=True):
        at = step[at]
        chosen.append(table[at])
    return chosen


def _leftmost(words: Sequence[str], wanted: Sequence[str]) -> list[int] | None:
    places = []
    number = 0
    for want in wanted:
        try:
            number = words.index(want, number) + 1
        except ValueError:
            return None
        places.append(number - 1)
    return places


def _tabulate_places(
    words: Sequence[str], wanted: Sequence[str], bounds: tuple[list[int], list[int]]
) -> list[list[int]]:
    """List where each word of the reference can lie, ascending."""
    needed = set(wanted)
    places: dict[str, list[int]] = defaultdict(list)
    for place, word in enumerate(words):
        if word in needed:
            places[word].append(place)
    tables = []
    for want, first, last in zip(wanted, *bounds, strict=True):
        if first == last:
            tables.append([first])
            continue
        known = places[want]
        start, end = bisect_left(known, first), bisect_left(known, last) + 1
        if end - start > MAX_PLACES:
            half = MAX_PLACES // 2
            tables.append(known[start : start + half] + known[end - half : end])
        else:
            tables.append(known[start:end])
    return tables


def _step_back(
    here: Sequence[int],
    after: Sequence[int],
    costs_after: Sequence[int],
    lines: Sequence[int],
    same_line: int,
    other_line: int,
) -> tuple[list[int], list[int]]:
    """Give each place's cheapest cost to the end, and its successor in `after`."""
    costs, step = [0] * len(here), [0] * len(here)
    number = len(after) - 1
    line = -1
    # The cheapest successors on the same line and on later ones, as (cost, number in
    # `after`): of equal costs the smaller number wins.
    near = far = (_UNREACHABLE, 0)
    for index in range(len(here) - 1, -1, -1):
        place = here[index]
        if lines[place] != line:
            far, near, line = min(near, far), (_UNREACHABLE, 0), lines[place]
        while number >= 0 and after[number] > place:
            found = (costs_after[number], number)
            if lines[after[number]] == line:
                near = min(near, found)
            else:
                far = min(far, found)
            number -= 1
        best = min(
            (near[0] + GAP_COST + same_line, near[1]),
            (far[0] + GAP_COST + other_line, far[1]),
        )
        if number + 1 < len(after) and after[number + 1] == place + 1:
            extra = same_line if lines[place + 1] == line else other_line
            best = min(best, (costs_after[number + 1] + extra, number + 1))
        costs[index], step[index] = best
    return costs, step
