"""Logs of a service in trouble: a few lines tell the story, the rest is routine."""

from collections.abc import Callable
from random import Random

from kompress.corpora.generators import vocabulary as v
from kompress.corpora.generators.composer import Line, Segment, fact, filler, glue, line
from kompress.corpora.generators.planted import Planted, draw_filler, interleave

# name, level, text, question
Story = tuple[str, str, str, str]


def make(rng: Random) -> Planted:
    """Draw a log with a failure and what followed from it."""
    topic = v.Topic(rng.getrandbits(64))
    culprit = v.component(topic)
    others = [_consequence, _action, _setting, _cause]
    stories = [_failure(topic, culprit)]
    stories += [
        story(topic, culprit) for story in rng.sample(others, rng.choice([2, 3]))
    ]
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
    lambda r: f"the {v.oddity(r)} certificate expired and was never renewed",
    lambda r: f"{v.oddity(r)} on disk newer than {v.name(r)}() and {v.constant(r)}",
    lambda r: f"{v.oddity(r)} replica must not be written by {v.name(r)}()",
    lambda r: f"{r.choice(v.ERRORS)}: {v.column(r)} must not be NULL",
    lambda r: f"{r.choice(v.ERRORS)} in {v.name(r)}() at {v.source(r)}",
    lambda r: f"{r.choice(v.ERRORS)} on {v.column(r)}, {v.constant(r)} ignored",
    lambda r: f"{v.code(r)}: {v.column(r)} violates unique {v.oddity(r)} key",
    lambda r: f"ENOSPC while {v.name(r)}() wrote the {v.oddity(r)}",
    lambda r: f"{v.oddity(r)} not found by {v.name(r)}() at {v.source(r)}",
    lambda r: f"HTTP 503 from {v.ip(r)} reason={r.choice(v.FIELDS)}_expired",
    lambda r: f"SIGSEGV in {v.name(r)}(), {v.oddity(r)} never flushed",
    lambda r: f"SIGKILL, {v.oddity(r)} used {v.size(r)} and {v.constant(r)} failed",
    lambda r: f"timeout={v.duration(r)} in {v.name(r)}() for {v.column(r)}",
    lambda r: f"{v.oddity(r)} checksum {v.hex_id(r, 8)} is not {v.hex_id(r, 8)}",
    lambda r: f"EACCES opening {v.path(r)} as {r.choice(v.SURNAMES).lower()}",
    lambda r: f"{v.constant(r)}={r.randint(3, 19)} but {v.name(r)}() must have more",
]


def _consequence(rng: Random, _: str) -> Story:
    nouns = rng.choice(v.NOUNS)
    text = rng.choice(
        [
            f"{rng.randint(3, 9000)} {nouns} were never written by {v.name(rng)}()",
            f"all {nouns} of {v.column(rng)} must be replayed",
            f"{v.name(rng)}() rolled back to {v.version(rng)}",
            f"{v.name(rng)}() rolled back, {v.column(rng)} left half done",
            f"{nouns} DELETED by {v.name(rng)}(), only {rng.randint(3, 900)} kept",
            f"{v.column(rng)} not written, {v.constant(rng)} stays on",
            f"{v.column(rng)} truncated and never restored",
            f"{nouns} charged twice, see {v.code(rng)} and {v.name(rng)}()",
            f"{v.path(rng)} corrupt, {v.name(rng)}() not safe",
        ]
    )
    level = rng.choice(["ERROR", "WARN", "NOTICE", "INFO"])
    return "consequence", level, text, "What was the consequence?"


def _action(rng: Random, culprit: str) -> Story:
    who = v.account(rng)
    text = rng.choice(
        [
            f"{who} disabled {culprit} until {v.code(rng)} closes",
            f"{who} asks not to restart before the {v.oddity(rng)} ends",
            f"{who} set {v.constant(rng)}={rng.randint(1, 64)} and never told",
            f"{who} reverted {v.hex_id(rng, 7)} on {rng.choice(v.REGIONS)}",
            f"{who} ran {v.name(rng)}() with --force and --no-{v.oddity(rng)}",
            f"{who} killed {v.name(rng)}() with SIGTERM",
            f"do not retry {v.name(rng)}(), {who} must repair {v.column(rng)}",
        ]
    )
    return "action", rng.choice(["WARN", "NOTICE", "INFO"]), text, "Who did what?"


