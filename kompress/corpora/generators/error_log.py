"""Logs of a service in trouble: a few lines tell the story, the rest is routine."""

from collections.abc import Callable
from random import Random

from kompress.corpora.generators import vocabulary as v
from kompress.corpora.generators.composer import Line, Segment, fact, filler, glue, line
from kompress.corpora.generators.planted import Planted, draw_filler, interleave

# name, level, text, question
Story = tuple[str, str, str, str]


def make(rng: Random) -> Planted:
    """Draw a log with a failure and what followed from it.

    Source: ours.
    """
    culprit = v.component(rng)
    others = [_consequence, _action, _setting, _cause]
    stories = [_failure(rng, culprit)]
    stories += [story(rng, culprit) for story in rng.sample(others, rng.choice([2, 3]))]
    anchors = [
        [line(filler(level), fact(name, text), *_tail(rng))]
        for name, level, text, _ in stories
    ]
    style = rng.choice(_STYLES)
    blocks = draw_filler(
        rng, anchors, lambda: [_routine(rng)], words_per_line=style.count(" ")
    )
    asks = " ".join(question for _, _, _, question in stories)
    return Planted(_stamp(rng, style, interleave(rng, anchors, blocks)), asks)


def _failure(rng: Random, culprit: str) -> Story:
    reason = rng.choice(_REASONS)(rng)
    text = rng.choice(
        [
            f"{culprit} failed: {reason}",
            f"{culprit} stopped because {reason}",
            f"{culprit} gave up, {reason}",
            f"{culprit}: {reason}",
            f"fatal in {culprit}: {reason}",
        ]
    )
    level = rng.choice(["ERROR", "ERROR", "FATAL", "CRITICAL"])
    return "failure", level, text, "Which component failed, and why?"


_REASONS: list[Callable[[Random], str]] = [
    lambda _: "connection refused by upstream",
    lambda _: "disk quota exceeded for the tenant",
    lambda _: "the certificate expired last night",
    lambda _: "the broker closed the channel without a reason",
    lambda _: "another leader was elected meanwhile",
    lambda _: "the password of the database was rotated",
    lambda _: "two writers held the same lock",
    lambda _: "the schema on disk is newer than the code",
    lambda _: "the queue was purged while it was reading",
    lambda r: f"no route to {r.choice(v.REGIONS)}",
    lambda r: f"the {r.choice(v.SERVICES)} replica is read only",
    lambda r: f"the {r.choice(v.FIELDS)} column does not exist",
    lambda r: f"the {r.choice(v.NOUNS)} table is locked by {r.choice(v.SERVICES)}",
    lambda r: f"ENOSPC writing {v.path(r)}",
    lambda r: f"error {r.randint(10, 99)} at {v.path(r)}:{r.randint(9, 900)}",
    lambda r: f"HTTP 503 from {v.ip(r)} x-reason={r.choice(v.FIELDS)}_expired",
    lambda r: f"{r.choice(v.SERVICES)}.{r.choice(v.VERBS)}() got 0x{v.hex_id(r, 6)}",
    lambda r: f"rc={r.randint(2, 250)} SIGSEGV in lib{r.choice(v.SERVICES)}.so",
    lambda r: f"EPIPE on {v.ip(r)} after {v.duration(r)} and {v.size(r)}",
    lambda r: f"HTTP {r.choice([401, 403, 409, 429, 502, 503])} from {v.ip(r)}",
    lambda r: f"SIGKILL after {v.size(r)} of memory, exit code 137",
    lambda r: f"timeout of {v.duration(r)} waiting for {r.choice(v.NOUNS)}_pkey",
    lambda r: f"checksum {v.hex_id(r, 8)} differs from {v.hex_id(r, 8)}",
    lambda r: f"EACCES opening {v.path(r)}",
    lambda r: f"error[E{r.randint(1000, 9999)}] in {r.choice(v.VERBS)}()",
    lambda r: f"needs schema {r.randint(20, 99)} but found {r.randint(3, 19)}",
]


