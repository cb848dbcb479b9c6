"""A voter that says what a stored reference kept: silver labels of a summariser.

N = words
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from kompress.alignment import (
    ALIGNMENT_VERSION,
    AlignmentFilter,
    align,
    bag_of_words,
    fit_filter,
)
from kompress.config import RuleSet, Share
from kompress.errors import InvalidConfig, VoteFailed
from kompress.must_keep.classify import RULE_VERSIONS
from kompress.types import ABSTAIN, CodeArray, Fingerprint, Vote, encode_votes
from kompress.voters.voter import (
    Voter,
    VoterKind,
    VoterParams,
    describe,
    parse_params,
)
from kompress.words import WORD_VERSION, word_list

KIND = "references"
VERSION = "1"  # changes whenever any vote would
# Rates settle long before so many, and each costs an alignment.
MAX_FIT_REFERENCES = 2_000


class ReferencesParams(VoterParams):
    """Parameters of the references voter.

    Attributes:
        origin: whose references: the name that they were added under.
        method: `align`, or `bag_of_words`, the published rule.
        rule_set: whose must-keep words `bag_of_words` keeps.
        worst_variation: share of the references to leave out by variation rate.
        worst_gap: share of the others to leave out by alignment gap.
        max_variation_rate: references above it are left out, whatever the share.
        max_gap: references above it are left out, whatever the share.
    """

    origin: Annotated[str, Field(min_length=1, max_length=100)] = "references"
    method: Literal["align", "bag_of_words"] = "align"
    rule_set: RuleSet = "kompress-r0"
    worst_variation: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.05
    worst_gap: Annotated[float, Field(ge=0.0, lt=1.0)] = 0.10
    max_variation_rate: Share = 1.0
    max_gap: Share = 1.0


class References:
    """Votes 1 for what a text's reference kept and 0 for the rest.

    A text without a reference gets abstentions. One whose reference aligns too badly
    (`align` only; the published rule filters nothing) is a failure that says so.

    Blind strata: those of whoever wrote the references; see the corpus' losses.

    Source: alignment and filters, LLMLingua-2, Pan et al. 2024; `bag_of_words`, the
    public trainers of the kompress line.
    """

    def __init__(
        self, name: str, params: ReferencesParams, snapshot: bytes | None
    ) -> None:
        self._params = params
        self._references: Mapping[str, str] = {}
        digest, self._filter = _read_snapshot(params, snapshot)
        self._fingerprint = Fingerprint(
            name,
            describe(
                params,
                kind=KIND,
                version=VERSION,
                words=WORD_VERSION,
                alignment=ALIGNMENT_VERSION,
                rules=RULE_VERSIONS[params.rule_set],
                references=digest,
                max_variation_rate=self._filter.max_variation_rate,
                max_gap=self._filter.max_gap,
            ),
        )

    @property
    def fingerprint(self) -> Fingerprint:
        """Everything that decides a vote, all references of the origin among it."""
        return self._fingerprint

    def with_references(self, references: Mapping[str, str]) -> Voter:
        """Give a copy of the voter that knows references, by their text."""
        known = copy(self)
        known._references = references  # noqa: SLF001  # of its own class
        return known

    def vote(
        self, texts: Sequence[str], *, replicate: int = 0
    ) -> Iterator[tuple[int, Vote | VoteFailed]]:
        """Vote on each text in turn; replicates are other references.

        Yields:
            A text's index and its vote, or why its reference was left out.
        """
        del replicate
        for index, text in enumerate(texts):
            reference = self._references.get(text)
            if reference is None:
                abstained_N = np.full(len(word_list(text)), ABSTAIN, dtype=np.uint8)
                yield index, Vote(abstained_N)
            elif self._params.method == "bag_of_words":
                keep_N = bag_of_words(text, reference, rule_set=self._params.rule_set)
                yield index, Vote(encode_votes(keep_N.astype(np.float64)))
            else:
                yield index, self._align(text, reference)

    def _align(self, text: str, reference: str) -> Vote | VoteFailed:
        alignment = align(text, reference)
        refusal = self._filter.refusal(alignment)
        if refusal:
            return VoteFailed(f"the reference of {self._params.origin}: {refusal}")
        codes_N: CodeArray = encode_votes(alignment.keep_N.astype(np.float64))
        return Vote(codes_N)


def origin_of(params: Mapping[str, Any]) -> str:
    """Name the origin whose references the voter reads.

    Raises:
        InvalidConfig: the params are wrong.
    """
    return parse_params(ReferencesParams, KIND, params).origin


def fit_references(
    params: Mapping[str, Any], digest: str, pairs: Sequence[tuple[str, str]]
) -> bytes:
    """Find the filters' bounds among an origin's references.

    Args:
        params: see `ReferencesParams`.
        digest: hash of every reference of the origin in the pinned corpus.
        pairs: (text, reference) of train documents; the first `MAX_FIT_REFERENCES` in
            order of their texts are aligned.

    Returns:
        The snapshot: canonical JSON.

    Raises:
        InvalidConfig: the params are wrong, or there is no reference.

    Source: Pan et al. 2024, section 4.3.
    """
    checked = parse_params(ReferencesParams, KIND, params)
    if not pairs:
        raise InvalidConfig(
            f"no train document of the corpus has a reference of origin "
            f"{checked.origin!r}; expected some; add them to the corpus under this "
            "origin and start another loop"
        )
    bounds = AlignmentFilter()
    if checked.method == "align":
        bounds = fit_filter(
            (align(*pair) for pair in sorted(pairs)[:MAX_FIT_REFERENCES]),
            worst_variation=checked.worst_variation,
            worst_gap=checked.worst_gap,
            max_variation_rate=checked.max_variation_rate,
            max_gap=checked.max_gap,
        )
    snapshot = {
        "references": digest,
        "max_variation_rate": bounds.max_variation_rate,
        "max_gap": bounds.max_gap,
    }
    return json.dumps(snapshot, sort_keys=True).encode()


REFERENCES = VoterKind(
    KIND,
    ReferencesParams,
    References,
    origin_of=origin_of,
    fit_references=fit_references,
    varies=lambda _parts: True,
)


def _read_snapshot(
    params: ReferencesParams, snapshot: bytes | None
) -> tuple[str, AlignmentFilter]:
    """Read the references' hash and the filters' bounds."""
    if snapshot is None:
        return "", AlignmentFilter(params.max_variation_rate, params.max_gap)
    try:
        found = json.loads(snapshot)
        bounds = AlignmentFilter(
            float(found["max_variation_rate"]), float(found["max_gap"])
        )
        return str(found["references"]), bounds
    except (ValueError, TypeError, KeyError) as error:
        raise InvalidConfig(
            f"voter kind {KIND!r} cannot read its snapshot of {len(snapshot)} bytes "
            f"({error}); fit it again"
        ) from error
