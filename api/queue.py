"""Put work into the queue: what the API and the command line both call.

Everything here is rows in Postgres, written in the caller's transaction. Nothing talks
to the broker: the relay sends the hints.
"""

from itertools import count
from pathlib import Path
from typing import Any

from sqlalchemy.orm import Session

from api.corpus_checks import check_corpus
from api.names import check_name
from db.ids import parse_id
from db.models import Loop, Round
from db.queries import loops, parked, records, students
from kompress.aggregation import make_aggregator
from kompress.config import (
    NEWEST_RELIABILITY,
    PAIRWISE,
    LoopConfig,
    RoundConfig,
    StopConfig,
    VoterConfig,
    parse_config,
)
from kompress.errors import InvalidConfig
from kompress.voters import VOTERS, offered_kinds

SUITES = ("dense", "agent", "qa", "planted")
STUDENT = "student/"  # a recipe's parent: a stored student, by its id


def start_loop(
    session: Session,
    name: str,
    corpus: str,
    config: LoopConfig,
    *,
    priority: int = 0,
    actor: str = "farm",
    endpoints: Path | None = None,
) -> Loop:
    """Insert a loop pinned to the corpus as it is now, and its first round.

    Args:
        session: the caller's transaction.
        name: the loop's name, unique in the farm.
        corpus: the corpus' name.
        config: what the loop computes; immutable from here on.
        priority: greater first.
        actor: who asked, for the audit trail.
        endpoints: as of `check_start`.

    Raises:
        InvalidRequest, InvalidConfig, NotFound, Conflict: as `check_start`.
    """
    config = _pin_versions(config)
    check_start(session, name, corpus, config, endpoints=endpoints)
    loop = loops.create_loop(
        session,
        name,
        corpus,
        config.model_dump(mode="json"),
        config.resolve(1).model_dump(mode="json"),
        priority=priority,
    )
    records.add_event(
        session,
        actor,
        "loop_started",
        loop_id=loop.id,
        detail={"corpus": corpus, "corpus_seq": loop.corpus_seq, "priority": priority},
    )
    return loop


def check_start(
    session: Session,
    name: str,
    corpus: str,
    config: LoopConfig,
    *,
    endpoints: Path | None = None,
) -> None:
    """Refuse a loop of which it is known by now that it cannot come to its end.

    Args:
        session: of the farm's database; nothing is stored.
        name: the loop's.
        corpus: the corpus' name.
        config: the loop's.
        endpoints: the operator's file of endpoints, None where it is not known here.

    Raises:
        InvalidRequest: the name holds other characters than a URL takes.
        InvalidConfig: a voter, an aggregation rule or a suite is unknown, or one of
            their parameters; or the corpus lacks what the config needs.
        NotFound: no corpus has that name, or no student is what a recipe starts from.
        Conflict: a loop has that name already, or the corpus is empty or has no train
            document.
    """
    check_name("loop", name)
    check_loop_config(config)
    for number in range(1, max(1, len(config.rounds)) + 1):
        _check_parent(session, config.resolve(number).recipe.parent)
    held = loops.check_new(session, name, corpus)
    check_corpus(session, held, config, endpoints=endpoints)


def _pin_versions(config: LoopConfig) -> LoopConfig:
    """Write into a new loop which version of a rule it begins, and ends, with."""
    rules = config.base.aggregation
    if "reliability_version" in rules.model_fields_set:
        return config
    newest = rules.model_copy(update={"reliability_version": NEWEST_RELIABILITY})
    base = config.base.model_copy(update={"aggregation": newest})
    return config.model_copy(update={"base": base})


def free_name(session: Session, stem: str) -> str:
    """Give the first of STEM-1, STEM-2 … that no loop has."""
    taken = {loop.name for loop in loops.list_loops(session)}
    return next(name for n in count(1) if (name := f"{stem}-{n}") not in taken)


def enqueue_round(
    session: Session, loop: Loop, actor: str, changes: dict[str, Any] | None = None
) -> Round:
    """Add one more round to a loop that has stopped, or runs without an open round.

    Args:
        session: the caller's transaction.
        loop: the loop; it runs again, on the corpus that it pinned at its start.
        actor: who asked, for the audit trail.
        changes: keys of the round's config that differ from what the loop's config
            says for this round; nested tables are merged key by key.

    Raises:
        InvalidConfig: the changed config is not valid; names the keys.
        NotFound: no student is what the recipe starts from.
        Conflict: the loop is paused or cancelled, or a round of it is open.
    """
    number = loops.reopen_loop(session, loop.id)
    config = parse_config(LoopConfig, loop.config)
    resolved = config.resolve(number)
    if changes:
        # One entry of `rounds`, merged onto what this round would have been.
        changed = LoopConfig.model_construct(base=resolved, rounds=(changes,))
        resolved = changed.resolve(1)
    check_round_config(resolved, config.stop)
    _check_parent(session, resolved.recipe.parent)
    row = loops.create_round(session, loop.id, number, resolved.model_dump(mode="json"))
    records.add_event(
        session,
        actor,
        "round_enqueued",
        loop_id=loop.id,
        round_id=row.id,
        detail={"number": number, "changes": changes or {}},
    )
    return row


def pause_loop(session: Session, loop: Loop, actor: str) -> None:
    """Send no more of a loop's jobs; running ones hand themselves back.

    Raises:
        Conflict: the loop has ended.
    """
    _set_status(session, loop, actor, status="paused", kind="loop_paused")


