"""Answers of HTTP interfaces: a few keys decide, envelope and healthy rows do not."""

from collections.abc import Callable
from random import Random

from kompress.corpora.generators import vocabulary as v
from kompress.corpora.generators.composer import Line, fact, filler, glue, line
from kompress.corpora.generators.planted import Planted, draw_filler, interleave

# name, rows, question
Clue = tuple[str, list[str], str]


def make(rng: Random) -> Planted:
    """Draw a response whose error, failing row and limits are planted."""
    topic = v.Topic(rng.getrandbits(64))
    noun = rng.choice(v.NOUNS)
    clues = [_error(topic)]
    others = [_missing, _limit, _advice, _owner]
    clues += [clue(topic) for clue in rng.sample(others, rng.choice([2, 3]))]
    top = [
        [line(fact(name, row), indent="  ") for row in rows] for name, rows, _ in clues
    ]
    bad = [line(fact("failing_row", _failing_row(topic, noun)), indent="    ")]
    opening = [line(glue("{"))]
    listing = line(filler(f'"{noun}": ['), indent="  ")
    closing = [line(glue("]"), indent="  "), line(glue("}"))]
    blocks = draw_filler(
        rng,
        [*top, bad],
        lambda: [_noise(rng)],
        num_words=sum(row.num_words for row in [*opening, listing, *closing]),
    )
    rows = [block for block in blocks if block[0].indent == "    "]
    envelope = [block for block in blocks if block[0].indent == "  "]
    lines = [
        *opening,
        *interleave(rng, top, envelope),
        listing,
        *interleave(rng, [bad], rows),
        *closing,
    ]
    asks = " ".join(question for _, _, question in clues)
    return Planted(lines, f"{asks} Which of the {noun} failed, and why?")


def _noise(rng: Random) -> Line:
    if rng.random() < 0.6:
        return line(filler(_healthy_row(rng)), indent="    ")
    return line(filler(rng.choice(_ENVELOPE)(rng)), indent="  ")


def _number(rng: Random) -> str:
    return rng.choice([str(rng.randint(1, 99999)), f'"{v.hex_id(rng, 8)}"'])


def _short(rng: Random) -> str:
    return f"{rng.choice(v.NOUNS)[:3]}_{rng.randint(10, 9999)}"


def _healthy_row(rng: Random) -> str:
    at = f"{rng.randint(10, 23)}:{rng.randint(10, 59)}"
    state = rng.choice(["ok", "ok", "ok", "done"])
    extra = rng.choice(
        [
            *3 * [f'"note": "{v.boilerplate(rng)}"'],
            f'"by": "{v.person(rng)}"',
            f'"took": "{v.duration(rng)}"',
        ]
    )
    return f'{{"id": {_number(rng)}, "at": "{at}", "state": "{state}", {extra}}},'


def _failing_row(rng: Random, noun: str) -> str:
    state = rng.choice(["rejected", "failed", "invalid", "failed", "stuck", "blocked"])
    low, high = rng.randint(5, 100), rng.randint(101, 999)
    reason = rng.choice(
        [
            f"the {rng.choice(v.FIELDS)} belongs to another {v.oddity(rng)}",
            f"{rng.choice(v.ERRORS)}: {v.oddity(rng)} must not be reused",
            f"no {v.column(rng)} on file, {v.oddity(rng)} never sent",
            f"{rng.choice(v.FIELDS)}={high} over max={low}",
            f"weight {high}kg not under {v.constant(rng)}",
            f"HTTP {rng.choice([402, 409, 410, 451])} at {v.ip(rng)}",
            f"duplicate of {_short(rng)} in {v.name(rng)}()",
            f"returned by {v.account(rng)}, {v.code(rng)}",
            f"{rng.choice(v.ERRORS)} on {noun}.{rng.choice(v.FIELDS)}",
            f"{v.code(rng)} in {v.name(rng)}() at {rng.choice(v.REGIONS)}",
        ]
    )
    return f'{{"id": {_number(rng)}, "state": "{state}", "reason": "{reason}"}},'


