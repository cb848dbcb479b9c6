"""Ask a model only what nobody has asked, within the budget, and keep every answer.

    stored answers -> reserve a slice -> ask it -> store as answers come -> next slice

What another job asks at this moment is waited for, once this one's own is done.
"""

import itertools
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from sqlalchemy.orm import Session

from db.queries import answers, loops, records, reservations
from db.queries.answers import AnswerKey, StoredAnswer
from db.queries.reservations import Budget, Reserved, Wanted
from kompress.decisions import BudgetRefusals, Decisions
from kompress.errors import InvalidConfig
from kompress.teachers.endpoints import Price, find_endpoint
from kompress.teachers.protocol import ModelSpec
from kompress.teachers.request import Answer, Ask, AskFailed, Request
from kompress.types import Fingerprint
from worker.errors import Interrupted
from worker.heartbeat import Heartbeat
from worker.patience import patiently
from worker.runtime import Runtime
from worker.transports.transport import Transport

# What a kill can cost: what is reserved at once, and how long answers wait for their
# transaction. Engines take at least so many at once.
SLICE_REQUESTS = 512
SLICE_S = 5.0
# Between two looks at what another job asks.
POLL_S = 0.5
# Loading a model reports no progress; a large one takes minutes to read.
LOAD_PATIENCE_S = 1_800.0
# Of a job's deadline; then it hands itself back, and goes on in another attempt.
MAX_DEADLINE_SHARE = 0.75
# `failures.stage` of what the endpoint or the budget is to blame for, not the text: a
# later round asks again.
UNASKED = "ask"
FREE = Price(input=0.0, output=0.0)

T = TypeVar("T")
Result = Answer | AskFailed


def make_ask(
    runtime: Runtime,
    heartbeat: Heartbeat,
    transport: Transport,
    spec: ModelSpec,
    text_ids: Sequence[int],
    *,
    replicate: int = 0,
) -> Ask:
    """Make what a voter asks with, for one attempt of one job.

    An answer comes out only after it is stored. What raises is meant for `run_stage`:
    LeaseLost, Interrupted, EngineDied.

    Args:
        runtime: this process.
        heartbeat: of the attempt; `heartbeat.job` is the job that pays.
        transport: what answers, see `hold_engine`.
        spec: which model that is.
        text_ids: the text id of each index that the voter gives with a request.
        replicate: part of an answer's key, as of a vote's.

    Raises:
        InvalidConfig: the operator's settings have no such endpoint.
    """
    price, patience_s = FREE, float(heartbeat.job.deadline_s)
    if spec.endpoint:
        endpoint = find_endpoint(runtime.endpoints(), spec.endpoint, spec.model)
        price = endpoint.prices.get(spec.model, FREE)
        patience_s = endpoint.shard_deadline_s
    context = _Context(
        runtime, heartbeat, transport, spec, tuple(text_ids), replicate, price,
        time.monotonic() + patience_s,
    )  # fmt: skip

    def ask(requests: Sequence[tuple[int, Request]]) -> Iterator[tuple[int, Result]]:
        return _Batch(context, requests).run()

    return ask


def hold_engine(
    runtime: Runtime,
    heartbeat: Heartbeat,
    spec: ModelSpec,
    fingerprint: Fingerprint,
) -> Transport:
    """Open a voter's model, or find it open, while the lease is kept.

    Args:
        runtime: this process.
        heartbeat: of the attempt.
        spec: the voter's model.
        fingerprint: the voter's, as it was registered when the round began.

    Raises:
        NotHere: this worker cannot hold the model.
        InvalidConfig: the endpoint is external here, but was not when the round began:
            its texts would leave the farm as they are.
        Retryable: the engine broke while it loaded.
    """
    if spec.endpoint:
        endpoint = find_endpoint(runtime.endpoints(), spec.endpoint, spec.model)
        if endpoint.external and not fingerprint.parts.get("external"):
            raise InvalidConfig(
                f"endpoint {spec.endpoint!r} is external in this worker's settings, "
                f"but was not where voter {fingerprint.name!r} was registered; give "
                "all machines the same file FARM_ENDPOINTS and start another round"
            )
    with heartbeat.patience(LOAD_PATIENCE_S):
        transport = runtime.transport(spec)
    heartbeat.tick()
    return transport


def read_answers(
    session: Session, keys: Collection[AnswerKey]
) -> dict[AnswerKey, Answer]:
    """Read the answers that are there.

    Raises:
        InvalidAnswer: a stored answer cannot be read.
    """
    return {
        key: Answer.from_bytes(
            row.body, input_tokens=row.input_tokens, output_tokens=row.output_tokens
        )
        for key, row in answers.load_answers(session, keys).items()
    }


