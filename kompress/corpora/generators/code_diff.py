"""Commits: one hunk changes what the program does; the rest is noise around it."""

from collections.abc import Callable
from random import Random

from kompress.corpora.generators import vocabulary as v
from kompress.corpora.generators.composer import Line, fact, filler, line
from kompress.corpora.generators.planted import Planted, draw_filler, interleave


def make(rng: Random) -> Planted:
    """Draw a commit with its reason, the changed behaviour and a reviewer's word.

    Source: ours.
    """
    target = f"{rng.choice(v.SERVICES)}/{rng.choice(v.NOUNS)}.{rng.choice(_ENDINGS)}"
    subject = [line(fact("subject", rng.choice(_SUBJECTS)(rng)), indent="    ")]
    opening = [line(filler(f"diff --git a/{target} b/{target}"))]
    changed = [line(filler("+++"), fact("file", f"b/{target}"))]
    change = [
        line(fact("change", row)) for row in rng.choice(_CHANGES)(rng).splitlines()
    ]
    remark = [line(fact("remark", rng.choice(_REMARKS)(rng)))]
    message = [subject]
    if rng.random() < 0.6:
        message.append([line(fact("reason", rng.choice(_REASONS)(rng)), indent="    ")])
    anchors = [*message, changed, change, remark]
    blocks = draw_filler(
        rng, anchors, lambda: _noise(rng), num_words=opening[0].num_words
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
        *interleave(rng, [change], context),
        *(row for block in other[cut:] for row in block),
        *remark,
    ]
    asks = "What does the commit change, in which file, and what does the reviewer say?"
    why = " Why was it made?" if len(message) > 1 else ""
    return Planted(rows, asks + why)


_ENDINGS = ["py", "go", "rs", "ts", "java", "sql", "yaml"]

_SUBJECTS: list[Callable[[Random], str]] = [
    lambda r: f"Stop retrying {r.choice(v.NOUNS)} that were refused",
    lambda r: f"Let {r.choice(v.SERVICES)} run without a {r.choice(v.FIELDS)}",
    lambda r: f"Revert {v.hex_id(r, 8)}, it lost {r.choice(v.NOUNS)}",
    lambda r: f"Raise the {r.choice(v.FIELDS)} limit for {r.choice(v.REGIONS)}",
    lambda r: f"Do not delete {r.choice(v.NOUNS)} of closed {r.choice(v.NOUNS)}",
    lambda r: f"Round {r.choice(v.FIELDS)} down as {v.person(r)} asked",
    lambda r: f"Fix #{r.randint(10, 9999)}: {r.choice(v.NOUNS)} counted twice",
    lambda r: f"Drop support for {r.choice(v.SERVICES)} {v.version(r)}",
    lambda r: f"Skip the {r.choice(v.FIELDS)} check in {r.choice(v.SERVICES)}",
    lambda r: f"Pin {r.choice(v.SERVICES)}_{r.choice(v.PARTS)} to {v.version(r)}",
    lambda r: f"Set {r.choice(v.FIELDS).upper()}_MAX={r.randint(2, 999)} in CI",
    lambda r: f"Move {r.choice(v.NOUNS)} to {r.choice(v.REGIONS)}",
]

_REASONS: list[Callable[[Random], str]] = [
    lambda r: f"because the {r.choice(v.SERVICES)} team promised it to {v.person(r)}",
    lambda r: f"because {r.randint(2, 900)} {r.choice(v.NOUNS)} were lost",
    lambda _: "because the lock was never released after a crash",
    lambda r: f"because {v.path(r)} grew by {v.size(r)} a day",
    lambda _: "because customers were charged twice",
    lambda r: f"because CVE-2026-{r.randint(1000, 9999)} allows it otherwise",
    lambda r: f"because the law of {r.choice(v.REGIONS)} asks for it",
]

_REMARKS: list[Callable[[Random], str]] = [
    lambda r: f"review: {v.person(r)} says this drops the null check on purpose",
    lambda r: f"review: {v.person(r)} wants a test before the merge",
    lambda r: f"review: blocked until {r.choice(v.SERVICES)} is migrated",
    lambda _: "review: safe to merge but not on a Friday",
    lambda r: f"review: CI run {r.randint(100, 9999)} FAILED at {r.randint(2, 99)}%",
    lambda r: f"review: see {v.path(r)} and #{r.randint(10, 9999)} before",
    lambda r: f"review: breaks clients below {v.version(r)}",
    lambda r: f"review: needs --force-{r.choice(v.FIELDS)} on the first run",
    lambda r: f"review: the old {r.choice(v.NOUNS)} must be rebuilt by hand",
    lambda r: f"review: benchmark fell from {v.duration(r)} to {v.duration(r)}",
    lambda r: f"review: approved by {v.person(r)} except the default",
]


def _swap(rng: Random, before: str, after: str) -> str:
    space = " " * rng.choice([1, 4])
    return f"-{space}{before}\n+{space}{after}"


