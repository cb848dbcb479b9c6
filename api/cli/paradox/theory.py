"""`farm paradox --simulate N K`: the theorem, the closed forms, and a sweep of N."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from api.cli.output import print_table, say

if TYPE_CHECKING:
    from kompress.ensemble.paradox import SweepRow

NUM_WORDS = 10_000  # drawn; a share's standard error is at most .005
DRAW_SEED = 0
MAX_VOTERS = 100
SHOWN = frozenset({*range(1, 11), 12, 15, 20, 25, 30, 40, 50, 60, 80, 100})
BY_K = ("k", "nested", "nested_drawn", "independent", "independent_drawn", "correlated",
        "correlated_drawn", "possible")  # fmt: skip
SWEEP = ("num_voters", "best", "weakest", "nested", "independent", "equal_independent",
         "equal_correlated")  # fmt: skip


@dataclass(frozen=True, slots=True)
class ByK:
    """Recall of k of N, in closed form and drawn, by how the voters' drops depend.

    Attributes:
        k: drops needed.
        nested: over N voters of recalls .3 to .9 with nested drops.
        nested_drawn: the same of drawn words.
        independent: over the same voters, independent.
        independent_drawn: the same of drawn words.
        correlated: over N equal voters that correlate.
        correlated_drawn: the same of drawn words, None at a correlation of 0 or 1.
        lowest_possible: of the voters of .3 to .9, whatever the dependence.
        highest_possible: the same.
        published: the published simulator's ensemble.
        published_best: its best voter.
    """

    k: int
    nested: float
    nested_drawn: float
    independent: float
    independent_drawn: float
    correlated: float
    correlated_drawn: float | None
    lowest_possible: float
    highest_possible: float
    published: float
    published_best: float


@dataclass(frozen=True, slots=True)
class Theory:
    """What theory says of N voters and K drops.

    Attributes:
        num_voters: N.
        k: K.
        recall: of each of the equal voters.
        correlation: of their drops.
        by_k: a row for each k in 1..N.
        sweep: a row for each N, at K.
    """

    num_voters: int
    k: int
    recall: float
    correlation: float
    by_k: tuple[ByK, ...]
    sweep: "tuple[SweepRow, ...]"


def work_out(num_voters: int, k: int, correlation: float | None) -> Theory:
    """Work out every figure for N voters and K drops.

    Raises:
        InvalidInput: N or K is out of range.
        InvalidConfig: the correlation is.
    """
    from api.errors import InvalidInput
    from kompress.ensemble import paradox

    if not 1 <= k <= num_voters <= MAX_VOTERS:
        raise InvalidInput(
            f"--simulate is {num_voters} {k}; expected N voters, at most {MAX_VOTERS}, "
            "and the K drops that drop a word, 1 <= K <= N; for example 3 1"
        )
    rho = paradox.CORRELATION if correlation is None else correlation
    recall = paradox.EQUAL_RECALL
    return Theory(
        num_voters=num_voters,
        k=k,
        recall=recall,
        correlation=rho,
        by_k=tuple(_by_k(num_voters, recall, rho)),
        sweep=tuple(
            paradox.sweep(
                k,
                max_voters=max(paradox.MAX_VOTERS, num_voters),
                recall=recall,
                correlation=rho,
            )
        ),
    )


def print_theory(theory: Theory) -> None:
    """Print the figures for every k, what they mean, and the sweep."""
    n, k = theory.num_voters, theory.k
    print_table(
        [
            {
                **asdict(row),
                "possible": f"{row.lowest_possible:.3f}–{row.highest_possible:.3f}",
            }
            for row in theory.by_k
            if row.k in {*SHOWN, k, n}
        ],
        BY_K,
        title=f"Recall of {n} voters where k drops drop a word: in theory, and of "
        f"{NUM_WORDS:,} drawn words",
    )
    for line in describe(theory):
        say(line)
    print_table(
        [asdict(row) for row in theory.sweep if row.num_voters in {*SHOWN, k, n}],
        SWEEP,
        title=f"Recall of {k} of N while N grows",
    )
    say(
        "recall alone elects whoever keeps everything: on words to drop the same forms "
        "turn the voters'\nfalse keeps into the ensemble's, so what a low k loses in "
        "recall it gains in specificity"
    )


def describe(theory: Theory) -> list[str]:
    """Say what the figures mean: the theorem, the closed forms, what cannot be."""
    n, k = theory.num_voters, theory.k
    own, last = theory.by_k[k - 1], theory.by_k[-1]
    rank = "weakest" if k == 1 else "best" if k == n else f"{_ordinal(k)} weakest"
    return [
        (
            "nested, independent: voters of recall .3 to .9; correlated: equal voters "
            f"of {theory.recall:g}, ρ = {theory.correlation:g}; possible: of\nthe "
            "voters of .3 to .9 under any dependence; no claim outside of it is right"
        ),
        (
            "nested drops (whatever a voter drops, every weaker one drops too): "
            f"{k} of {n} is its {rank} voter,\nexactly: {own.nested:.3f}, where the "
            f"best has {last.nested:.3f}; independent drops: {own.independent:.3f}"
        ),
        (
            f"at k = {n} any voter keeps: a superset of each voter's words, so never "
            f"below the best voter's {last.lowest_possible:.3f}"
        ),
        (
            f"the published simulator (10 strata, noise .1, nested): "
            f"{own.published:.3f} beside its best voter's {own.published_best:.3f}"
        ),
    ]


def _by_k(num_voters: int, recall: float, rho: float) -> Iterator[ByK]:
    """Draw the voters once and go through every k."""
    import numpy as np

    from kompress.ensemble import paradox
    from kompress.ensemble import paradox_simulation as drawn

    rng = np.random.default_rng(DRAW_SEED)
    spread_M = paradox.spread_recalls(num_voters)
    nested_NM = drawn.draw_nested(spread_M, NUM_WORDS, rng)
    independent_NM = drawn.draw_independent(spread_M, NUM_WORDS, rng)
    correlated_NM = None
    if 0 < rho < 1:
        correlated_NM = drawn.draw_equicorrelated(
            recall, num_voters, rho, NUM_WORDS, rng
        )
    for k in range(1, num_voters + 1):
        low, high = paradox.k_of_n_recall_bounds(spread_M, k)
        published = drawn.published_simulation(num_voters, k)
        yield ByK(
            k=k,
            nested=paradox.nested_recall(spread_M, k),
            nested_drawn=drawn.recall_of(nested_NM, k),
            independent=paradox.k_of_n_recall_independent(spread_M, k),
            independent_drawn=drawn.recall_of(independent_NM, k),
            correlated=paradox.k_of_n_recall_equicorrelated(recall, num_voters, k, rho),
            correlated_drawn=(
                None if correlated_NM is None else drawn.recall_of(correlated_NM, k)
            ),
            lowest_possible=low,
            highest_possible=high,
            published=published.ensemble,
            published_best=published.best,
        )


def _ordinal(k: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(k % 10, "th")
    return f"{k}{'th' if k % 100 in (11, 12, 13) else ending}"
