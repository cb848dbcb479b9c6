"""Stack traces of four languages: the error and the frame of our own code count.

Library frames, start-up lines and the run's figures surround them.
"""

from collections.abc import Callable
from random import Random

from kompress.corpora.generators import vocabulary as v
from kompress.corpora.generators.composer import Line, fact, filler, line
from kompress.corpora.generators.planted import Planted, draw_filler, interleave

# name, lines, question
Clue = tuple[str, list[str], str]
# own frame, library frame, the line that opens the trace, error classes
Language = tuple[
    Callable[[Random], list[str]], Callable[[Random], list[str]], str, list[str]
]


def make(rng: Random) -> Planted:
    """Draw a trace with its error, the frame at fault and what else explains it.

    Source: ours.
    """
    own, library, opening, classes = rng.choice(_LANGUAGES)
    error = f"{rng.choice(classes)}: {rng.choice(_MESSAGES)(rng)}"
    frame = _plant("frame", own(rng))
    last = _plant("error", [error])
    clues = [clue(rng) for clue in rng.sample([_hint, _state, _change], 2)]
    notes = [_plant(name, rows) for name, rows, _ in clues]
    # Notes stand outside the trace: those before it are logs, those after are advice.
    before, after = notes[:1], notes[1:]

    anchors = [*before, frame, last, *after]
    opened = line(filler(opening))
    blocks = draw_filler(
        rng,
        anchors,
        lambda: _noise(rng, library),
        num_words=opened.num_words,
    )
    frames = [block for block in blocks if block[0].indent]
    logs = [block for block in blocks if not block[0].indent]
    cut = rng.randint(0, len(logs))
    rows = [
        *interleave(rng, before, logs[:cut]),
        opened,
        *interleave(rng, [frame], frames),
        *last,
        *interleave(rng, after, logs[cut:]),
    ]
    asks = " ".join(question for _, _, question in clues)
    return Planted(rows, f"What failed, and where in our own code? {asks}")


def _plant(name: str, rows: list[str]) -> list[Line]:
    return [line(fact(name, row.strip()), indent=_indent(row)) for row in rows]


def _noise(rng: Random, library: Callable[[Random], list[str]]) -> list[Line]:
    rows = library(rng) if rng.random() < 0.45 else [rng.choice(_LOGS)(rng)]
    return [line(filler(row.strip()), indent=_indent(row)) for row in rows]


def _indent(row: str) -> str:
    return row[: len(row) - len(row.lstrip())]


def _call(rng: Random) -> str:
    return rng.choice(
        [
            f"{rng.choice(v.VERBS)}({rng.choice(v.FIELDS)})",
            f"self.{rng.choice(v.VERBS)}({rng.choice(v.NOUNS)}[{rng.randint(0, 40)}])",
            f"return {rng.choice(v.VERBS)}({rng.choice(v.NOUNS)}, {rng.randint(1, 9)})",
            f"{rng.choice(v.FIELDS)} = row.{rng.choice(v.FIELDS)}.strip()",
            f"assert {rng.choice(v.FIELDS)} is not None",
            f"raise from {rng.choice(v.VERBS)}",
        ]
    )


def _own_python(rng: Random) -> list[str]:
    where = f"/srv/{rng.choice(v.SERVICES)}/{rng.choice(v.NOUNS)}.py"
    return [
        f'  File "{where}", line {rng.randint(9, 900)}, in {rng.choice(v.VERBS)}',
        f"    {_call(rng)}",
    ]


def _library_python(rng: Random) -> list[str]:
    root = rng.choice(
        [
            "/usr/lib/python3.11",
            "/opt/venv/lib/python3.12/site-packages/" + _library(rng),
        ]
    )
    where = f"{root}/{rng.choice(_MODULES)}.py"
    return [
        f'  File "{where}", line {rng.randint(9, 2900)}, in {rng.choice(_INNER)}',
        f"    {rng.choice(_INNER)}({rng.choice(['*args', 'self, **kw', 'conn, fut'])})",
    ]


def _own_java(rng: Random) -> list[str]:
    noun = rng.choice(v.NOUNS)
    where = f"com.acme.{rng.choice(v.SERVICES)}.{noun.title()}.{_camel(rng)}"
    return [f"    at {where}({noun.title()}.java:{rng.randint(9, 900)})"]


def _library_java(rng: Random) -> list[str]:
    name = rng.choice(_MODULES).title()
    root = rng.choice(["java.base/java.util", "org.springframework.web", "io.netty"])
    tail = rng.choice(["", f" ~[core-{v.version(rng)}.jar:{v.version(rng)}]"])
    where = f"{root}.{_library(rng)}.{name}.{rng.choice(_INNER)}"
    return [f"    at {where}({name}.java:{rng.randint(9, 2900)}){tail}"]


