"""Tables of `farm quality`: sources side by side, and how voters were calibrated."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from api.cli.output import print_table, say, warn

if TYPE_CHECKING:
    from db.models import Round

# What a round's fit says of a voter, as columns.
FITTED = ("temperature", "strength", "calibration_words")
KEEP_RATE, DOCUMENTS = "keep_rate of all words", "documents"


def print_beside(
    rows: Sequence[Mapping[str, Any]],
    sources: Sequence[str],
    criteria: Mapping[str, str],
) -> None:
    """Print mk_in_ref by category, a column for each source; of two, the difference.

    What teachers of the criteria `qa` and `agent` keep apart is the silver-label
    problem: what answers a question is not what an agent cannot do without.

    Args:
        rows: of `label_quality`, of every category, one rule set and all kinds.
        sources: in the order of the columns.
        criteria: the criterion of those that are teachers.
    """
    titles = {
        source: f"{source} ({criteria[source]})" if source in criteria else source
        for source in dict.fromkeys(sources)
    }
    table: list[dict[str, Any]] = []
    for number in sorted({row["round"] for row in rows}):
        own = [row for row in rows if row["round"] == number]
        table += [_pivot(own, number, category, titles) for category in _order(own)]
        whole = {row["source"]: row for row in own if row["category"] == "all"}
        for label, column in ((KEEP_RATE, "keep_rate"), (DOCUMENTS, "num_documents")):
            values = {titles[s]: row[column] for s, row in whole.items()}
            table.append({"round": number, "category": label, **values})
        if len({row["num_documents"] for row in whole.values()}) > 1:
            warn(
                f"round {number}: the sources speak of different numbers of documents "
                "(a later wave, or failures); give both the same wave to compare them"
            )
    columns = ["round", "category", "num_must_keep", *titles.values()]
    if len(titles) == 2:
        columns.append("difference")
    print_table(table, columns, title="mk_in_ref by category")


def calibrations(
    rounds: Iterable["Round"], number: int | None
) -> dict[tuple[int, str], dict[str, Any]]:
    """Give what rounds decided about their voters' probabilities.

    Returns:
        The columns `FITTED` by (round, voter).
    """
    return {
        (row.number, voter): {
            "temperature": found["temperature"],
            "strength": found["strength"],
            "calibration_words": found["num_words"],
        }
        for row in rounds
        if number in (None, row.number)
        for voter, found in sorted(row.decisions.get("calibration", {}).items())
    }


def print_calibrations(found: Mapping[tuple[int, str], Mapping[str, Any]]) -> None:
    """Print temperatures and strengths; nothing where no voter has any."""
    if not found:
        return
    print_table(
        [{"round": n, "voter": voter, **row} for (n, voter), row in found.items()],
        ("round", "voter", *FITTED),
        title="Calibration: P(keep) becomes σ(logit / temperature), a vote counts as "
        "`strength` samples",
    )
    unknown = sorted({k[1] for k, row in found.items() if not row["calibration_words"]})
    if unknown:
        say(
            f"no calibration gold under the votes of {', '.join(unknown)}: they count "
            "as they were cast; `farm gold add` takes some about train documents"
        )


def _order(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Give the must-keep categories that occur, in their own order, and all."""
    from kompress.types import CATEGORIES

    found = {row["category"] for row in rows if row["num_must_keep"]}
    return [name for name in (*CATEGORIES, "other", "all") if name in found]


def _pivot(
    rows: Sequence[Mapping[str, Any]],
    number: int,
    category: str,
    titles: Mapping[str, str],
) -> dict[str, Any]:
    own = {row["source"]: row for row in rows if row["category"] == category}
    values = {titles[s]: own[s]["mk_in_ref"] if s in own else None for s in titles}
    line = {
        "round": number,
        "category": category,
        "num_must_keep": max(row["num_must_keep"] for row in own.values()),
        **values,
    }
    known = [value for value in values.values() if value is not None]
    if len(known) == len(titles) == 2:
        line["difference"] = known[1] - known[0]
    return line
