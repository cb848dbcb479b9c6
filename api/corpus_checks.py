"""What a loop's config asks of its corpus, as far as it is known before the start.

`loop start`, its `--plan` and `POST /v1/loops` refuse by these checks alike.
"""

from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.orm import Session

from db.errors import Conflict
from db.models import Corpus
from db.queries import candidates, corpora, evidence, voters
from kompress.config import LoopConfig, MixPart, RoundConfig, VoterConfig
from kompress.errors import InvalidConfig
from kompress.teachers.endpoints import find_endpoint, read_endpoints
from kompress.voters import VOTERS

GOLD = "gold"  # as a part of a mix names it


def check_corpus(
    session: Session, corpus: Corpus, config: LoopConfig, *, endpoints: Path | None
) -> None:
    """Refuse a loop that cannot come to its end on a corpus as it is now.

    Args:
        session: of the farm's database.
        corpus: the corpus; it has documents.
        config: a config that is right in itself.
        endpoints: the operator's file of endpoints, None where it is not known here.

    Raises:
        Conflict: no document of the corpus is in train.
        InvalidConfig: one line a mistake, with the first round that it is in.
    """
    kinds = corpora.count_kinds(session, corpus.id, "train")
    if not kinds:
        raise Conflict(
            f"corpus {corpus.name!r} has {corpus.last_seq} documents, none of them in "
            "train; expected one at least (whole groups are split by their hash); add "
            "more documents"
        )
    mistakes: dict[str, int] = {}
    for number in range(1, max(1, len(config.rounds)) + 1):
        for mistake in _mistakes(
            session, corpus, config.resolve(number), number, kinds, endpoints
        ):
            mistakes.setdefault(mistake, number)
    if mistakes:
        raise InvalidConfig(
            "\n".join(f"round {n}: {mistake}" for mistake, n in mistakes.items())
        )


def _mistakes(
    session: Session,
    corpus: Corpus,
    config: RoundConfig,
    number: int,
    kinds: dict[str, int],
    endpoints: Path | None,
) -> Iterator[str]:
    """List what a round needs and the corpus or the farm does not have."""
    judges = () if config.protocol == "words" else config.pairwise.judges
    asked = (*config.voters, *judges)
    for part in config.recipe.mix:
        yield from _mistakes_of_part(session, corpus, part, kinds)
    yield from _unknown_origins(session, corpus, config)
    # A later round goes on without them, as long as somebody votes.
    absent = voters.quarantined_names(session) & {voter.name for voter in asked}
    if number == 1 and absent:
        yield (
            f"in quarantine: {', '.join(sorted(absent))}; release the voter "
            "(`farm voter quarantine NAME --release`), or leave it out"
        )
    for voter in asked:
        yield from _mistakes_of_endpoint(corpus, voter, endpoints)


def _mistakes_of_part(
    session: Session, corpus: Corpus, part: MixPart, kinds: dict[str, int]
) -> Iterator[str]:
    """Say what a part of the mix could never train on."""
    if part.kinds and not set(part.kinds) & kinds.keys():
        yield (
            f"recipe.mix trains on documents of kinds {', '.join(part.kinds)}; the "
            f"train documents of corpus {corpus.name!r} are of {', '.join(kinds)}; add "
            "such documents, or change `kinds`"
        )
    if part.source == GOLD and not evidence.list_corpus_gold_runs(
        session, corpus.id, corpus.last_seq
    ):
        yield (
            "recipe.mix trains on gold, and no train document of corpus "
            f"{corpus.name!r} has calibration gold; add some (`farm gold add`), or "
            "leave the part out"
        )


def _unknown_origins(
    session: Session, corpus: Corpus, config: RoundConfig
) -> Iterator[str]:
    """Name voters of references that the corpus has none of."""
    known = candidates.list_origins(session, corpus.id)
    for voter in config.voters:
        find_origin = VOTERS[voter.kind].origin_of
        origin = find_origin(voter.params) if find_origin else ""
        if origin and not known.get(origin):
            yield (
                f"voters.{voter.name} reads references of origin {origin!r}; corpus "
                f"{corpus.name!r} has {', '.join(known) or 'none'}; add references "
                f"(`farm corpus add {corpus.name} FILE --references {origin}`), or "
                "take another origin"
            )


def _mistakes_of_endpoint(
    corpus: Corpus, voter: VoterConfig, endpoints: Path | None
) -> Iterator[str]:
    """Say so if a voter asks an endpoint that is not there, or may not see the texts.

    Where no file of endpoints is named here, only the workers know.
    """
    find_model = VOTERS[voter.kind].needs_engine
    if endpoints is None or find_model is None:
        return
    spec = find_model(voter.params)
    if not spec.endpoint:
        return
    try:
        endpoint = find_endpoint(read_endpoints(endpoints), spec.endpoint, spec.model)
    except InvalidConfig as error:
        yield f"voters.{voter.name}: {error}"
        return
    if endpoint.external and not corpus.external_ok:
        yield (
            f"voters.{voter.name} asks the endpoint {spec.endpoint!r}, which is "
            f"external, but corpus {corpus.name!r} was not added with --external-ok: "
            "its texts stay in the farm; take a local model, or another corpus"
        )
