"""Commits: one hunk changes what the program does; the rest is noise around it."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from kompress.corpora.generators import vocabulary as v
from kompress.corpora.generators.composer import Line, fact, filler, line
from kompress.corpora.generators.planted import Planted, draw_filler, interleave


@dataclass(frozen=True, slots=True)
class _Change:
    """What one commit does: subject, reason and rows speak of the same names."""

    ending: str
    subject: str
    reason: str
    rows: tuple[str, ...]


def make(rng: Random) -> Planted:
    """Draw a commit with its reason, the changed behaviour and a reviewer's word."""
    topic = v.Topic(rng.getrandbits(64))
    change = rng.choice(_CHANGES)(topic)
    target = f"{topic.choice(v.SERVICES)}/{topic.choice(v.NOUNS)}.{change.ending}"
    opening = [line(filler(f"diff --git a/{target} b/{target}"))]
    changed = [line(filler("+++"), fact("file", f"b/{target}"))]
    hunk = [line(fact("change", row)) for row in change.rows]
    remark = [line(fact("remark", rng.choice(_REMARKS)(topic)))]
    message = [[line(fact("subject", change.subject), indent="    ")]]
    if rng.random() < 0.6:
        message.append([line(fact("reason", change.reason), indent="    ")])
    anchors = [*message, changed, hunk, remark]
    blocks = draw_filler(
        rng,
        anchors,
        lambda: _noise(rng, change.ending),
        num_words=opening[0].num_words,
    )
    header = [block for block in blocks if block[0].indent == "    "]
    other = [block for block in blocks if block[0].segments[0].text.startswith("diff")]
    context = [block for block in blocks if block not in header and block not in other]
    cut = rng.randint(0, len(other))
    rows = [
        *interleave(rng, message, header),
        *(row for block in other[:cut] for row in block),
        *opening,
        *changed,
        *interleave(rng, [hunk], context),
        *(row for block in other[cut:] for row in block),
        *remark,
    ]
    asks = "What does the commit change, in which file, and what does the reviewer say?"
    why = " Why was it made?" if len(message) > 1 else ""
    return Planted(rows, asks + why)


def _swap(before: str, after: str, space: str = "    ") -> tuple[str, str]:
    return f"-{space}{before}", f"+{space}{after}"


def _limit(rng: Random) -> _Change:
    nouns, low, high = rng.choice(v.NOUNS), rng.randint(1, 99), rng.randint(100, 999)
    name = f"MAX_{nouns.upper()}_PER_{rng.choice(v.FIELDS).upper()}"
    return _Change(
        "py",
        f"Raise {name} from {low} to {high}",
        f"because {v.account(rng)} lost {nouns} above {low}",
        _swap(f"{name} = {low}", f"{name} = {high}", ""),
    )


def _zero(rng: Random) -> _Change:
    field = v.column(rng)
    return _Change(
        "py",
        f"Accept {field} of zero, not only None",
        f"because {v.code(rng)} shows that zero is not missing",
        _swap(f"if {field} is None or {field} == 0:", f"if {field} is None:"),
    )


def _retry(rng: Random) -> _Change:
    nouns, call = rng.choice(v.NOUNS), v.name(rng)
    return _Change(
        "py",
        f"Never retry {call}() on refused {nouns}",
        f"because {call}() charged {rng.randint(2, 900)} {nouns} twice",
        _swap(
            f"return {call}({nouns}, retry=True)",
            f"return {call}({nouns}, retry=False)",
        ),
    )


def _check(rng: Random) -> _Change:
    verb, nouns = rng.choice(v.VERBS), rng.choice(v.NOUNS)
    return _Change(
        "py",
        f"Never raise Denied when anyone may {verb} {nouns}",
        f"because {v.name(rng)}() must {verb} {nouns} without a role",
        (f'-    if not user.may("{verb}"):', f'-        raise Denied("{nouns}")'),
    )


def _lock(rng: Random) -> _Change:
    nouns, call = rng.choice(v.NOUNS), v.name(rng)
    return _Change(
        "py",
        f"Lock {nouns} while {call}() runs",
        f"because of {rng.choice(v.ERRORS)} in {call}(), see {v.code(rng)}",
        (f'+    with lock("{nouns}"):', f"+        {call}({nouns})"),
    )


def _round(rng: Random) -> _Change:
    field = v.column(rng)
    return _Change(
        "py",
        f"Round {field} down, never up",
        f"because {v.code(rng)} shows {v.oddity(rng)} of {field} lost",
        _swap(f"total += round({field})", f"total += floor({field})"),
    )


def _unique(rng: Random) -> _Change:
    nouns, field = rng.choice(v.NOUNS), rng.choice(v.FIELDS)
    index = f"INDEX {nouns}_by_{field} ON {nouns} ({field});"
    return _Change(
        "sql",
        f"Must not store two {nouns} with one {nouns}.{field}",
        f"because {v.code(rng)} found {rng.randint(2, 900)} duplicate {nouns}",
        _swap(f"CREATE {index}", f"CREATE UNIQUE {index}", ""),
    )


def _delete(rng: Random) -> _Change:
    nouns, field = rng.choice(v.NOUNS), rng.choice(v.FIELDS)
    where = f"{nouns} WHERE {field} IS NULL"
    return _Change(
        "rules",
        f"Do not delete {nouns} without a {field}",
        f"because {v.oddity(rng)} reports still need {nouns}.{field}",
        _swap(f"DELETE {where}", f"HIDE {where}", ""),
    )


def _timeout(rng: Random) -> _Change:
    service, long, short = v.component(rng), rng.randint(30, 99), rng.randint(1, 29)
    return _Change(
        "yaml",
        f"Cut the {service} timeout to {short}s",
        f"because {v.name(rng)}() must never wait {short + 1}s",
        _swap(f"timeout: {long}s", f"timeout: {short}s", ""),
    )


