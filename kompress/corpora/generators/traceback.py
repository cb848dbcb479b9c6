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
    """Draw a trace with its error, the frame at fault and what else explains it."""
    topic = v.Topic(rng.getrandbits(64))
    own, library, opening, classes = rng.choice(_LANGUAGES)
    error = f"{topic.choice(classes)}: {rng.choice(_MESSAGES)(topic)}"
    frame = _plant("frame", own(topic))
    last = _plant("error", [error])
    clues = [clue(topic) for clue in rng.sample([_hint, _state, _change], 2)]
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
    draw = rng.random()
    if draw < 0.43:
        rows = library(rng)
    else:
        rows = [v.boilerplate(rng) if draw < 0.77 else rng.choice(_LOGS)(rng)]
    return [line(filler(row.strip()), indent=_indent(row)) for row in rows]


def _indent(row: str) -> str:
    return row[: len(row) - len(row.lstrip())]


def _call(rng: Random) -> str:
    return rng.choice(
        [
            f"{v.name(rng)}({rng.choice(v.NOUNS)})",
            f"self.{rng.choice(v.VERBS)}({rng.choice(v.NOUNS)}[{rng.randint(0, 40)}])",
            f"return {v.name(rng)}({rng.choice(v.NOUNS)}, {rng.randint(1, 9)})",
            f"{rng.choice(v.FIELDS)} = row.{rng.choice(v.FIELDS)}.strip()",
            f"assert {rng.choice(v.FIELDS)} is not None",
        ]
    )


def _own_python(rng: Random) -> list[str]:
    where = f"/srv/{rng.choice(v.SERVICES)}/{rng.choice(v.NOUNS)}.py"
    return [
        f'  File "{where}", line {rng.randint(9, 900)}, in {v.name(rng)}',
        f"    {_call(rng)}",
    ]


def _library_python(rng: Random) -> list[str]:
    path, number, function, code = rng.choice(_PYTHON_FRAMES)
    return [f'  File "/usr/lib/{path}", line {number}, in {function}', f"    {code}"]


def _own_java(rng: Random) -> list[str]:
    noun = rng.choice(v.NOUNS)
    where = f"com.acme.{rng.choice(v.SERVICES)}.{noun.title()}.{_camel(rng)}"
    return [f"    at {where}({noun.title()}.java:{rng.randint(9, 900)})"]


def _library_java(rng: Random) -> list[str]:
    return [f"    at {rng.choice(_JAVA_FRAMES)}"]


def _own_node(rng: Random) -> list[str]:
    where = f"/srv/{rng.choice(v.SERVICES)}/{rng.choice(v.NOUNS)}.ts"
    return [
        f"    at {_camel(rng)} ({where}:{rng.randint(9, 900)}:{rng.randint(3, 60)})"
    ]


def _library_node(rng: Random) -> list[str]:
    return [f"    at async {rng.choice(_NODE_FRAMES)}"]


def _own_go(rng: Random) -> list[str]:
    service, noun = rng.choice(v.SERVICES), rng.choice(v.NOUNS)
    address = v.hex_id(rng, 9)
    return [
        f"  acme.dev/{service}.{_camel(rng)}(0x{address}, {rng.randint(0, 9)})",
        f"    /srv/{service}/{noun}.go:{rng.randint(9, 900)} +0x{v.hex_id(rng, 3)}",
    ]


def _library_go(rng: Random) -> list[str]:
    call, where = rng.choice(_GO_FRAMES)
    return [
        f"  {call}({{0x{v.hex_id(rng, 9)}, 0x1}})",
        f"    /usr/local/go/src/{where}",
    ]


def _camel(rng: Random) -> str:
    head, *rest = rng.choice(v.VERBS).split("_")
    return head + "".join(part.title() for part in rest) + rng.choice(v.FIELDS).title()


# A release's frames are the same in every trace, down to the line.
_PYTHON_FRAMES = [
    ("python3.12/site-packages/celery/app.py", 477, "wrapper", "return run(self)"),
    ("python3.12/site-packages/requests/api.py", 59, "request", "return send(call)"),
    ("python3.12/threading.py", 1012, "run", "for item in the queue:"),
    ("python3.12/asyncio/events.py", 84, "run", "if not ready: continue"),
]
_JAVA_FRAMES = [
    "java.base/java.lang.Thread.run(Thread.java:833)",
    "java.base/java.util.Queue.take(Queue.java:435)",
    "org.springframework.web.Filter.invoke(Filter.java:117)",
]
_NODE_FRAMES = [
    "next (/app/node_modules/koa/lib/router.js:144:13)",
    "handle (/app/node_modules/koa/lib/layer.js:95:5)",
    "run (node:internal/process/queue.js:60:5)",
]
_GO_FRAMES = [
    ("net/http.serve", "net/http/server.go:2092"),
    ("runtime.main", "runtime/proc.go:250"),
    ("database/sql.query", "database/sql/sql.go:1729"),
]
_LIBRARIES = [
    "requests",
    "celery",
    "koa",
    "jackson",
    "redis",
    "grpc",
    "pandas",
    "kafka",
]