def _error(rng: Random) -> Clue:
    message = rng.choice(
        [
            f"the {v.oddity(rng)} quota of this tenant is used up",
            f"only {v.account(rng)} may approve this {v.oddity(rng)}",
            f"archived {rng.choice(v.NOUNS)} must not change",
            f"{rng.choice(v.ERRORS)}: schema v{rng.randint(5, 9)} required",
            f"{v.column(rng)} must be under {rng.randint(10, 999)}",
            f"HTTP 504 from {v.ip(rng)} in {v.name(rng)}()",
            f"{v.constant(rng)} forbids {v.name(rng)}() on {v.column(rng)}",
            f"row {rng.randint(1, 999)} of {v.path(rng)}: {rng.choice(v.ERRORS)}",
            f"{v.code(rng)} in {v.name(rng)}() at {v.source(rng)}",
        ]
    )
    rows = [f'"error": "{message}",']
    if rng.random() < 0.6:
        code = rng.choice(["QUOTA", "STALE", "DENIED", "CONFLICT", "SCHEMA", "LOCKED"])
        rows.append(
            rng.choice(
                [
                    f'"code": "{code}_{rng.choice(v.FIELDS).upper()}",',
                    f'"code": {rng.choice([401, 403, 409, 412, 422, 429, 503])},',
                    f'"code": "{code.lower()}",',
                ]
            )
        )
    return "error", rows, "Why was the request refused?"


def _missing(rng: Random) -> Clue:
    first, second = rng.sample(v.FIELDS, 2)
    nouns = rng.choice(v.NOUNS)
    row = rng.choice(
        [
            f'"missing": ["{nouns}.{first}", "{nouns}.{second}"],',
            f'"missing": "{nouns}.{first}",',
            f'"invalid": ["{nouns}.{first}"],',
            f'"{first}": null,',
        ]
    )
    return "missing", [row], "Which field is missing or wrong?"


def _limit(rng: Random) -> Clue:
    row = rng.choice(
        [
            f'"{v.oddity(rng)}_limit": {rng.randint(1, 500)},',
            f'"retry_after_s": {rng.randint(1, 7200)},',
            f'"quota": "{v.size(rng)} of {v.size(rng)} used",',
            '"retryable": false,',
            f'"valid_until": "not after {rng.choice(["May", "June", "March"])}",',
        ]
    )
    return "limit", [row], "Which limit applies?"


def _advice(rng: Random) -> Clue:
    row = rng.choice(
        [
            f'"action": "only {v.name(rng)}() without {v.constant(rng)}",',
            f'"action": "ask {v.account(rng)} for the {v.oddity(rng)} role",',
            f'"action": "send {v.column(rng)} without the {v.oddity(rng)}",',
            f'"action": "call /v3/{rng.choice(v.NOUNS)} with --dry-run first",',
            f'"action": "do not repeat, {v.oddity(rng)} was charged already",',
            f'"action": "set {v.key(rng)}={rng.randint(2, 99)} and {v.name(rng)}()",',
        ]
    )
    return "action", [row], "What should be done now?"


def _owner(rng: Random) -> Clue:
    row = rng.choice(
        [
            f'"blocked_by": "{v.account(rng)} and {v.name(rng)}()",',
            f'"blocked_by": "{_short(rng)}",',
            f'"blocked_by": "{v.component(rng)}",',
            f'"conflicts_with": "{rng.choice(v.NOUNS)} of {rng.choice(v.REGIONS)}",',
            f'"conflicts_with": "{v.hex_id(rng, 10)}",',
        ]
    )
    return "blocker", [row], "Who or what stands in the way?"


_ENVELOPE: list[Callable[[Random], str]] = [
    lambda r: f'"request_id": "{v.uuid(r)}",',
    lambda r: f'"took_ms": {r.randint(1, 900)},',
    lambda r: f'"date": "2026-11-{r.randint(10, 28)}T{r.randint(10, 23)}:00Z",',
    lambda r: f'"page": {r.randint(1, 9)},',
    lambda r: f'"region": "{r.choice(v.REGIONS)}",',
    *3 * [lambda r: f'"about": "{v.boilerplate(r)}",'],
    lambda _: '"docs": "https://docs.example.org/guide",',
    lambda _: '"hint": "use filters to see fewer items at once",',
    lambda _: '"greeting": "hello and welcome back to the service",',
]