_CHANGES: list[Callable[[Random], str]] = [
    lambda r: _swap(
        r,
        f"{r.choice(v.FIELDS).upper()}_LIMIT = {r.randint(1, 99)}",
        f"{r.choice(v.FIELDS).upper()}_LIMIT = {r.randint(100, 999)}",
    ),
    lambda r: _swap(
        r,
        f"if {r.choice(v.FIELDS)} is None or {r.choice(v.FIELDS)} == 0:",
        f"if {r.choice(v.FIELDS)} is None:",
    ),
    lambda r: _swap(
        r,
        f"return {r.choice(v.VERBS)}({r.choice(v.NOUNS)}, retry=True)",
        f"return {r.choice(v.VERBS)}({r.choice(v.NOUNS)}, retry=False)",
    ),
    lambda r: _swap(
        r,
        f"timeout: {v.duration(r)} # per {r.choice(v.FIELDS)}",
        f"timeout: {v.duration(r)}",
    ),
    lambda r: (
        f"-    if not user.may({r.choice(v.VERBS)}):\n"
        f"-        raise Denied({r.choice(v.NOUNS)})"
    ),
    lambda r: (
        f"+    with lock({r.choice(v.NOUNS)}):\n"
        f"+        {r.choice(v.VERBS)}({r.choice(v.NOUNS)})"
    ),
    lambda r: _swap(
        r,
        f"DROP INDEX {r.choice(v.NOUNS)}_by_{r.choice(v.FIELDS)};",
        f"CREATE UNIQUE INDEX {r.choice(v.NOUNS)}_by_{r.choice(v.FIELDS)};",
    ),
    lambda r: _swap(r, "the owner may edit and share", "only the owner may edit"),
    lambda r: _swap(
        r,
        f"copy {r.choice(v.NOUNS)} to {r.choice(v.REGIONS)}",
        f"copy {r.choice(v.NOUNS)} to {r.choice(v.REGIONS)}",
    ),
    lambda r: _swap(
        r,
        f"{r.choice(v.FIELDS)}_ms={r.randint(1, 99)} max={v.size(r)}",
        f"{r.choice(v.FIELDS)}_ms={r.randint(100, 999)} max={v.size(r)}",
    ),
    lambda r: _swap(r, f"image: {v.ip(r)}/{v.version(r)}", f"image: {v.version(r)}"),
    lambda r: _swap(r, f"target = {v.path(r)}", f"target = {v.path(r)}"),
]


def _noise(rng: Random) -> list[Line]:
    draw = rng.random()
    if draw < 0.35:
        return [line(filler(rng.choice(_TRAILERS)(rng)), indent="    ")]
    if draw < 0.48:
        return _lock_hunk(rng)
    return [line(filler(rng.choice(_CONTEXT)(rng)), indent=" ")]


def _lock_hunk(rng: Random) -> list[Line]:
    name = rng.choice(["poetry.lock", "Cargo.lock", "package-lock.json", "go.sum"])
    package = f"{rng.choice(v.SERVICES)}-{rng.choice(v.PARTS)}"
    rows = [
        f"diff --git a/{name} b/{name}",
        f"index {v.hex_id(rng, 8)}..{v.hex_id(rng, 8)} 100644",
        f'-"{package}" = "{v.version(rng)}"',
        f'+"{package}" = "{v.version(rng)}"',
    ]
    if rng.random() < 0.5:
        rows.append(f'+checksum = "{v.hex_id(rng, 24)}"')
    return [line(filler(row)) for row in rows]


_TRAILERS: list[Callable[[Random], str]] = [
    lambda r: f"Change-Id: I{v.hex_id(r, 20)}",
    lambda r: f"Signed-off-by: {v.person(r)}",
    lambda r: (
        f"Date: 2026-{v.clock(r)[0]:02}-{v.clock(r)[1]:02} {r.randint(10, 23)}:41"
    ),
    lambda r: f"commit {v.hex_id(r, 40)}",
    lambda r: f"{r.randint(2, 19)} files changed, {r.randint(2, 900)} insertions(+)",
    lambda r: f"Merge branch {r.choice(v.SERVICES)} of the team's mirror",
    lambda _: "no functional change in the files below",
    lambda r: f"Thanks to {v.person(r)} for a look at the draft",
    lambda r: f"The wording follows the guide of the {r.choice(v.SERVICES)} team",
    lambda r: f"Also sorts the imports and the list of {r.choice(v.NOUNS)}",
    lambda _: "Comments are wrapped again, as the linter likes them",
    lambda r: f"Pipeline {r.randint(1000, 99999)} passed in {v.duration(r)}",
]

_CONTEXT: list[Callable[[Random], str]] = [
    lambda r: f"@@ -{r.randint(1, 900)},7 +{r.randint(1, 900)},9 @@",
    lambda r: f"index {v.hex_id(r, 8)}..{v.hex_id(r, 8)} 100644",
    lambda r: f"import {r.choice(v.SERVICES)}.{r.choice(v.PARTS)}",
    lambda r: f"{r.choice(v.FIELDS)} = {r.choice(v.VERBS)}({r.randint(1, 99)})",
    lambda r: f"log.debug('{r.choice(v.VERBS)} %s', {r.choice(v.FIELDS)})",
    lambda r: f"# the {r.choice(v.NOUNS)} are sorted by {r.choice(v.FIELDS)} here",
    lambda r: f"for {r.choice(v.FIELDS)} in {r.choice(v.NOUNS)}:",
    lambda r: f"def {r.choice(v.VERBS)}_{r.choice(v.FIELDS)}(self):",
    lambda r: f"# copyright {r.randint(2015, 2026)} the {r.choice(v.SERVICES)} authors",
    lambda _: "# nothing to see here, kept for the old clients",
    lambda r: f"# walk over {r.choice(v.NOUNS)} once and note the {r.choice(v.FIELDS)}",
    lambda r: f"# the {r.choice(v.SERVICES)} team likes this loop as it stands",
    lambda r: f"# see also the {r.choice(v.PARTS)} next door, which does the same",
    lambda _: "pass # left as it was",
    lambda r: f"self.{r.choice(v.FIELDS)} = {r.choice(v.FIELDS)}",
]