@dataclass(frozen=True, slots=True)
class _Context:
    """For which job is asked, what answers, and at which price."""

    runtime: Runtime
    heartbeat: Heartbeat
    transport: Transport
    spec: ModelSpec
    text_ids: tuple[int, ...]
    replicate: int
    price: Price
    give_up_at: float

    def key_of(self, index: int, request: Request) -> AnswerKey:
        """Give the key under which everybody finds a request's answer."""
        fingerprint = request.fingerprint(self.spec.identity())
        return AnswerKey(self.text_ids[index], fingerprint, self.replicate)

    def most_of(self, key: AnswerKey, request: Request) -> Wanted:
        """Say what a request can cost at most."""
        tokens = self.transport.max_tokens(request)
        return Wanted(key, *tokens, self.price.usd(*tokens))

    def write(self, write: Callable[[Session], T]) -> T:
        """Run a fenced transaction that is safe to repeat; returns what it returns."""
        made: list[T] = []

        def once(session: Session) -> None:
            made.append(write(session))

        patiently(self.heartbeat.job.title, lambda: self.heartbeat.store_slice(once))
        return made[-1]


@dataclass(slots=True)
class _Batch:
    """The requests of one call of a voter: what is stored, and what is still out."""

    context: _Context
    requests: Sequence[tuple[int, Request]]
    # Equal requests about a text are asked once.
    places: dict[AnswerKey, list[int]] = field(default_factory=dict)
    questions: dict[AnswerKey, Request] = field(default_factory=dict)
    waiting: list[AnswerKey] = field(default_factory=list)
    # Come, but not stored; stored, but not given out.
    fresh: list[tuple[AnswerKey, Result]] = field(default_factory=list)
    ready: list[tuple[AnswerKey, Result]] = field(default_factory=list)
    stored_at: float = 0.0

    def run(self) -> Iterator[tuple[int, Result]]:
        """Give each request's place and its answer, or why there is none."""
        for place, (index, request) in enumerate(self.requests):
            key = self.context.key_of(index, request)
            self.places.setdefault(key, []).append(place)
            self.questions[key] = request
        with self.context.runtime.sessions() as session:
            known = read_answers(session, self.places.keys())
        for key in filter(known.__contains__, self.places):
            yield from self._give(key, known[key])
        missing = [key for key in self.places if key not in known]
        for slice_ in _cut(missing):
            yield from self._serve(slice_)
        while self.waiting:
            time.sleep(POLL_S)
            self.context.heartbeat.tick()
            held, self.waiting = self.waiting, []
            for slice_ in _cut(held):
                yield from self._serve(slice_)

    def _serve(self, keys: list[AnswerKey]) -> Iterator[tuple[int, Result]]:
        """Reserve a slice, ask what is ours, put off what another job asks."""
        self._check_time()
        if time.monotonic() > self.context.give_up_at:
            late = AskFailed("the shard's deadline has passed", is_transient=True)
            for key in keys:
                yield from self._give(key, late)
            return
        reserved = self._reserve(keys)
        with self.context.runtime.sessions() as session:
            known = read_answers(session, reserved.answered)
        for key in filter(known.__contains__, keys):
            yield from self._give(key, known[key])
        self.waiting += [key for key in keys if key in reserved.held]
        refused = [key for key in keys if key in reserved.refused]
        if reserved.budget and reserved.budget.open_usd > 0:
            # What is open is counted at its most; less of it may be spent.
            self.waiting += refused
        elif reserved.budget:
            for key in refused:
                yield from self._give(key, _over(reserved.budget))
        yield from self._ask([key for key in keys if key in reserved.mine])

    def _reserve(self, keys: list[AnswerKey]) -> Reserved:
        """Reserve in one transaction; what the budget leaves out is a decision."""
        context = self.context
        job = context.heartbeat.job
        wanted = [context.most_of(key, self.questions[key]) for key in keys]

        def write(session: Session) -> Reserved:
            reserved = reservations.reserve(session, job, wanted)
            budget = reserved.budget
            if budget and reserved.refused and not budget.open_usd:
                _record_refusal(
                    session, job.round_id, job.voter, budget, len(reserved.refused)
                )
            return reserved

        return context.write(write)

    def _ask(self, keys: list[AnswerKey]) -> Iterator[tuple[int, Result]]:
        """Ask, and store answers as they come; whatever ends it, none is lost."""
        if not keys:
            return
        open_keys = set(keys)
        self.stored_at = time.monotonic()
        coming = self.context.transport.ask(
            [self.questions[key] for key in keys],
            tick=self._tick,
            deadline_s=max(0.0, self.context.give_up_at - time.monotonic()),
        )
        try:
            for place, result in coming:
                open_keys.discard(keys[place])
                self.fresh.append((keys[place], _as_stored(result)))
                self._store_if_due()
                yield from self._give_ready()
            lost = AskFailed("the engine gave no answer", is_transient=True)
            self.fresh += [(key, lost) for key in keys if key in open_keys]
        finally:
            if hasattr(coming, "close"):
                coming.close()
            self._store()
        yield from self._give_ready()

    def _tick(self) -> None:
        """Keep the lease, and what has come while nothing else did."""
        self.context.heartbeat.tick()
        self._store_if_due()

    def _store_if_due(self) -> None:
        if time.monotonic() - self.stored_at > SLICE_S:
            self._store()

    def _store(self) -> None:
        """Store answers, what they cost, and the end of their reservations at once."""
        self.stored_at = time.monotonic()
        if not self.fresh:
            return
        come = dict(self.fresh)
        self.context.write(lambda session: self._write(session, come))
        self.ready += self.fresh
        self.fresh = []

    def _write(self, session: Session, come: dict[AnswerKey, Result]) -> None:
        job = self.context.heartbeat.job
        # None if a commit went through although its connection broke: paid already.
        due = reservations.release(session, job, come.keys())
        paid = [(key, come[key]) for key in sorted(due)]
        answers.store_answers(
            session, [(key, _pack(a)) for key, a in paid if isinstance(a, Answer)]
        )
        for kind, (spent, useful) in _add_up(
            [result for _, result in paid], self.context.price
        ).items():
            if spent:
                records.add_cost(session, job.id, job.attempt, kind, spent, useful)

    def _give_ready(self) -> Iterator[tuple[int, Result]]:
        ready, self.ready = self.ready, []
        for key, result in ready:
            yield from self._give(key, result)

    def _give(self, key: AnswerKey, result: Result) -> Iterator[tuple[int, Result]]:
        for place in self.places[key]:
            yield place, result

    def _check_time(self) -> None:
        """Hand back before the deadline, past which the process would exit."""
        heartbeat = self.context.heartbeat
        spent_s, limit_s = heartbeat.elapsed_s, heartbeat.job.deadline_s
        if spent_s > MAX_DEADLINE_SHARE * limit_s:
            raise Interrupted(
                f"{spent_s:.0f} s have gone by; its answers are stored, the next "
                "attempt goes on"
            )


