"""A student's round: its voters as they were fitted, their votes, costs and rules."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from api.cli.evaluation.study import Asked, Study
from api.cli.output import warn

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from kompress.aggregation.learned import Learned
    from kompress.evaluation.baselines.voters import PoolMember, StoredVotes
    from kompress.voters.voter import Voter, VoterKind

DEFAULT_TRAIN_DOCUMENTS = 500
MAX_FIT_DOCUMENTS = 20_000


@dataclass(frozen=True, slots=True)
class Fits:
    """The fits by which a round's rules pool its voters.

    Attributes:
        learned: by label.
        missing: labels of rules that learn, but not of these voters.
    """

    learned: "dict[str, Learned]" = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundVoters:
    """A round's voters, what they cost, and what they voted on train documents."""

    members: "list[PoolMember]"
    self_information: "PoolMember"
    best_voter: str
    usd: dict[str, float]
    num_labelled: int
    train_texts: list[str]
    train_votes: "StoredVotes"
    fits: Fits


def load_voters(study: Study, asked: Asked) -> RoundVoters:
    """Load a round's voters; says which of them are not asked, and what rules know."""
    from api.cli.connection import open_session
    from db.queries import selections

    documents = asked.max_documents or DEFAULT_TRAIN_DOCUMENTS
    with open_session() as session:
        members = _load_members(session, study)
        texts: list[str] = []
        votes: StoredVotes = {}
        if asked.students:
            texts, votes = _load_train(session, study, documents)
        num_labelled = 0
        if study.round_id is not None:
            num_labelled = len(selections.load_selections(session, study.round_id))
        found = RoundVoters(
            members=members,
            self_information=_load_self_information(session, study, members),
            best_voter=_find_best_voter(session, study),
            usd=_load_usd(session, study),
            num_labelled=num_labelled,
            train_texts=texts,
            train_votes=votes,
            fits=load_fits(session, study),
        )
    if not members:
        warn("the student belongs to no round: no voters and rules to stand beside it")
    for member in members:
        if member.voter is None:
            warn(
                f"voter {member.name} is not asked about the suites' texts (it is paid "
                "for, or its round has not fitted it): it abstains, rules go without it"
            )
    tell_fits(found.fits)
    return found


def load_fits(session: "Session", study: Study) -> Fits:
    """Bring back what a round's rules have learned of its voters.

    Not what they learned of a winning reference's votes, too: no text outside the round
    has one.
    """
    from db.queries import fits
    from kompress.aggregation import make_aggregator, rules_of
    from kompress.aggregation.learned import Learner

    if study.round_id is None or study.config is None:
        return Fits()
    rules, protocol = study.config.aggregation, study.config.protocol
    # Under `pairwise` only the rule of the labels is the winner's.
    stored = {} if protocol == "both" else fits.load_fits(session, study.round_id)
    if protocol == "pairwise":
        stored.pop(rules.rule, None)
    learned, missing = {}, []
    for label, (name, params) in rules_of(rules, len(study.config.voters)).items():
        rule = make_aggregator(name, params)
        if isinstance(rule, Learner):
            if label in stored:
                learned[label] = rule.load(stored[label])
            else:
                missing.append(label)
    return Fits(learned, tuple(missing))


def tell_fits(fits: Fits) -> None:
    """Say which rules pool by what the round taught them, and which by the texts."""
    if fits.learned:
        warn(f"{', '.join(sorted(fits.learned))}: pooled as the round has fitted it")
    if fits.missing:
        warn(
            f"{', '.join(sorted(fits.missing))}: the round holds no fit of these "
            "voters; each is fitted once to all texts that it is measured on, without "
            "gold, and may look better or worse than in a round"
        )


def is_free(kind: "VoterKind[Any, Voter]") -> bool:
    """Tell whether it may be asked again: it runs here, and reads the text alone."""
    return kind.needs_engine is None and kind.origin_of is None