def _own_node(rng: Random) -> list[str]:
    where = f"/srv/{rng.choice(v.SERVICES)}/{rng.choice(v.NOUNS)}.ts"
    return [
        f"    at {_camel(rng)} ({where}:{rng.randint(9, 900)}:{rng.randint(3, 60)})"
    ]


def _library_node(rng: Random) -> list[str]:
    root = rng.choice(["node:internal", f"/app/node_modules/{_library(rng)}/lib"])
    where = f"{root}/{rng.choice(_MODULES)}.js:{rng.randint(9, 2900)}"
    return [f"    at async {rng.choice(_INNER)} ({where}:{rng.randint(3, 60)})"]


def _own_go(rng: Random) -> list[str]:
    service, noun = rng.choice(v.SERVICES), rng.choice(v.NOUNS)
    address = v.hex_id(rng, 9)
    return [
        f"  acme.dev/{service}.{_camel(rng)}(0x{address}, {rng.randint(0, 9)})",
        f"    /srv/{service}/{noun}.go:{rng.randint(9, 900)} +0x{v.hex_id(rng, 3)}",
    ]


def _library_go(rng: Random) -> list[str]:
    name = rng.choice(["net/http", "runtime", "database/sql", "sync", "reflect"])
    first, second = v.hex_id(rng, 9), v.hex_id(rng, 6)
    where = f"/usr/local/go/src/{name}/{rng.choice(_MODULES)}.go"
    return [
        f"  {name}.{rng.choice(_INNER)}({{0x{first}, 0x{second}}})",
        f"    {where}:{rng.randint(9, 2900)}",
    ]


def _camel(rng: Random) -> str:
    head, *rest = rng.choice(v.VERBS).split("_")
    return head + "".join(part.title() for part in rest) + rng.choice(v.FIELDS).title()


def _library(rng: Random) -> str:
    return rng.choice(_LIBRARIES)


_LIBRARIES = [
    "requests",
    "sqlalchemy",
    "asyncio",
    "urllib3",
    "express",
    "koa",
    "hibernate",
    "jackson",
    "celery",
    "pandas",
    "lodash",
    "redis",
    "kafka",
    "grpc",
    "werkzeug",
    "aiohttp",
    "undici",
    "protobuf",
]
_MODULES = [
    "base",
    "client",
    "pool",
    "events",
    "selector",
    "session",
    "adapters",
    "connection",
    "handler",
    "dispatch",
    "loop",
    "queue",
    "reader",
    "socket",
    "executor",
    "router",
    "context",
]
_INNER = [
    "run",
    "invoke",
    "_call_impl",
    "dispatch",
    "wrapper",
    "execute_once",
    "_run_once",
    "send",
    "recv",
    "do_filter",
    "proceed",
    "handle",
    "__call__",
    "submit",
    "on_message",
    "process_ticks",
    "next_tick",
]

_LANGUAGES: list[Language] = [
    (
        _own_python,
        _library_python,
        "Traceback (most recent call last):",
        ["KeyError", "ValueError", "TypeError", "LookupError", "acme.errors.Refused"],
    ),
    (
        _own_java,
        _library_java,
        'Exception in thread "main"',
        ["java.lang.IllegalStateException", "com.acme.NotAllowed", "Caused by"],
    ),
    (
        _own_node,
        _library_node,
        "Uncaught exception, stack follows",
        ["RangeError", "TypeError", "Error [ERR_ACME]", "AssertionError"],
    ),
    (
        _own_go,
        _library_go,
        "goroutine 1 [running]:",
        ["panic", "fatal error", "panic: runtime error"],
    ),
]

_MESSAGES: list[Callable[[Random], str]] = [
    lambda r: f"the {r.choice(v.FIELDS)} of the {r.choice(v.NOUNS)} is missing",
    lambda r: f"{r.choice(v.FIELDS)} must not be empty",
    lambda r: f"no {r.choice(v.NOUNS)} left for {v.person(r)}",
    lambda _: "a closed file was read again",
    lambda _: "dictionary changed size while it was walked",
    lambda r: f"two {r.choice(v.NOUNS)} share one {r.choice(v.FIELDS)}",
    lambda r: f"the {r.choice(v.SERVICES)} answered with an empty page",
    lambda r: f"permission denied for {r.choice(v.PEOPLE).lower()}",
    lambda r: f"expected {r.randint(2, 64)} columns but found {r.randint(65, 99)}",
    lambda r: f"invalid literal '{r.choice(v.FIELDS)}' at offset {r.randint(2, 4096)}",
    lambda r: (
        f"{r.choice(v.FIELDS)}={r.randint(9, 999)} at {v.path(r)}:{r.randint(1, 99)}"
    ),
    lambda r: f"ECONNRESET {v.ip(r)} after {v.duration(r)}",
    lambda r: f"bad magic 0x{v.hex_id(r, 4)}, expected 0x{v.hex_id(r, 4)}",
    lambda r: f"index {r.randint(50, 999)} out of range for length {r.randint(1, 49)}",
    lambda r: f"cannot open {v.path(r)}: ENOENT",
    lambda r: f"value {r.uniform(-9, 9):.3f} is negative in {r.choice(v.FIELDS)}",
    lambda r: f"decode 0x{v.hex_id(r, 2)} in position {r.randint(2, 900)}",
    lambda r: f"deadlock between {r.choice(v.NOUNS)} and {r.choice(v.NOUNS)}",
]


