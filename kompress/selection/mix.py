"""Thin the parts of a training mix so that their shares hold to a document.

P = parts
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from kompress.config import MixPart
from kompress.errors import InvalidSelection


@dataclass(frozen=True, slots=True)
class MixDocument:
    """A document that a part could take.

    Attributes:
        id: the caller's number for it.
        kind: the document's kind.
        sha256: digest of its text: decides who stays.
    """

    id: int
    kind: str
    sha256: bytes


def thin(
    documents: Sequence[Sequence[MixDocument]], parts: Sequence[MixPart], seed: int
) -> list[list[int]]:
    """Choose each part's documents, none of them for two parts.

    First the cap by kind. Then a document that several parts could take goes to the one
    that is furthest from its share, or without shares to the first. Then the shares.
    Who stays is decided by a hash of the text and the seed, never by rows or workers.

    Args:
        documents: what each part could take.
        parts: the mix.
        seed: another seed, another choice.

    Returns:
        The ids of each part, in the order of their hashes.

    Raises:
        InvalidSelection: a part with a share has no document.
    """
    ranked = [
        _cap(sorted(rows, key=lambda row: _rank(row, seed)), part)
        for rows, part in zip(documents, parts, strict=True)
    ]
    shares = [part.share for part in parts]
    own = _deal(ranked, shares, seed)
    counts = mix_counts([len(ids) for ids in own], shares)
    return [ids[:count] for ids, count in zip(own, counts, strict=True)]


def mix_counts(
    available_P: Sequence[int], share_P: Sequence[float | None]
) -> list[int]:
    """Give each part as many documents as its share of the largest possible whole.

    The whole is the greatest T with share · T <= available for every part; the parts of
    T that are no whole documents go to the largest remainders, the first of equal ones.

    Args:
        available_P: (P,) documents of each part.
        share_P: (P,) shares in (0, 1]; None is what the others leave. All None: every
            document of every part.

    Returns:
        (P,) counts that sum to T.

    Raises:
        InvalidSelection: a part with a share above 0 has no document.

    Source: Hamilton's method of largest remainders; the whole: ours.
    """
    if all(share is None for share in share_P):
        return list(available_P)
    wanted = _exact(share_P)
    if empty := [n for n, s in enumerate(wanted) if s and not available_P[n]]:
        raise InvalidSelection(
            f"part {empty[0] + 1} of the mix has no document, its share is "
            f"{float(wanted[empty[0]]):g}; expected at least one; see what the round "
            "labelled, or leave the part out"
        )
    whole = min(math.floor(available_P[n] / s) for n, s in enumerate(wanted) if s)
    counts = [math.floor(s * whole) for s in wanted]
    by_remainder = sorted(
        range(len(wanted)), key=lambda n: (counts[n] - wanted[n] * whole, n)
    )
    for n in by_remainder[: whole - sum(counts)]:
        counts[n] += 1
    return counts


def _exact(share_P: Sequence[float | None]) -> list[Fraction]:
    """Read shares as they are written: .33 is 33 / 100, and 0.1 + 0.2 is 3 / 10."""
    given = [Fraction(str(share)) for share in share_P if share is not None]
    rest = max(Fraction(0), 1 - sum(given, Fraction(0)))
    return [rest if share is None else Fraction(str(share)) for share in share_P]


def _deal(
    ranked: Sequence[Sequence[MixDocument]],
    share_P: Sequence[float | None],
    seed: int,
) -> list[list[int]]:
    """Give each document to one part."""
    takers: dict[int, list[int]] = {}
    rows: dict[int, MixDocument] = {}
    for part, documents in enumerate(ranked):
        for row in documents:
            takers.setdefault(row.id, []).append(part)
            rows[row.id] = row
    shared = any(share is not None for share in share_P)
    wanted = _exact(share_P)
    owner = {n: parts[0] for n, parts in takers.items() if len(parts) == 1}
    filled = [list(owner.values()).count(part) for part in range(len(ranked))]
    for row in sorted(rows.values(), key=lambda row: _rank(row, seed)):
        if row.id in owner:
            continue
        part = takers[row.id][0]
        if shared:
            open_parts = [p for p in takers[row.id] if wanted[p]] or [part]
            part = min(open_parts, key=lambda p: (filled[p] / (wanted[p] or 1), p))
        owner[row.id] = part
        filled[part] += 1
    return [
        [row.id for row in documents if owner[row.id] == part]
        for part, documents in enumerate(ranked)
    ]


def _cap(rows: Sequence[MixDocument], part: MixPart) -> list[MixDocument]:
    """Keep the first of each kind."""
    if part.max_documents_per_kind is None:
        return list(rows)
    seen: dict[str, int] = {}
    kept = []
    for row in rows:
        seen[row.kind] = seen.get(row.kind, 0) + 1
        if seen[row.kind] <= part.max_documents_per_kind:
            kept.append(row)
    return kept


def _rank(row: MixDocument, seed: int) -> bytes:
    return hashlib.sha256(b"mix:%d:" % seed + row.sha256).digest()