def _load_members(session: "Session", study: Study) -> list["PoolMember"]:
    """Make the round's voters, with what they were fitted to in that round.

    Voters that cannot be asked here, because they cost money or read what only the
    round's documents have, are members without a voter: they abstain.

    Raises:
        InvalidInput: what a voter was fitted to is not where FARM_ARTIFACTS points.
    """
    from api.artifacts import fetch_artifact
    from api.settings import load_settings
    from db.queries import loops, voters
    from kompress.evaluation.baselines.voters import PoolMember
    from kompress.voters import VOTERS, make_voter

    if study.round_id is None or study.config is None:
        return []
    decided = loops.read_round(session, study.round_id).decisions.voters
    url = load_settings().artifacts_url
    members = []
    for voter in study.config.voters:
        made, digest = None, ""
        if voter.name in decided:
            digest = voters.get_voter(session, decided[voter.name]).snapshot_hash
        if is_free(VOTERS[voter.kind]) and (digest or VOTERS[voter.kind].fit is None):
            snapshot = fetch_artifact(url, digest) if digest else None
            made = make_voter(voter.name, voter.kind, voter.params, snapshot)
        members.append(PoolMember(voter.name, made, voter.replicates))
    return members


def _load_self_information(
    session: "Session", study: Study, members: Sequence["PoolMember"]
) -> "PoolMember":
    """Make the self-information baseline: the round's own voter, or one fitted now.

    Fitted to the train documents of the study's corpus; without a corpus to the
    sample that comes with the farm.
    """
    from db.queries import corpora, texts
    from kompress.corpora.readers import load_sample
    from kompress.evaluation.baselines.voters import PoolMember
    from kompress.voters import make_voter
    from kompress.voters.self_information import KIND, fit

    kinds = (
        {voter.name: voter.kind for voter in study.config.voters}
        if (study.config is not None)
        else {}
    )
    for member in members:
        if kinds[member.name] == KIND and member.voter is not None:
            return PoolMember(KIND, member.voter)
    contents: list[str] = []
    if study.corpus_id is not None:
        rows = corpora.documents(
            session, study.corpus_id, study.corpus_seq, split="train"
        )
        text_ids = [row.text_id for row in rows][:MAX_FIT_DOCUMENTS]
        contents = list(texts.load_texts(session, text_ids).values())
    if not contents:
        contents = [document.text for document in load_sample()]
    return PoolMember(KIND, make_voter(KIND, KIND, {}, fit({}, contents)))


def _load_train(
    session: "Session", study: Study, max_documents: int
) -> tuple[list[str], "StoredVotes"]:
    """Read train documents of the round with the votes that it used.

    Args:
        session: the session.
        study: its round.
        max_documents: at most so many, chosen by their hash.

    Returns:
        The texts in the corpus's order, and the votes on them.
    """
    from db.queries import selections, texts, votes
    from kompress.types import Vote

    if study.round_id is None:
        return [], {}
    rows = [
        row
        for row in selections.load_selections(session, study.round_id)
        if row.role == "train"
    ]
    text_ids = [row.text_id for row in rows]
    hashes = texts.load_hashes(session, text_ids)
    chosen = set(sorted(text_ids, key=hashes.__getitem__)[:max_documents])
    cast = votes.load_round_votes(session, study.round_id, sorted(chosen))
    content = texts.load_texts(session, sorted(cast))
    stored: dict[tuple[str, str], list[Vote]] = {}
    for text_id, text in content.items():
        for row in cast[text_id]:
            vote = Vote(row.codes_N, row.num_samples)
            stored.setdefault((text, row.voter), []).append(vote)
    return [content[i] for i in text_ids if i in content], stored


def _find_best_voter(session: "Session", study: Study) -> str:
    """Name the voter that the round judged best, '' if it judged none.

    By balanced accuracy on gold, or by must-keep recall where there is no gold.
    """
    from db.queries import views

    if study.config is None:
        return ""
    rows = [
        row
        for row in views.ensemble_paradox(session, study.loop, study.round_number)
        if row["stratum"] == "all" and row["best_voter"]
    ]
    rows.sort(key=lambda row: (row["truth"] != "gold", row["rule"]))
    return str(rows[0]["best_voter"]) if rows else ""


def _load_usd(session: "Session", study: Study) -> dict[str, float]:
    """Sum up what each voter's votes of the round cost, in USD; 0 for local ones."""
    from db.queries import views

    if study.config is None:
        return {}
    usd = {voter.name: 0.0 for voter in study.config.voters}
    for row in views.round_costs(session, study.loop, study.round_number):
        if row["voter"] in usd:
            usd[row["voter"]] += float(row["usd_spent"])
    return usd