def _hint(rng: Random) -> Clue:
    text = rng.choice(
        [
            f"hint: the migration of {rng.choice(v.NOUNS)} was never applied",
            f"hint: {v.person(rng)} owns this module",
            f"hint: run with --skip-{rng.choice(v.FIELDS)} until it is fixed",
            f"hint: retrying is not safe, {rng.choice(v.NOUNS)} would be sent twice",
            f"hint: see {v.path(rng)} line {rng.randint(9, 900)}",
            f"hint: downgrade to {_library(rng)}=={v.version(rng)}",
            f"hint: the fixture lacks a {rng.choice(v.FIELDS)}",
            f"hint: pin {_library(rng)} below {v.version(rng)}",
            f"hint: set ACME_{rng.choice(v.FIELDS).upper()} before the start",
        ]
    )
    return "hint", [text], "What does the hint advise?"


def _state(rng: Random) -> Clue:
    text = rng.choice(
        [
            f"state: {rng.randint(2, 900)} of {rng.randint(901, 5000)} rows committed",
            f"state: nothing was committed, the {rng.choice(v.NOUNS)} are intact",
            f"state: half of the {rng.choice(v.NOUNS)} were already sent",
            f"state: offset {rng.randint(100, 99999)} of {v.path(rng)}",
            f"state: txid {rng.randint(100, 99999)} PREPARED on {v.ip(rng)}",
            f"state: lock on {rng.choice(v.NOUNS)} still held",
            f"state: backup from {rng.choice(v.REGIONS)} restored by {v.person(rng)}",
            f"state: wrote {v.path(rng)} up to byte {rng.randint(100, 99999)}",
        ]
    )
    return "state", [text], "In which state was the data left?"


def _change(rng: Random) -> Clue:
    text = rng.choice(
        [
            f"first seen after {v.person(rng)} merged {v.hex_id(rng, 8)}",
            f"first seen with {_library(rng)} {v.version(rng)}",
            f"first seen when {rng.choice(v.SERVICES)} left {rng.choice(v.REGIONS)}",
            f"first seen on the tenant of {rng.choice(v.REGIONS)}",
            f"first seen since {rng.choice(v.FIELDS)} became optional",
        ]
    )
    return "change", [text], "Since which change does it happen?"


_LOGS: list[Callable[[Random], str]] = [
    lambda r: f"collected {r.randint(3, 900)} items in {v.duration(r)}",
    lambda r: f"{_library(r)} {v.version(r)} on linux, pid {r.randint(90, 32000)}",
    lambda r: f"using config {v.path(r)}",
    lambda r: f"rss {v.size(r)} peak {v.size(r)} threads {r.randint(1, 64)}",
    lambda r: f"run {v.uuid(r)} seed {r.randint(0, 9999)}",
    lambda _: "see the manual for more about this error",
    lambda r: f"the {v.component(r)} is starting, this may take a while",
    lambda r: f"reading all {r.choice(v.NOUNS)} from the nightly copy",
    lambda r: f"please report problems to the {r.choice(v.SERVICES)} team",
    lambda r: f"using the usual {r.choice(v.FIELDS)} for {r.choice(v.REGIONS)}",
    lambda _: "a longer version of this message is in the log",
    lambda r: f"report written to /tmp/{v.hex_id(r, 8)}/crash.json",
    lambda r: f"warm start, {r.choice(v.NOUNS)} cached from yesterday",
    lambda r: (
        f"uptime {r.randint(1, 90)}d {r.randint(0, 23)}h, load {r.uniform(0, 9):.2f}"
    ),
    lambda r: f"welcome to the {r.choice(v.SERVICES)} console",
    lambda r: f"sentry event {v.hex_id(r, 32)} queued",
    lambda r: f"listening on {v.ip(r)}",
    lambda r: f"thanks for using the {r.choice(v.SERVICES)} {r.choice(v.PARTS)}",
]