_LANGUAGES: list[Language] = [
    (
        _own_python,
        _library_python,
        "Traceback (most recent call last):",
        ["KeyError", "ValueError", *v.ERRORS],
    ),
    (
        _own_java,
        _library_java,
        'Exception in thread "main"',
        ["java.lang.IllegalStateException", *(f"com.acme.{e}" for e in v.ERRORS)],
    ),
    (
        _own_node,
        _library_node,
        "Uncaught exception, stack follows",
        ["RangeError", "TypeError", "Error [ERR_ACME]", *v.ERRORS],
    ),
    (
        _own_go,
        _library_go,
        "goroutine 1 [running]:",
        ["panic", "fatal error", "panic: runtime error"],
    ),
]

_MESSAGES: list[Callable[[Random], str]] = [
    lambda r: f"the {r.choice(v.FIELDS)} of the {v.oddity(r)} is missing",
    lambda r: f"{v.column(r)} must not be empty without {v.constant(r)}",
    lambda r: f"no {v.oddity(r)} left for {v.person(r)}",
    lambda r: f"closed {v.oddity(r)} read again by {v.name(r)}()",
    lambda r: f"{v.name(r)}() and {v.name(r)}() share one {v.oddity(r)}",
    lambda r: f"permission denied for {v.name(r)}() by {v.constant(r)}",
    lambda r: f"expected {r.randint(2, 64)} {v.oddity(r)} rows, never {v.constant(r)}",
    lambda r: f"invalid {v.constant(r)} in {v.column(r)}",
    lambda r: f"{v.key(r)}={r.randint(9, 999)} is not allowed",
    lambda r: f"ECONNRESET {v.ip(r)} after {v.duration(r)}",
    lambda r: f"bad {v.oddity(r)} 0x{v.hex_id(r, 4)}, not 0x{v.hex_id(r, 4)}",
    lambda r: f"{v.name(r)}() failed on {v.column(r)}",
    lambda r: f"cannot open {v.path(r)}: ENOENT",
    lambda r: f"{v.code(r)} in {v.name(r)}() on {v.column(r)}",
    lambda r: f"deadlock between {v.name(r)}() and {v.name(r)}()",
]


def _hint(rng: Random) -> Clue:
    text = rng.choice(
        [
            f"hint: {v.oddity(rng)} migration never applied by {v.name(rng)}()",
            f"hint: ask {v.account(rng)} about {v.name(rng)}()",
            f"hint: never run {v.name(rng)}() without --{v.oddity(rng)}-check",
            f"hint: retry of {v.name(rng)}() is not safe",
            f"hint: see {v.path(rng)} and {v.code(rng)}",
            f"hint: downgrade to {rng.choice(_LIBRARIES)}=={v.version(rng)}",
            f"hint: the {v.oddity(rng)} fixture must have {v.column(rng)}",
            f"hint: set {v.constant(rng)}={rng.randint(1, 99)} and {v.key(rng)}",
        ]
    )
    return "hint", [text], "What does the hint advise?"


def _state(rng: Random) -> Clue:
    text = rng.choice(
        [
            f"state: {rng.randint(2, 900)} of {rng.randint(901, 5000)} rows committed",
            f"state: nothing committed by {v.name(rng)}(), {v.oddity(rng)} intact",
            f"state: half of {v.column(rng)} already sent",
            f"state: offset={rng.randint(100, 99999)} of {v.path(rng)}",
            f"state: {v.column(rng)} PREPARED but not committed",
            f"state: {v.oddity(rng)} lock still held by {v.account(rng)}",
            f"state: {v.oddity(rng)} of {rng.choice(v.REGIONS)} not restored",
            f"state: {v.name(rng)}() wrote only {v.column(rng)}",
        ]
    )
    return "state", [text], "In which state was the data left?"


def _change(rng: Random) -> Clue:
    text = rng.choice(
        [
            f"since: {v.account(rng)} merged {v.hex_id(rng, 8)}",
            f"since: {rng.choice(_LIBRARIES)} {v.version(rng)} and {v.constant(rng)}",
            f"since: {rng.choice(v.SERVICES)} left {rng.choice(v.REGIONS)}",
            f"since: {v.code(rng)} made {v.name(rng)}() lazy",
            f"since: {v.column(rng)} became optional, never NULL",
        ]
    )
    return "change", [text], "Since which change does it happen?"


# Banners and progress say the same in every run.
_LOGS: list[Callable[[Random], str]] = [
    lambda _: "see the manual for more about this error",
    lambda _: "the app is starting, this may take a while",
    lambda _: "please report problems to the team that runs this service",
    lambda _: "a longer version of this message is in the log",
    lambda _: "using the usual settings, nothing was changed since the last run",
    lambda _: "reading all items from the nightly copy as usual",
    lambda r: f"collected {r.randint(3, 900)} items in {v.duration(r)}",
    lambda r: f"run {v.uuid(r)} seed {r.randint(0, 9999)}",
    lambda r: f"report written to /tmp/{v.hex_id(r, 8)}/crash.json",
    lambda r: f"the last start took {v.duration(r)} and did not fail",
    lambda r: f"logged in as {v.person(r)}, welcome back",
]
