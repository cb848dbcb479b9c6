"""Answers of HTTP interfaces: a few keys decide, envelope and healthy rows do not."""

from collections.abc import Callable
from random import Random

from kompress.corpora.generators import vocabulary as v
from kompress.corpora.generators.composer import Line, fact, filler, glue, line
from kompress.corpora.generators.planted import Planted, draw_filler, interleave

# name, rows, question
Clue = tuple[str, list[str], str]


def make(rng: Random) -> Planted:
    """Draw a response whose error, failing row and limits are planted.

    Source: ours.
    """
    noun = rng.choice(v.NOUNS)
    clues = [_error(rng)]
    others = [_missing, _limit, _advice, _owner]
    clues += [clue(rng) for clue in rng.sample(others, rng.choice([2, 3]))]
    top = [
        [line(fact(name, row), indent="  ") for row in rows] for name, rows, _ in clues
    ]
    bad = [line(fact("failing_row", _failing_row(rng, noun)), indent="    ")]
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
    if rng.random() < 0.5:
        return line(filler(_healthy_row(rng)), indent="    ")
    return line(filler(rng.choice(_ENVELOPE)(rng)), indent="  ")


def _number(rng: Random) -> str:
    return rng.choice(
        [str(rng.randint(1, 99999)), f'"{v.hex_id(rng, 8)}"', f'"{_short(rng)}"']
    )


def _short(rng: Random) -> str:
    return f"{rng.choice(v.NOUNS)[:3]}_{rng.randint(10, 9999)}"


def _healthy_row(rng: Random) -> str:
    state = rng.choice(["ok", "done", "ok", "active", "paid", "sent", "synced"])
    extra = rng.choice(
        [
            f'"{rng.choice(v.FIELDS)}": {rng.uniform(0, 900):.2f}',
            f'"by": "{v.person(rng)}"',
            f'"etag": "{v.hex_id(rng, 10)}"',
            f'"city": "{rng.choice(v.REGIONS)}"',
            '"note": "nothing special about it"',
            '"note": "arrived in time and in good order"',
            f'"note": "left with a neighbour in {rng.choice(v.REGIONS)}"',
            f'"note": "delivered as usual to {rng.choice(v.REGIONS)}"',
            f'"took": "{v.duration(rng)}"',
        ]
    )
    return f'{{"id": {_number(rng)}, "state": "{state}", {extra}}},'


def _failing_row(rng: Random, noun: str) -> str:
    state = rng.choice(["rejected", "failed", "blocked", "stuck", "reversed", "held"])
    reason = rng.choice(
        [
            f"the {rng.choice(v.FIELDS)} belongs to another tenant",
            "card expired last month",
            f"no {rng.choice(v.FIELDS)} on file",
            f"weight {rng.randint(31, 99)}kg over the limit of {rng.randint(5, 30)}kg",
            f"{rng.choice(v.FIELDS)} {rng.randint(101, 999)} > {rng.randint(5, 100)}",
            f"HTTP {rng.choice([402, 409, 410, 451])} at {v.ip(rng)}",
            f"duplicate of {_short(rng)}",
            f"returned by {v.person(rng)} unopened",
            f"ETAG_MISMATCH on {noun}.{rng.choice(v.FIELDS)}",
            f"address unknown in {rng.choice(v.REGIONS)}",
        ]
    )
    return f'{{"id": {_number(rng)}, "state": "{state}", "reason": "{reason}"}},'


def _error(rng: Random) -> Clue:
    message = rng.choice(
        [
            f"the {rng.choice(v.SERVICES)} quota of this tenant is used up",
            f"only {v.person(rng)} may approve this",
            f"the {rng.choice(v.NOUNS)} were archived and cannot change",
            "the signature does not match the body",
            "a newer request has replaced this one",
            f"{rng.choice(v.SERVICES)} is closed until further notice",
            f"expected schema v{rng.randint(5, 9)}, found v{rng.randint(1, 4)}",
            f"{rng.choice(v.FIELDS)} must be under {rng.randint(10, 999)}",
            f"HTTP 504 from {v.ip(rng)} after {v.duration(rng)}",
            f"row {rng.randint(1, 999)} of {v.path(rng)}: E{rng.randint(100, 999)}",
            f"timeout of {v.duration(rng)} at {v.ip(rng)}",
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
    row = rng.choice(
        [
            f'"missing": ["{first}", "{second}"],',
            f'"missing": "{first}",',
            f'"invalid": ["{first}"],',
            f'"{first}": null,',
        ]
    )
    return "missing", [row], "Which field is missing or wrong?"


def _limit(rng: Random) -> Clue:
    row = rng.choice(
        [
            f'"limit": {rng.randint(1, 500)},',
            f'"retry_after_s": {rng.randint(1, 7200)},',
            f'"quota": "{v.size(rng)} of {v.size(rng)} used",',
            '"retryable": false,',
            f'"valid_until": "the end of {rng.choice(["May", "June", "March"])}",',
        ]
    )
    return "limit", [row], "Which limit applies?"


def _advice(rng: Random) -> Clue:
    row = rng.choice(
        [
            f'"action": "ask {v.person(rng)} for the {rng.choice(v.SERVICES)} role",',
            f'"action": "send the {rng.choice(v.FIELDS)} again without spaces",',
            f'"action": "call /v3/{rng.choice(v.NOUNS)} with --dry-run first",',
            '"action": "do not repeat, it was charged already",',
            f'"action": "wait for the {rng.choice(v.REGIONS)} office",',
        ]
    )
    return "action", [row], "What should be done now?"


def _owner(rng: Random) -> Clue:
    row = rng.choice(
        [
            f'"blocked_by": "{v.person(rng)}",',
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
    lambda r: f'"api_version": "{v.version(r)}",',
    lambda r: f'"server": "{r.choice(v.REGIONS).lower()}-{r.randint(1, 40)}",',
    lambda r: f'"page": {r.randint(1, 9)},',
    lambda r: f'"self": "/v1/{r.choice(v.NOUNS)}?page={r.randint(1, 9)}",',
    lambda r: f'"trace": "{v.hex_id(r, 16)}",',
    lambda r: (
        f'"date": "2026-{v.clock(r)[0]:02}-{v.clock(r)[1]:02}T{r.randint(10, 23)}:00Z",'
    ),
    lambda r: f'"docs": "https://docs.example.org/{r.choice(v.SERVICES)}",',
    lambda r: f'"client": "{r.choice(v.SERVICES)} {r.choice(v.PARTS)}",',
    lambda r: f'"title": "list of all {r.choice(v.NOUNS)} by {r.choice(v.FIELDS)}",',
    lambda r: f'"about": "answers for the {r.choice(v.SERVICES)} team and its guests",',
    lambda r: f'"notice": "office of {r.choice(v.REGIONS)} is open as usual today",',
    lambda r: f'"hint": "use filters to see fewer {r.choice(v.NOUNS)} at once",',
    lambda r: f'"cursor": "{v.hex_id(r, 20)}",',
    lambda r: f'"greeting": "hello {r.choice(v.PEOPLE)}, welcome back",',
    lambda r: f'"cached": true, "age_s": {r.randint(1, 3600)},',
    lambda r: f'"region": "{r.choice(v.REGIONS)}",',
]
