"""Loop configs from TOML files, from recipes, and the one that comes with the farm."""

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

import tomlkit
from sqlalchemy.orm import Session

from api.errors import InvalidInput
from db.queries import candidates, corpora
from kompress.config import LoopConfig, parse_config
from kompress.errors import InvalidConfig, MissingReferences
from kompress.recipes.corpus_fit import ReferenceUse, fit_to_corpus, rename_origins
from kompress.recipes.load import load_recipe, loop_data, recipe_chain

NO_STAND_IN = "none"


def load_loop_config(path: Path | None) -> LoopConfig:
    """Read a loop's config.

    Args:
        path: a TOML file; None for the config of `farm demo`.

    Raises:
        InvalidInput: the file is not TOML.
        InvalidConfig: a key is unknown or a value wrong; one line each.
    """
    if path is None:
        return parse_config(LoopConfig, tomllib.loads(demo_config_text()))
    try:
        return parse_config(LoopConfig, read_toml(path))
    except InvalidConfig as error:
        raise InvalidConfig(f"{path} is no loop config:\n{error}") from error


def recipe_config(
    name: str,
    *,
    corpus: str,
    origins: Mapping[str, int],
    kinds: Mapping[str, int],
    renamed: Sequence[str] = (),
    silver_voter: str = "",
) -> tuple[LoopConfig, list[str]]:
    """Make the loop of a recipe, fitted to what a corpus holds.

    Args:
        name: a shipped recipe or the path of one.
        corpus: the corpus' name.
        origins: how many references it has, by origin.
        kinds: how many train documents it has, by kind.
        renamed: `RECIPE_ORIGIN=CORPUS_ORIGIN` each.
        silver_voter: the kind of voter that stands in where the corpus has no
            references; '' for the recipe's own, `none` for none.

    Returns:
        The config, and a line for people about each thing that was fitted.

    Raises:
        InvalidInput: `renamed` is not of that form.
        InvalidConfig: the recipe is unknown or wrong, or the corpus lacks what it
            trains on; says how to add it.
    """
    recipe = load_recipe(name)
    data = rename_origins(loop_data(recipe), _pairs(renamed))
    own = recipe_chain(recipe)[-1].stand_in
    stand_in = "" if silver_voter == NO_STAND_IN else silver_voter or own
    try:
        data, uses = fit_to_corpus(data, origins, stand_in=stand_in)
    except MissingReferences as error:
        raise InvalidConfig(
            f"{error}: `farm corpus add {corpus} FILE --references "
            f"{error.origins[0]}`, or --origin {error.origins[0]}=ORIGIN"
        ) from error
    config = parse_config(LoopConfig, data)
    _check_kinds(config, name, corpus, kinds)
    return config, [_describe_use(use, corpus) for use in uses]


def fit_recipe(
    session: Session,
    recipe: str,
    corpus: str,
    renamed: Sequence[str],
    silver_voter: str,
) -> tuple[LoopConfig, list[str]]:
    """Make a recipe's loop for what a stored corpus holds; else as `recipe_config`.

    Raises:
        NotFound: no corpus has that name.
        InvalidInput, InvalidConfig: as `recipe_config`.
    """
    held = corpora.get_corpus(session, corpus)
    return recipe_config(
        recipe,
        corpus=corpus,
        origins=candidates.list_origins(session, held.id),
        kinds=corpora.count_kinds(session, held.id, "train"),
        renamed=renamed,
        silver_voter=silver_voter,
    )


def _check_kinds(
    config: LoopConfig, recipe: str, corpus: str, kinds: Mapping[str, int]
) -> None:
    """Refuse a mix that names only kinds of documents that the corpus lacks."""
    for number in range(1, config.stop.max_rounds + 1):
        for part in config.resolve(number).recipe.mix:
            if part.kinds and not set(part.kinds) & set(kinds):
                raise InvalidConfig(
                    f"recipe {recipe} trains on documents of kinds "
                    f"{', '.join(part.kinds)}; corpus {corpus!r} has "
                    f"{', '.join(kinds) or 'no train document'}; add such documents, "
                    "or change `kinds` in a copy of the recipe"
                )


def _describe_use(use: ReferenceUse, corpus: str) -> str:
    """Say what became of references that a recipe names."""
    origins = ", ".join(map(repr, use.origins))
    if use.voter:
        return (
            f"voter {use.voter}: references of origin {origins}, "
            f"{use.num_documents} documents"
        )
    if not use.stand_in:
        return f"no references of origin {origins}: left out"
    return (
        f"no references of origin {origins} in {corpus}: the voter {use.stand_in} "
        f"stands in for them; to use references: farm corpus add {corpus} FILE "
        f"--references {use.origins[0]}"
    )


def recipe_config_text(name: str) -> str:
    """Give the loop of a recipe as TOML, before it is fitted to any corpus.

    Raises:
        InvalidConfig: the recipe is unknown or wrong.
    """
    return tomlkit.dumps(loop_data(load_recipe(name)))


def demo_config_text() -> str:
    """Give the text of the demo's config, to read or to start one's own from."""
    return (files("api") / "demo.toml").read_text(encoding="utf-8")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        InvalidInput: the file is not UTF-8 or not TOML; names the place.
    """
    try:
        return tomllib.loads(path.read_bytes().decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(
            f"{path} is not TOML: {error}; expected a config such as "
            "`farm loop config` prints; correct the line"
        ) from error


def _pairs(renamed: Sequence[str]) -> dict[str, str]:
    pairs = {}
    for pair in renamed:
        ours, equals, theirs = pair.partition("=")
        if not (ours and equals and theirs):
            raise InvalidInput(
                f"--origin is {pair!r}; expected RECIPE_ORIGIN=CORPUS_ORIGIN, for "
                "example qa=my-references"
            )
        pairs[ours] = theirs
    return pairs
