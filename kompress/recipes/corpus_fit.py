"""Fit a recipe's loop to the references that a corpus has."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kompress.errors import InvalidConfig, MissingReferences

REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class ReferenceUse:
    """What a recipe does with references that it names.

    Attributes:
        origins: whose references.
        voter: who reads them; '' where the corpus has none.
        num_documents: documents that have one.
        stand_in: the voter that votes instead; '' where other references are enough.
    """

    origins: tuple[str, ...]
    voter: str = ""
    num_documents: int = 0
    stand_in: str = ""


def rename_origins(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Let a recipe's voters read references under the names that a corpus has.

    Args:
        data: a loop, as `kompress.recipes.load.loop_data` lays it out.
        names: the corpus' name of an origin, by the recipe's.

    Raises:
        InvalidConfig: the recipe has no such origin; lists those it has.
    """
    renamed = copy.deepcopy(dict(data))
    voters = [
        voter
        for changes in [renamed["base"], *renamed["rounds"]]
        for voter in changes["voters"]
        if voter["kind"] == REFERENCES
    ]
    known = sorted({_origin(voter) for voter in voters})
    if unknown := sorted(set(names) - set(known)):
        raise InvalidConfig(
            f"the recipe reads no references of origin {unknown[0]!r}; expected one of "
            f"{', '.join(known) or 'none'}"
        )
    for voter in voters:
        origin = _origin(voter)
        voter["params"] = {
            **voter.get("params", {}),
            "origin": names.get(origin, origin),
        }
    return renamed


def fit_to_corpus(
    data: Mapping[str, Any],
    origins: Mapping[str, int],
    *,
    stand_in: str,
) -> tuple[dict[str, Any], list[ReferenceUse]]:
    """Keep the voters whose references exist; let another vote where none do.

    A round that has at least one of its origins leaves out the others. A round that has
    none gets the stand-in, unless the mix shares documents out by origin: then a
    stand-in could not tell them apart.

    Args:
        data: a loop, as `kompress.recipes.load.loop_data` lays it out.
        origins: how many documents of the corpus have a reference, by origin.
        stand_in: the kind of voter that votes instead; '' for none.

    Returns:
        The fitted loop, and what became of the references that it names.

    Raises:
        MissingReferences: nothing may stand in for them; says which, and what the
            corpus has.
    """
    fitted = copy.deepcopy(dict(data))
    uses: list[ReferenceUse] = []
    for changes in [fitted["base"], *fitted["rounds"]]:
        uses += _fit_round(changes, origins, stand_in)
    return fitted, list(dict.fromkeys(uses))


def _fit_round(
    changes: dict[str, Any], origins: Mapping[str, int], stand_in: str
) -> list[ReferenceUse]:
    """Fit one round in place."""
    voters = [voter for voter in changes["voters"] if voter["kind"] == REFERENCES]
    missing = [voter for voter in voters if _origin(voter) not in origins]
    uses = [
        ReferenceUse((_origin(voter),), voter["name"], origins[_origin(voter)])
        for voter in voters
        if voter not in missing
    ]
    if not missing:
        return uses
    names = [voter["name"] for voter in missing]
    parts = [p for p in _mix(changes) if p.get("voter") in names]
    shared = any("share" in part for part in parts)
    some = len(missing) < len(voters)
    if shared or (some and parts) or (not some and not stand_in):
        raise _lacking(missing, origins)
    rest = [voter for voter in changes["voters"] if voter not in missing]
    absent = tuple(_origin(voter) for voter in missing)
    if some:
        changes["voters"] = rest
        return [*uses, ReferenceUse(absent)]
    if stand_in not in [voter["name"] for voter in rest]:
        rest.insert(0, {"name": stand_in, "kind": stand_in})
    changes["voters"] = rest
    for part in parts:
        part["voter"] = stand_in
    # So that no table takes it for what the recipe means.
    if "recipe" in changes:
        change = changes["recipe"].get("change", "")
        changes["recipe"]["change"] = f"{change}; {stand_in} for references"
    return [ReferenceUse(absent, stand_in=stand_in)]


def _lacking(
    missing: list[dict[str, Any]], origins: Mapping[str, int]
) -> MissingReferences:
    absent = ", ".join(repr(_origin(voter)) for voter in missing)
    there = ", ".join(f"{name!r} ({n})" for name, n in sorted(origins.items()))
    return MissingReferences(
        f"the recipe needs references of origin {absent}, the corpus has "
        f"{there or 'none'}; add references of that origin, or say which of the "
        "corpus' own it should read instead",
        tuple(_origin(voter) for voter in missing),
    )


def _mix(changes: dict[str, Any]) -> list[dict[str, Any]]:
    mix: list[dict[str, Any]] = changes.get("recipe", {}).get("mix", [])
    return mix


def _origin(voter: Mapping[str, Any]) -> str:
    return str(voter.get("params", {}).get("origin", REFERENCES))
