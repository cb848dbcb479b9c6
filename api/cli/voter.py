"""`farm voter`: whatever votes on words, tried out before a loop uses it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from api.cli.options import read_text
from api.cli.output import AsJson, console, print_json, say, show

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kompress.config import VoterConfig
    from kompress.voters.voter import Voter

app = typer.Typer(help="Voters: what votes on words.", no_args_is_help=True)

Params = Annotated[
    list[str],
    typer.Option("--param", help="A parameter of the kind, as name=value; repeat it."),
]


@app.command("add")
def add_voter(
    name: Annotated[str, typer.Argument(help="The voter's own name.")],
    kind: Annotated[str, typer.Option(help="What it is, see `farm voter list`.")],
    param: Params = [],  # noqa: B006  # typer reads the default, nobody changes it
    wave: Annotated[int, typer.Option(min=1, help="Cheap voters vote in wave 1.")] = 1,
) -> None:
    """Check a voter, store it if nothing must be fitted, and print its config.

    A teacher is a voter of the kind `teacher`, for example --param engine=vllm --param
    model=NAME --param protocol=word_votes --param criterion=agent.
    """
    from api.cli.connection import open_session
    from api.cli.teacher import declare_teacher, is_teacher
    from db.queries import voters
    from kompress.config import VoterConfig, parse_config
    from kompress.voters import VOTERS

    params = parse_params(param)
    config = parse_config(
        VoterConfig, {"name": name, "kind": kind, "wave": wave, "params": params}
    )
    _check_kind(kind)
    VOTERS[kind].check(params)
    snapshot = declare_teacher(params) if is_teacher(kind) else None
    if _is_complete(kind, params):
        voter = VOTERS[kind].load(name, params, snapshot)
        digest = _keep(snapshot)
        with open_session(start=True) as session:
            voters.register_voter(session, voter.fingerprint, kind, params, digest)
        say(f"{name} is stored")
    else:
        say(f"{name} is right; the first round that uses it fits and stores it")
    _explain(config)


@app.command("list")
def list_voters(as_json: AsJson = False) -> None:
    """List the voters that rounds have used, and the kinds there are."""
    from api.cli.connection import open_session
    from api.cli.teacher import SHOWN, describe_teacher, is_teacher
    from db.queries import voters
    from kompress.voters import offered_kinds

    with open_session() as session:
        rows = [
            {
                "name": voter.name,
                "kind": voter.kind,
                "id": voter.id,
                **describe_teacher(
                    voter.parts["params"] if is_teacher(voter.kind) else {}
                ),
                "fingerprint": voter.fingerprint[:12],
                "params": voter.params,
                "created_at": voter.created_at,
                "quarantined_at": voter.quarantined_at,
            }
            for voter in voters.list_voters(session)
        ]
    # What has a column of its own is not shown twice.
    listed = (
        rows
        if as_json
        else [
            {
                **row,
                "params": {k: v for k, v in row["params"].items() if k not in SHOWN},
            }
            for row in rows
        ]
    )
    show(listed, as_json=as_json, empty="no voter has voted yet")
    if not as_json:
        say(f"kinds: {', '.join(offered_kinds())}")


@app.command("test")
def try_voter(
    kind: Annotated[
        str, typer.Argument(help="A stored voter's name or a kind, see `voter list`.")
    ],
    file: Annotated[Path, typer.Argument(help="The text to vote on.")],
    param: Params = [],  # noqa: B006  # as above
    as_json: AsJson = False,
) -> None:
    """Vote on one text, without storing anything.

    A kind that is fitted to a corpus is fitted to the sample that comes with the farm.
    A teacher's model is asked by a worker's program, here and now; a `correct` one is
    shown a draft that keeps all. A stored voter's parameters may be changed.
    """
    import numpy as np

    from api.cli.teacher import ask_teacher, is_teacher
    from kompress.types import decode_votes
    from kompress.words import split_words

    text = read_text(file)
    name, kind, params = _find_voter(kind, parse_params(param))
    paid = None
    if is_teacher(kind):
        paid = ask_teacher(name, params, text)
        p_N = decode_votes(np.array(paid["codes"], dtype=np.uint8))
    else:
        voter = _make_voter(kind, params)
        vote = next(iter(voter.vote([text])))[1]
        if isinstance(vote, Exception):
            raise vote
        p_N = decode_votes(vote.codes_N)
    words = [text[word.start : word.end] for word in split_words(text)]
    pairs = list(zip(words, p_N.tolist(), strict=True))
    if as_json:
        print_json([{"word": word, "p": p if p == p else None} for word, p in pairs])  # noqa: PLR0124  # NaN
        return
    _print_votes(text, pairs)
    if paid:
        say(
            f"{paid['num_requests']} requests, {paid['input_tokens']:,} tokens in and "
            f"{paid['output_tokens']:,} out, {paid['usd']:.6f} USD, "
            f"{paid['num_samples']} samples a word"
        )


@app.command("quarantine")
def quarantine(
    name: Annotated[str, typer.Argument(help="The voter.")],
    release: Annotated[bool, typer.Option("--release", help="Let it back in.")] = False,
) -> None:
    """Take a voter out of every loop: nothing more is asked; its stored votes stay."""
    from api.cli.connection import actor, open_session
    from db.queries import records, voters

    with open_session() as session:
        voters.quarantine(session, name, on=not release)
        kind = "voter_released" if release else "voter_quarantined"
        records.add_event(session, actor(), kind, detail={"voter": name})
    say(f"{name} " + ("votes again" if release else "is asked nothing more"))


def parse_params(pairs: list[str]) -> dict[str, Any]:
    """Read name=value options; values as TOML, else as plain strings.

    Raises:
        InvalidInput: an option has no `=`.
    """
    import tomllib

    from api.errors import InvalidInput

    params = {}
    for pair in pairs:
        key, found, value = pair.partition("=")
        if not found or not key:
            raise InvalidInput(
                f"found {pair!r}; expected name=value, for example keep_rate=0.4"
            )
        try:
            params[key] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            params[key] = value
    return params


def _check_kind(kind: str) -> None:
    from api.errors import InvalidInput
    from kompress.voters import VOTERS, offered_kinds

    if kind not in VOTERS:
        raise InvalidInput(
            f"no voter is of kind {kind!r}; expected one of "
            f"{', '.join(offered_kinds())}; `farm voter list` lists the stored ones"
        )


def _is_complete(kind: str, params: dict[str, Any]) -> bool:
    """Tell whether a voter needs nothing of a corpus or a loop to be stored."""
    from kompress.voters import VOTERS

    # The draft that it corrects is a student's, known when a round uses it.
    if params.get("protocol") == "correct":
        return False
    return VOTERS[kind].fit is None and VOTERS[kind].fit_references is None


def _keep(snapshot: bytes | None) -> str:
    """Write a snapshot where workers find it; its hash, '' for none."""
    from api.artifacts import put_artifact
    from api.settings import load_settings

    return put_artifact(load_settings().artifacts_url, snapshot) if snapshot else ""


def _explain(config: "VoterConfig") -> None:
    """Print a voter's config, and how its queue is served."""
    import tomlkit

    from api.cli.teacher import explain_start
    from kompress.voters import VOTERS

    plain = config.model_dump(exclude_none=True)
    if not config.params:
        del plain["params"]
    base: dict[str, Any] = {"voters": [plain]}
    if config.params.get("protocol") == "pairwise":
        base = {"protocol": "both", "pairwise": {"judges": [plain]}}
    say("\nPut this into a loop's config:\n")
    say(tomlkit.dumps({"base": base}).rstrip())
    needs_engine = VOTERS[config.kind].needs_engine
    if needs_engine:
        explain_start(config.name, needs_engine(config.params))
        return
    say(f"\nand start a worker on its queue: farm worker start --queue "
        f"teach.{config.name}")  # fmt: skip