def _consequence(rng: Random, _: str) -> Story:
    nouns = rng.choice(v.NOUNS)
    text = rng.choice(
        [
            f"{rng.randint(3, 9000)} {nouns} were never written",
            f"all {nouns} since midnight must be replayed",
            f"the {nouns} of {rng.choice(v.REGIONS)} are lost",
            f"deploy of {v.version(rng)} rolled back",
            f"transaction rolled back, {nouns} left half done",
            f"{rng.randint(3, 9000)} {nouns} DELETED, {rng.randint(3, 900)} kept",
            f"{nouns} {rng.randint(3, 900)}..{rng.randint(901, 9000)} unwritten",
            f"rollback to {v.version(rng)}, {v.path(rng)} truncated",
            f"replica in {rng.choice(v.REGIONS)} promoted to primary",
            f"{nouns} charged twice for {rng.randint(2, 400)} tenants",
            f"traffic moved to {rng.choice(v.REGIONS)} without the {nouns}",
            f"{nouns} are served stale until the index is rebuilt",
        ]
    )
    level = rng.choice(["ERROR", "WARN", "NOTICE", "INFO"])
    return "consequence", level, text, "What was the consequence?"


def _action(rng: Random, culprit: str) -> Story:
    who = v.person(rng)
    text = rng.choice(
        [
            f"{who} disabled the {culprit} until further notice",
            f"{who} took over and paused the {rng.choice(v.NOUNS)} queue",
            f"{who} asks not to restart before the backup ends",
            f"{who} set --max-{rng.choice(v.NOUNS)}={rng.randint(1, 64)} by hand",
            f"{who} reverted {v.hex_id(rng, 7)} on {rng.choice(v.REGIONS)}",
            f"{who} ran {rng.choice(v.SERVICES)}ctl --drain={v.ip(rng)}",
            f"{who} killed pid {rng.randint(90, 9000)} with SIGTERM",
            f"do not retry, {who} is repairing the {rng.choice(v.NOUNS)} by hand",
        ]
    )
    return "action", rng.choice(["WARN", "NOTICE", "INFO"]), text, "Who did what?"


def _setting(rng: Random, _: str) -> Story:
    key = f"{rng.choice(v.SERVICES)}.{rng.choice(['max', 'min'])}_{rng.choice(v.NOUNS)}"
    text = rng.choice(
        [
            f"{key}={rng.randint(1, 500)} replaces default {rng.randint(501, 999)}",
            f"limit lowered to {v.size(rng)} by {v.path(rng)}",
            f"fallback to {rng.choice(v.REGIONS)} is switched off in the config",
            f"{key}={rng.randint(1, 500)} from {v.path(rng)}",
            f"--no-{rng.choice(v.FIELDS)} given, {key}={rng.randint(1, 9)} ignored",
            f"retries are switched off for {rng.choice(v.NOUNS)}",
            f"{rng.choice(v.SERVICES).upper()}_TIMEOUT is unset, so {v.duration(rng)}",
        ]
    )
    return (
        "setting",
        rng.choice(["WARN", "WARN", "ERROR"]),
        text,
        "Which setting matters?",
    )


def _cause(rng: Random, _: str) -> Story:
    text = rng.choice(
        [
            f"caused by a missing {rng.choice(v.FIELDS)} in {rng.choice(v.NOUNS)}",
            f"caused by the new {rng.choice(v.SERVICES)} release",
            f"caused by commit {v.hex_id(rng, 8)} of {rng.choice(v.SERVICES)}",
            f"caused by a clock that is {v.duration(rng)} behind",
            f"caused by {v.path(rng)} at 100% of {v.size(rng)}",
            f"caused by {rng.choice(v.SERVICES)}=={v.version(rng)} on {v.ip(rng)}",
            f"caused by an empty {rng.choice(v.NOUNS)} file in {v.path(rng)}",
            f"caused by somebody editing the {rng.choice(v.NOUNS)} table by hand",
        ]
    )
    return "cause", rng.choice(["ERROR", "WARN"]), text, "What was the root cause?"


def _tail(rng: Random) -> list[Segment]:
    """What loggers append to any line, so that a line is not needed whole."""
    if rng.random() < 0.6:
        return []
    text = rng.choice(
        [
            f"trace={v.hex_id(rng)}",
            f"(request {v.uuid(rng)})",
            f"thread={rng.randint(1, 90)} heap={v.size(rng)}",
            f"[{rng.choice(v.SERVICES)}.go:{rng.randint(9, 900)}]",
            "(logged once per run)",
        ]
    )
    return [filler(text)]


def _routine(rng: Random) -> Line:
    level = rng.choice(["INFO"] * 6 + ["DEBUG"] * 3 + ["WARN"])
    return line(filler(level), filler(rng.choice(_ROUTINE)(rng)))


