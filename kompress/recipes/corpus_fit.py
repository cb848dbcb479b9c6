"""Fit a recipe's loop to the references that a corpus has, and say what was done."""

import copy
from collections.abc import Mapping
from typing import Any

from kompress.errors import InvalidConfig

REFERENCES = "references"


def rename_origins(data: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """Let a recipe's voters read references under the names that a corpus has.

    Args:
        data: a loop, as `kompress.recipes.load.loop_data` lays it out.
        names: the corpus' name of an origin, by the recipe's.

    Raises:
        InvalidConfig: the recipe has no such origin; lists those it has.

    Source: ours.
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
    corpus: str,
) -> tuple[dict[str, Any], list[str]]:
    """Keep the voters whose references exist; let another vote where none do.

    A round that has at least one of its origins leaves out the others. A round that has
    none gets the stand-in, unless the mix shares documents out by origin: then a
    stand-in could not tell them apart.

    Args:
        data: a loop, as `kompress.recipes.load.loop_data` lays it out.
        origins: how many documents of the corpus have a reference, by origin.
        stand_in: the kind of voter that votes instead; '' for none.
        corpus: the corpus' name, for what is said.

    Returns:
        The fitted loop, and a line for people about each thing that was done.

    Raises:
        InvalidConfig: references are missing and nothing may stand in; says which, what
            the corpus has, and how to add them.

    Source: ours.
    """
    fitted = copy.deepcopy(dict(data))
    notes: list[str] = []
    for changes in [fitted["base"], *fitted["rounds"]]:
        notes += _fit_round(changes, origins, stand_in, corpus)
    return fitted, list(dict.fromkeys(notes))


def _fit_round(
    changes: dict[str, Any], origins: Mapping[str, int], stand_in: str, corpus: str
) -> list[str]:
    """Fit one round in place."""
    voters = [voter for voter in changes["voters"] if voter["kind"] == REFERENCES]
    missing = [voter for voter in voters if _origin(voter) not in origins]
    notes = [
        f"voter {voter['name']}: references of origin {_origin(voter)!r}, "
        f"{origins[_origin(voter)]} documents"
        for voter in voters
        if voter not in missing
    ]
    if not missing:
        return notes
    names = [voter["name"] for voter in missing]
    parts = [p for p in _mix(changes) if p.get("voter") in names]
    shared = any("share" in part for part in parts)
    some = len(missing) < len(voters)
    if shared or (some and parts) or (not some and not stand_in):
        raise InvalidConfig(_explain(missing, origins, corpus))
    rest = [voter for voter in changes["voters"] if voter not in missing]
    absent = ", ".join(repr(_origin(voter)) for voter in missing)
    if some:
        changes["voters"] = rest
        return [*notes, f"no references of origin {absent}: left out"]
    if stand_in not in [voter["name"] for voter in rest]:
        rest.insert(0, {"name": stand_in, "kind": stand_in})
    changes["voters"] = rest
    for part in parts:
        part["voter"] = stand_in
    # So that no table takes it for what the recipe means.
    if "recipe" in changes:
        change = changes["recipe"].get("change", "")
        changes["recipe"]["change"] = f"{change}; {stand_in} for references"
    note = (
        f"no references of origin {absent} in {corpus}: the voter {stand_in} stands "
        f"in for them; to use references: farm corpus add {corpus} FILE --references "
        f"{_origin(missing[0])}"
    )
    return [note]


def _explain(
    missing: list[dict[str, Any]], origins: Mapping[str, int], corpus: str
) -> str:
    absent = ", ".join(repr(_origin(voter)) for voter in missing)
    there = ", ".join(f"{name!r} ({n})" for name, n in sorted(origins.items()))
    return (
        f"the recipe needs references of origin {absent}, corpus {corpus!r} has "
        f"{there or 'none'}; add them with `farm corpus add {corpus} FILE "
        f"--references {_origin(missing[0])}`, or name the corpus' own with "
        f"--origin {_origin(missing[0])}=ORIGIN"
    )


def _mix(changes: dict[str, Any]) -> list[dict[str, Any]]:
    mix: list[dict[str, Any]] = changes.get("recipe", {}).get("mix", [])
    return mix


def _origin(voter: Mapping[str, Any]) -> str:
    return str(voter.get("params", {}).get("origin", REFERENCES))
