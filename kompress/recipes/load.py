"""Recipes from TOML files: those that ship and a user's own.

A file holds the keys of a round's config (`label_source`, `[[voters]]`, `[recipe]`,
`[self_label]`, `[selection]` …) and a few of its own, see `Recipe`. A loop runs a
recipe's chain: each round the recipe that the next one follows.
"""

import re
import tomllib
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from kompress.config import LoopConfig, RoundConfig, Share, parse_config
from kompress.errors import InvalidConfig

SUFFIX = ".toml"
# Rounds that may follow a recipe's own: the first that gains nothing is the last.
EXTRA_ROUNDS = 2
# What votes where a recipe names no voter: those that need no model and no reference.
LOCAL_VOTERS: list[dict[str, Any]] = [
    {"name": kind, "kind": kind} for kind in ("salience", "self_information", "syntax")
]


class Published(BaseModel):
    """What the published version of a recipe scored, by its own definitions."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    exact_pct: Share | None = None
    keep_rate: Share | None = None
    note: str = ""


class _Own(BaseModel):
    """The keys of a file that are no round's."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    follows: str = ""
    stand_in: str = ""
    published: Published = Field(default_factory=Published)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One recipe file.

    Attributes:
        name: `recipe.name`, for a shipped one also the file's.
        change: what sets it apart, for the ladder.
        follows: the recipe whose student it goes on from, '' for none: a shipped name,
            or a path seen from its own file.
        stand_in: the kind of voter that may vote where a corpus has none of the
            references that it names; '' refuses.
        published: what the published version scored.
        round: the keys of a round's config, as they stand in the file.
        folder: where `follows` may point from; None for a shipped recipe.
    """

    name: str
    change: str
    follows: str
    stand_in: str
    published: Published
    round: dict[str, Any]
    folder: Path | None = None


def shipped_recipes() -> list[str]:
    """Name the recipes that come with kompress: the published line, then our own.

    Source: docs/references.md, "The published line"; farm-1 and on: ours.
    """
    names = [
        entry.name.removesuffix(SUFFIX)
        for entry in files("kompress.recipes").iterdir()
        if entry.name.endswith(SUFFIX)
    ]
    return sorted(names, key=_version)


def shipped_voters() -> list[str]:
    """Name every voter of the shipped recipes: the queues that a farm should take."""
    rounds = [
        link.round
        for name in shipped_recipes()
        for link in recipe_chain(load_recipe(name))
    ]
    return sorted({voter["name"] for keys in rounds for voter in keys["voters"]})


def load_recipe(name: str, *, folder: Path | None = None) -> Recipe:
    """Read a shipped recipe by its name, or any other by its path.

    Args:
        name: a name of `shipped_recipes`, or the path of a TOML file.
        folder: where a relative path starts; None for the current one.

    Raises:
        InvalidConfig: no recipe has that name; the file is not TOML, holds an unknown
            key or a wrong value (each named); a shipped name differs from its file's.
    """
    if name in shipped_recipes():
        content = (files("kompress.recipes") / f"{name}{SUFFIX}").read_bytes()
        return _parse(name, content, None)
    path = Path(folder or ".") / name
    if not path.is_file():
        raise InvalidConfig(
            f"no recipe is called {name!r}; expected one of "
            f"{', '.join(shipped_recipes())}, or the path of a TOML file"
        )
    return _parse(str(path), path.read_bytes(), path.resolve().parent)


def recipe_chain(recipe: Recipe) -> list[Recipe]:
    """Give a recipe with those that it follows, the first one first.

    One without voters or stand-in takes those of the recipe that it follows; the first
    of all takes the local voters that need no model, and no stand-in.

    Raises:
        InvalidConfig: a followed recipe is missing or broken, or they go in a circle.
    """
    chain = [recipe]
    while chain[0].follows:
        chain.insert(0, load_recipe(chain[0].follows, folder=chain[0].folder))
        names = [link.name for link in chain]
        if len(set(names)) < len(names):
            raise InvalidConfig(
                f"recipes follow each other in a circle: {' -> '.join(names)}; "
                "expected one that follows none; leave its `follows` out"
            )
    voters, stand_in = LOCAL_VOTERS, ""
    filled = []
    for link in chain:
        voters = link.round.get("voters", voters)
        stand_in = link.stand_in or stand_in
        changes = {"voters": voters, **link.round}
        filled.append(replace(link, round=changes, stand_in=stand_in))
    return filled


def loop_data(recipe: Recipe) -> dict[str, Any]:
    """Lay out the loop that makes a recipe's student, a round for each of its chain.

    Returns:
        Plain data of a `LoopConfig`: `rounds` are the files' own keys, so that a loop
        printed as TOML reads like its recipes. After its last recipe's round it may
        repeat that one: the stop rule ends it once a round gains nothing.

    Raises:
        InvalidConfig: as `recipe_chain`, or a round's config is wrong; names the keys.
    """
    chain = recipe_chain(recipe)
    data = {
        "seed": 0,
        "base": {"voters": chain[0].round["voters"]},
        "rounds": [link.round for link in chain],
        "stop": {"max_rounds": len(chain) + EXTRA_ROUNDS, "patience": 1},
    }
    parse_config(LoopConfig, data)
    return data


def _parse(where: str, content: bytes, folder: Path | None) -> Recipe:
    try:
        data = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidConfig(
            f"{where} is not TOML: {error}; expected a recipe; correct the line"
        ) from error
    own = {key: data.pop(key) for key in _Own.model_fields if key in data}
    try:
        known = parse_config(_Own, own)
        # Voters may come from the recipe that it follows.
        config = parse_config(RoundConfig, {"voters": _any_voters(data), **data})
    except InvalidConfig as error:
        raise InvalidConfig(
            f"recipe {where}:\n{error}\nits keys are: "
            f"{', '.join([*_Own.model_fields, *RoundConfig.model_fields])}"
        ) from error
    if "name" not in data.get("recipe", {}):
        raise InvalidConfig(
            f"recipe {where}: recipe.name is missing; expected a name that tells its "
            "students apart; add one below [recipe]"
        )
    return Recipe(
        name=config.recipe.name,
        change=config.recipe.change,
        follows=known.follows,
        stand_in=known.stand_in,
        published=known.published,
        round=data,
        folder=folder,
    )


def _any_voters(data: dict[str, Any]) -> list[dict[str, Any]]:
    """Give voters of every name that the mix mentions: the real ones come later."""
    recipe = data.get("recipe")
    mix = recipe.get("mix") if isinstance(recipe, dict) else None
    parts = mix if isinstance(mix, list) else []
    names = [part.get("voter") for part in parts if isinstance(part, dict)]
    used = dict.fromkeys(name for name in names if isinstance(name, str) and name)
    return [{"name": name, "kind": "syntax"} for name in used] or LOCAL_VOTERS


def _version(name: str) -> tuple[bool, list[int]]:
    """Order the published line before any other, and .10 behind .9."""
    is_published = re.fullmatch(r"v[\d.]+", name) is not None
    return not is_published, [int(number) for number in re.findall(r"\d+", name)]