def _find_voter(wanted: str, params: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Give name, kind and parameters of a kind, or of the newest voter of a name."""
    from api.cli.connection import open_session
    from db.queries import voters
    from kompress.voters import VOTERS

    if wanted in VOTERS:
        return wanted, wanted, params
    with open_session() as session:
        known = [v for v in voters.list_voters(session) if v.name == wanted]
    if not known:
        _check_kind(wanted)
    return known[-1].name, known[-1].kind, {**known[-1].params, **params}


def _make_voter(kind: str, params: dict[str, Any]) -> "Voter":
    from kompress.corpora.readers import load_sample
    from kompress.voters import VOTERS, make_voter

    _check_kind(kind)
    VOTERS[kind].check(params)
    fit = VOTERS[kind].fit
    texts: Iterator[str] = (document.text for document in load_sample())
    return make_voter(kind, kind, params, fit(params, texts) if fit else None)


def _print_votes(text: str, pairs: list[tuple[str, float]]) -> None:
    """Show the text with dropped words dimmed, and how much was kept."""
    from rich.text import Text

    shown = Text()
    position = num_kept = 0
    for word, p in pairs:
        start = text.index(word, position)
        shown.append(text[position:start])
        keep = p >= 0.5
        num_kept += keep
        # Without colours a dropped word still differs from a kept one.
        shown.append(word if keep else f"({word})", style="bold" if keep else "dim")
        position = start + len(word)
    console().print(shown)
    say(f"\nkeeps {num_kept} of {len(pairs)} words; (dropped) words are in brackets")