def resume_loop(session: Session, loop: Loop, actor: str) -> None:
    """Let a paused loop go on where it was.

    Raises:
        Conflict: the loop has ended.
    """
    _set_status(session, loop, actor, status="running", kind="loop_resumed")


def cancel_loop(session: Session, loop: Loop, actor: str) -> None:
    """End a loop, its open rounds and their jobs; what is stored stays.

    Raises:
        Conflict: the loop has ended.
    """
    _set_status(session, loop, actor, status="cancelled", kind="loop_cancelled")


def retry_job(session: Session, job_id: int, actor: str) -> None:
    """Let a failed job run again, and its loop if that ended for it.

    Raises:
        NotFound: no failed job has that id.
        Conflict: its loop has gone on with a later round.
    """
    job = parked.retry(session, job_id)
    records.add_event(
        session,
        actor,
        "job_retried",
        loop_id=job.loop_id,
        round_id=job.round_id,
        job_id=job_id,
    )


def check_loop_config(config: LoopConfig) -> None:
    """Refuse a loop that names what this farm lacks, or leaves out what would stop it.

    Raises:
        InvalidConfig: one line a mistake, with the round that it is in.
    """
    mistakes: dict[str, int] = {}
    for number in range(1, max(1, len(config.rounds)) + 1):
        for mistake in _mistakes(config.resolve(number), config.stop):
            mistakes.setdefault(mistake, number)
    if mistakes:
        raise InvalidConfig(
            "\n".join(f"round {n}: {mistake}" for mistake, n in mistakes.items())
        )


def check_round_config(config: RoundConfig, stop: StopConfig) -> None:
    """Refuse a round that names what this farm lacks, or leaves out what stops a loop.

    Raises:
        InvalidConfig: one line a mistake.
    """
    if mistakes := _mistakes(config, stop):
        raise InvalidConfig("\n".join(mistakes))


def _set_status(
    session: Session, loop: Loop, actor: str, *, status: str, kind: str
) -> None:
    before = loop.status
    loops.set_status(session, loop.id, status)
    if before != status:
        records.add_event(session, actor, kind, loop_id=loop.id)


def _check_parent(session: Session, parent: str) -> None:
    """Refuse to start from a student that is not there."""
    if not parent.startswith(STUDENT):
        return
    number = parent.removeprefix(STUDENT)
    student_id = parse_id(number)
    if student_id is None:
        raise InvalidConfig(
            f"recipe.parent is {parent[:120]!r}; expected {STUDENT}ID with an id of "
            "`farm student list`"
        )
    students.get_student(session, student_id)


def _mistakes(config: RoundConfig, stop: StopConfig) -> list[str]:
    """List what a well-formed config names in vain or lacks, one line each."""
    found = [
        _voter_mistake(f"voters.{voter.name}", voter, is_judge=False)
        for voter in config.voters
    ]
    found += [
        _voter_mistake(f"pairwise.judges.{judge.name}", judge, is_judge=True)
        for judge in config.pairwise.judges
    ]
    for rule in config.aggregation.compare or ():
        params = config.aggregation.params if rule == config.aggregation.rule else {}
        found += _rule_mistakes("aggregation.compare", rule, params)
    found += _rule_mistakes(
        "aggregation", config.aggregation.rule, config.aggregation.params
    )
    k = config.aggregation.params.get("k", 2)
    if (config.protocol, config.aggregation.rule) == (PAIRWISE, "k_of_n") and k != 1:
        found.append(
            f"aggregation.params.k: found {k} under protocol pairwise, whose consensus "
            "has one voter, the winning reference: no word would be dropped; expected "
            "k = 1, or another rule or protocol"
        )
    found += [
        f"evaluation.suites: found {suite!r}; expected one of {', '.join(SUITES)}"
        for suite in config.evaluation.suites
        if suite not in SUITES
    ]
    found += stop.unmeasured(config.evaluation)
    return list(dict.fromkeys(filter(None, found)))


def _voter_mistake(key: str, voter: VoterConfig, *, is_judge: bool) -> str:
    """Check a kind and its parameters, and that judges judge and voters vote."""
    if voter.kind not in VOTERS:
        return (
            f"{key}.kind: found {voter.kind!r}; expected one of "
            f"{', '.join(offered_kinds())}"
        )
    try:
        VOTERS[voter.kind].check(voter.params)
    except InvalidConfig as error:
        return f"{key}.params: {error}"
    if voter.limit > voter.replicates and VOTERS[voter.kind].varies is None:
        return (
            f"{key}.max_replicates: found {voter.max_replicates}; expected none: a "
            f"voter of kind {voter.kind!r} says the same each time; leave it out"
        )
    protocol = voter.params.get("protocol")
    if is_judge and protocol != PAIRWISE:
        return (
            f"{key}: found kind {voter.kind!r} and protocol {protocol!r}; expected a "
            "teacher of the protocol pairwise; only those compare references"
        )
    if protocol == PAIRWISE and not is_judge:
        return (
            f"{key}: found the protocol pairwise, which votes on no word; move it to "
            "pairwise.judges, or choose another protocol"
        )
    return ""


def _rule_mistakes(key: str, rule: str, params: dict[str, Any]) -> list[str]:
    try:
        make_aggregator(rule, params)
    except InvalidConfig as error:
        return [f"{key}: {error}"]
    return []