_ROUTINE: list[Callable[[Random], str]] = [
    lambda r: f"GET /v1/{r.choice(v.NOUNS)}/{r.randint(1, 9999)} 200 {v.duration(r)}",
    lambda r: f"POST /v2/{r.choice(v.NOUNS)} 201 {v.duration(r)} trace={v.hex_id(r)}",
    lambda r: f"heartbeat ok seq={r.randint(1, 99999)} lag={v.duration(r)}",
    lambda r: f"{v.component(r)} heartbeat ok",
    lambda r: f"cache warmed for {r.choice(v.NOUNS)} in {v.duration(r)}",
    lambda r: f"{v.component(r)} is healthy",
    lambda r: f"checkpoint {r.randint(10, 9999)} complete, wrote {v.size(r)}",
    lambda r: f"connected to {v.ip(r)} as {r.choice(v.SERVICES)}",
    lambda r: f"loaded {v.path(r)} ({v.size(r)})",
    lambda r: f"request {v.uuid(r)} served",
    lambda r: f"{v.component(r)} {v.version(r)} (build {v.hex_id(r, 7)}) ready",
    lambda _: "nothing to do, sleeping again",
    lambda r: f"waiting for the next {r.choice(v.NOUNS)} from {r.choice(v.REGIONS)}",
    lambda r: f"still in sync with the {v.component(r)} as before",
    lambda r: f"good morning from the {v.component(r)}, everything is fine",
    lambda r: f"no new {r.choice(v.NOUNS)} since the last look",
    lambda r: f"reading {r.choice(v.NOUNS)} for {v.person(r)} from the cache",
    lambda r: f"the {v.component(r)} says hello and goes back to sleep",
    lambda r: f"regular cleanup of old {r.choice(v.NOUNS)} finished without findings",
    lambda r: f"keeping the connection to {r.choice(v.REGIONS)} open for now",
    lambda r: (
        f"{r.choice(v.NOUNS)} sorted by {r.choice(v.FIELDS)} for the weekly report"
    ),
    lambda r: f"polling for new {r.choice(v.NOUNS)} as usual",
    lambda r: f"gc pause {v.duration(r)} heap {v.size(r)}",
    lambda r: f"metrics flushed to {v.ip(r)}",
    lambda r: f"session for {v.person(r)} renewed",
    lambda r: f"all {r.choice(v.NOUNS)} up to date in {r.choice(v.REGIONS)}",
    lambda r: f"{r.choice(v.VERBS)} took {v.duration(r)} for {r.randint(1, 900)} rows",
    lambda r: f"option --legacy-{r.choice(v.FIELDS)} is deprecated and ignored",
    lambda r: f"slow call to {r.choice(v.SERVICES)}, recovered after {v.duration(r)}",
]


_STYLES = (
    "2026-{month:02}-{day:02}T{clock}Z {level}",
    "{month:02}-{day:02} {clock} {level} worker",
    "[{clock}] {level}:",
    "{level} {clock} {host}:",
    "ts={clock} level={level} pid={pid}",
)


def _stamp(rng: Random, style: str, rows: list[Line]) -> list[Line]:
    """Put a date, a rising clock and a process before each line's message."""
    month, day, hour, minute = v.clock(rng)
    lower, pid = rng.random() < 0.3, rng.randint(90, 9000)
    host, millis = rng.choice(v.SERVICES), 1000 * (60 * minute + rng.randint(0, 59))
    stamped = []
    for row in rows:
        millis += rng.choice([rng.randint(1, 90), rng.randint(100, 40000)])
        level = row.segments[0].text
        head = style.format(
            month=month, day=day, host=host, pid=pid,
            clock=_clock(3_600_000 * hour + millis),
            level=level.lower() if lower else level,
        )  # fmt: skip
        # A reader may want the level of a line that tells the story.
        role = glue if row.num_facts and level != "INFO" else filler
        segments = [
            role(word) if level.lower() in word.lower() else filler(word)
            for word in head.split()
        ]
        stamped.append(line(*segments, *row.segments[1:]))
    return stamped


def _clock(millis: int) -> str:
    seconds = millis // 1000
    hours, minutes = seconds // 3600 % 24, seconds // 60 % 60
    return f"{hours:02}:{minutes:02}:{seconds % 60:02}.{millis % 1000:03}"
