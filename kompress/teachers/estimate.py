"""Estimate what a round's teachers will cost, before any of it is stored or sent.

Tokens are counted in bytes, money by the operator's prices; answers that are stored
already cost nothing, but which ones will be is not known beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from kompress.config import RoundConfig
from kompress.errors import InvalidConfig
from kompress.teachers.endpoints import Price
from kompress.teachers.request import Request

# UTF-8 bytes a token: English text under common vocabularies has 3.5 to 4.5, logs and
# JSON less; the low end does not promise too little.
BYTES_PER_TOKEN = 3.5


@dataclass(frozen=True, slots=True)
class Usage:
    """What an average document takes of one voter.

    Attributes:
        num_requests: requests.
        input_tokens: tokens of their prompts.
        output_tokens: tokens that they may answer with, at most.
    """

    num_requests: float
    input_tokens: float
    output_tokens: float

    def times(self, factor: float) -> "Usage":
        """Give the usage of so many documents."""
        return Usage(
            self.num_requests * factor,
            self.input_tokens * factor,
            self.output_tokens * factor,
        )


def average_usage(requests: Sequence[Sequence[Request]]) -> Usage:
    """Average the usage over documents.

    Args:
        requests: of each sampled document, all its requests.

    Raises:
        InvalidConfig: there is no document to estimate from.
    """
    if not requests:
        raise InvalidConfig(
            "there is no document to estimate from; expected a corpus with documents "
            "of its train split; add some"
        )
    every = [request for of_text in requests for request in of_text]
    size_bytes = sum(len((r.system + r.user).encode("utf-8", "replace")) for r in every)
    return Usage(
        len(every),
        size_bytes / BYTES_PER_TOKEN,
        sum(request.max_tokens * request.num_samples for request in every),
    ).times(1 / len(requests))


def expected_documents(
    config: RoundConfig,
    *,
    num_train: int,
    num_audit: int,
    num_gold: int,
    gold_words: int,
) -> tuple[float, float]:
    """Say how many documents a round's first wave, and each later one, will see.

    Every voter sees the random slice, the audit documents, and of those with
    calibration gold about `escalation.gold_words`; a later wave, besides, the most open
    `escalation.share` of all, and the pilot's documents, at most so many that it would
    not have seen anyway.

    Args:
        config: the round's.
        num_train: documents of the train split.
        num_audit: documents of the audit split.
        num_gold: documents of the train split with calibration gold.
        gold_words: their words.

    Returns:
        (documents of wave 1, documents of each later wave).

    Source: design §9: π = 1 - (1 - n/N)(1 - slice), its sum is expected.
    """
    wanted = min(config.selection.num_documents or num_train, num_train)
    kept = config.selection.random_slice
    share = wanted / num_train if num_train else 0.0
    taken = 1 - (1 - share) * (1 - kept)
    first = num_train * taken + num_audit
    limit = config.escalation.gold_words
    known = num_gold * taken * min(1.0, limit / max(gold_words * taken, 1))
    outside_slice = 1 - kept / taken if taken else 0.0
    forced = num_train * kept + known * outside_slice + num_audit
    wide = config.escalation.share
    pilot = min(config.pilot_size(), wanted)
    return first, min(first, wide * first + (1 - wide) * forced + pilot)


def pairs_of(num_candidates: int, cycles: int) -> int:
    """Count the comparisons of a document: both orders of every pair of its graph.

    Args:
        num_candidates: references of the document.
        cycles: Hamiltonian cycles, each with as many pairs as candidates.
    """
    every = num_candidates * (num_candidates - 1) // 2
    return 2 * min(cycles * num_candidates, every)


def usd_of(usage: Usage, price: Price | None) -> float:
    """Give the price in USD; 0 for what costs nothing but time."""
    if price is None:
        return 0.0
    return price.usd(round(usage.input_tokens), round(usage.output_tokens))