def _pin(rng: Random) -> _Change:
    service, major, minor = rng.choice(v.SERVICES), rng.randint(1, 9), rng.randint(1, 9)
    old, new = f"{major}.{minor}.{rng.randint(1, 9)}", f"{major}.{minor - 1}.0"
    return _Change(
        "yaml",
        f"Pin {service} to {new}",
        f"because {old} leaks {v.size(rng)} of {v.oddity(rng)} a day",
        _swap(f"image: acme/{service}:{old}", f"image: acme/{service}:{new}", ""),
    )


def _move(rng: Random) -> _Change:
    nouns, (old, new) = rng.choice(v.NOUNS), rng.sample(v.REGIONS, 2)
    return _Change(
        "yaml",
        f"Move {nouns} from {old} to {new}",
        f"because {v.key(rng)} is not allowed in {old}",
        _swap(f"{nouns}_region: {old}", f"{nouns}_region: {new}", ""),
    )


def _owners(rng: Random) -> _Change:
    action = f"{rng.choice(v.VERBS)}_{rng.choice(v.NOUNS)}"
    return _Change(
        "yaml",
        f"Only owners may {action}",
        f"because {v.account(rng)} saw editors without {v.constant(rng)}",
        _swap(f"{action}: [owner, editor]", f"{action}: [owner]", ""),
    )


_CHANGES: list[Callable[[Random], _Change]] = [
    _limit, _zero, _retry, _check, _lock, _round,
    _unique, _delete, _timeout, _pin, _move, _owners,
]  # fmt: skip

_REMARKS: list[Callable[[Random], str]] = [
    lambda r: f"review: {v.account(r)} wants {v.name(r)}() tested before the merge",
    lambda r: f"review: must wait until {v.component(r)} is migrated",
    lambda r: f"review: never safe with {v.constant(r)} or {v.name(r)}()",
    lambda r: f"review: CI FAILED with {r.choice(v.ERRORS)} at {v.source(r)}",
    lambda r: f"review: never merge before #{r.randint(10, 9999)} and {v.code(r)}",
    lambda r: f"review: breaks {v.name(r)}() and {v.name(r)}()",
    lambda r: f"review: set {v.constant(r)} or run with --force-{v.oddity(r)}",
    lambda r: f"review: {v.column(r)} must be rebuilt with {v.name(r)}()",
    lambda r: f"review: {v.name(r)}() fell from {v.duration(r)} to {v.duration(r)}",
    lambda r: f"review: approved by {v.account(r)} except {v.name(r)}()",
    lambda r: f"review: {r.choice(v.ERRORS)} in {v.name(r)}() without {v.key(r)}",
]


def _noise(rng: Random, ending: str) -> list[Line]:
    draw = rng.random()
    if draw < 0.3:
        text = rng.choice([v.boilerplate, rng.choice(_TRAILERS)])(rng)
        return [line(filler(text), indent="    ")]
    if draw < 0.4:
        return _lock_hunk(rng)
    if draw < 0.8:
        mark = "--" if ending == "sql" else "#"
        text = v.boilerplate(rng) if draw < 0.62 else rng.choice(_COMMENTS)
        return [line(filler(f"{mark} {text}"), indent=" ")]
    return [line(filler(rng.choice(_CONTEXT[ending])), indent=" ")]


def _lock_hunk(rng: Random) -> list[Line]:
    name, package = rng.choice(_LOCKS)
    rows = [
        f"diff --git a/{name} b/{name}",
        f"index {v.hex_id(rng, 8)}..{v.hex_id(rng, 8)} 100644",
        f'-{package} = "{v.version(rng)}"',
        f'+{package} = "{v.version(rng)}"',
        " # this file is generated, please do not edit it by hand",
    ]
    return [line(filler(row.strip()), indent=_indent(row)) for row in rows]


def _indent(row: str) -> str:
    return row[: len(row) - len(row.lstrip())]


_LOCKS = [("poetry.lock", "requests"), ("Cargo.lock", "serde"), ("uv.lock", "numpy")]

_TRAILERS: list[Callable[[Random], str]] = [
    lambda r: f"Change-Id: I{v.hex_id(r, 20)}",
    lambda r: f"Signed-off-by: {v.person(r)}",
    lambda r: f"Pipeline {r.randint(1000, 99999)} passed, no test failed",
    lambda _: "No functional change in the files below",
    lambda _: "Also sorts the imports and wraps the comments again",
    lambda _: "Please see the guide of the team for the wording",
    lambda _: "This is the first part of the work, more will follow",
    lambda r: f"commit {v.hex_id(r, 40)}",
]

_COMMENTS = [
    "Licensed under the same terms as the rest of the project",
    "You may not use this file except as the license allows",
    "See the license for the terms and the limits of use",
    "This is kept for the old clients and may go away some day",
    "The order of the lines below does not matter",
]
_CONTEXT = {
    "py": [
        "from __future__ import annotations",
        "import logging",
        "for item in items:",
        "with open(name) as file:",
        "return result if result else default",
        "pass # left as it was",
        "log.debug('done')",
    ],
    "sql": [
        "BEGIN;",
        "COMMIT;",
        "select count(*) from items as i",
        "order by i.id asc",
        "left join users as u using (id)",
    ],
    "rules": [
        "# rules are read from top to bottom",
        "KEEP items WHERE age IS new",
        "include the usual rules",
        "default is to keep all items",
    ],
    "yaml": [
        "name: app",
        "replicas: 2",
        "restart: always",
        "kind: service",
        "labels: app and team",
        "description: the usual settings of the app",
    ],
}