def _setting(rng: Random, _: str) -> Story:
    text = rng.choice(
        [
            f"{v.key(rng)}={rng.randint(1, 500)} replaces {rng.randint(501, 999)}",
            f"{v.oddity(rng)} limit lowered to {v.size(rng)} by {v.constant(rng)}",
            f"{v.constant(rng)} fallback to {rng.choice(v.REGIONS)} never used",
            f"{v.key(rng)} missing from {v.path(rng)}",
            f"--no-{v.oddity(rng)} given, {v.key(rng)} must stay unset",
            f"retries are never on for {v.column(rng)}",
            f"{v.constant(rng)} unset, so {v.key(rng)}={rng.choice(['off', 'none'])}",
            f"{v.key(rng)}: not allowed without {v.constant(rng)}",
        ]
    )
    level = rng.choice(["WARN", "WARN", "ERROR"])
    return "setting", level, text, "Which setting matters?"


def _cause(rng: Random, _: str) -> Story:
    text = rng.choice(
        [
            f"cause: {v.column(rng)} missing in {v.name(rng)}()",
            f"cause: the new {v.oddity(rng)} of {v.component(rng)}",
            f"cause: commit {v.hex_id(rng, 8)} of {v.account(rng)}",
            f"cause: clock {v.duration(rng)} behind, {v.name(rng)}() expired",
            f"cause: {v.path(rng)} must not exceed {v.size(rng)}",
            f"cause: {rng.choice(v.SERVICES)}=={v.version(rng)} without {v.key(rng)}",
            f"cause: {v.code(rng)}, {v.name(rng)}() skips the {v.oddity(rng)}",
            f"cause: {v.account(rng)} edited {v.column(rng)} by hand",
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
            "(logged once per run)",
            "(see the manual for more)",
        ]
    )
    return [filler(text)]


def _routine(rng: Random) -> Line:
    level = rng.choice(["INFO"] * 6 + ["DEBUG"] * 3 + ["WARN"])
    draw = rng.random()
    if draw < 0.6:
        text = v.boilerplate(rng)
    else:
        text = rng.choice(_LOUD if draw < 0.85 else _QUIET)(rng)
    return line(filler(level), filler(text))


# Routine says the same again and again, and most of it in plain words.
_QUIET: list[Callable[[Random], str]] = [
    lambda _: "heartbeat ok from the worker, nothing to report",
    lambda _: "health check passed, no error since the last check",
    lambda _: "still in sync with the primary as before",
    lambda _: "nothing to do, sleeping until the next check",
    lambda r: f"cache is warm, flushed to disk in {v.duration(r)}",
    lambda _: "the connection pool is idle and all connections are free",
    lambda _: "cleanup of old files finished, nothing failed",
]
# Routine that looks as if it mattered.
_LOUD: list[Callable[[Random], str]] = [
    lambda r: f"GET /health 200 {v.duration(r)}",
    lambda r: f"request {v.uuid(r)} served in {v.duration(r)}",
    lambda r: f"checkpoint {r.randint(10, 9999)} complete, wrote {v.size(r)}",
    lambda _: "option --legacy-auth is deprecated and ignored",
    lambda r: f"slow call recovered after {v.duration(r)}, no action must be taken",
    lambda r: f"session for {v.person(r)} renewed",
    lambda _: "retry 1 of 3 was ok, the error did not come back",
    lambda r: f"metrics flushed to {v.ip(r)}",
]


_STYLES = (
    "2026-{month:02}-{day:02}T{clock}Z {level}",
    "[{clock}] {level}:",
    "{clock} worker {level}",
    "{clock} {level} from worker:",
)


def _stamp(rng: Random, style: str, rows: list[Line]) -> list[Line]:
    """Put a date and a rising clock before each line's message."""
    month, day, hour, minute = v.clock(rng)
    lower = rng.random() < 0.85
    millis = 1000 * (60 * minute + rng.randint(0, 59))
    stamped = []
    for row in rows:
        millis += rng.choice([rng.randint(1, 90), rng.randint(100, 40000)])
        level = row.segments[0].text
        head = style.format(
            month=month, day=day,
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