def _pack(answer: Answer) -> StoredAnswer:
    return StoredAnswer(answer.to_bytes(), answer.input_tokens, answer.output_tokens)


def _cut(keys: Sequence[AnswerKey]) -> Iterator[list[AnswerKey]]:
    """Cut into slices, a text's requests together: it is refused or paid whole."""
    slice_: list[AnswerKey] = []
    for _, group in itertools.groupby(keys, key=lambda key: key.text_id):
        of_text = list(group)
        if slice_ and len(slice_) + len(of_text) > SLICE_REQUESTS:
            yield slice_
            slice_ = []
        slice_ += of_text
    if slice_:
        yield slice_


def _as_stored(result: Result) -> Result:
    """Give an answer as a later reader finds it, so that both read one vote."""
    if isinstance(result, AskFailed):
        return result
    return replace(result, samples=Answer.from_bytes(result.to_bytes()).samples)


def _add_up(results: Sequence[Result], price: Price) -> dict[str, tuple[float, float]]:
    """Sum what results cost, and how much of it brought an answer, by kind."""
    useful_in = useful_out = wasted_in = wasted_out = 0
    for result in results:
        wasted_in += result.wasted_input_tokens
        wasted_out += result.wasted_output_tokens
        if isinstance(result, Answer):
            useful_in += result.input_tokens
            useful_out += result.output_tokens
    return {
        "input_tokens": (useful_in + wasted_in, useful_in),
        "output_tokens": (useful_out + wasted_out, useful_out),
        "usd": (
            price.usd(useful_in + wasted_in, useful_out + wasted_out),
            price.usd(useful_in, useful_out),
        ),
    }


def _over(budget: Budget) -> AskFailed:
    """Say that a text was left out for want of money."""
    return AskFailed(
        f"the budget of the loop, {budget.max_usd:g} USD, is spent: "
        f"{budget.spent_usd:.4f} USD so far, and this text may cost more than is left; "
        "start a loop with a greater stop.max_usd, it finds all stored answers",
        is_transient=True,
    )


def _record_refusal(
    session: Session, round_id: int, voter: str, budget: Budget, num_requests: int
) -> None:
    """Write down on the round what the budget left out."""

    def refuse(made: Decisions) -> Decisions:
        refused = dict(made.budget.refused_requests) if made.budget else {}
        refused[voter] = refused.get(voter, 0) + num_requests
        return replace(
            made, budget=BudgetRefusals(budget.max_usd, budget.spent_usd, refused)
        )

    loops.decide(session, round_id, refuse)
