"""Who wins among the references of many texts: fit, calibrate, verify, choose.

Candidates meet within their text only; judges' discrimination and position bias are
fitted together with all candidates of a block of texts: a block of 100 candidates has
a thousand judgments, enough for both, and a fit takes the cube of its size.

I = candidates of one text, N = its words, E = judgments of all texts
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from kompress.config import PairwiseConfig
from kompress.pairwise.calibration import QualityMap, fit_quality
from kompress.pairwise.evidence import Judgments
from kompress.pairwise.judges import fit_judges
from kompress.pairwise.ranking import Ranking
from kompress.pairwise.selection import choose_winner, count_choices, find_f1
from kompress.pairwise.verifier import Check, Limits, verify
from kompress.types import BoolArray, Candidate, CodeArray, FloatArray

# Winners' F1 is the same within .002 from 60 to 2,500 (bench_references); a fit of 100
# takes 2 ms, and is too small for OpenBLAS to wake its threads.
BLOCK_CANDIDATES = 100


class Judgment(NamedTuple):
    """One judge on two candidates of a text, by their places; `first` stood first."""

    text_id: int
    first: int
    second: int
    judge: int
    replicate: int
    p_first: float
    p_second: float
    p_tie: float


@dataclass(frozen=True, slots=True)
class CandidateSet:
    """A text and the I references that compete for it, at least one."""

    text: str
    candidates: tuple[Candidate, ...]

    def masks(self) -> tuple[BoolArray, BoolArray]:
        """Give the masks of the candidates that have one, and (I,) which have."""
        keeps = [candidate.keep_N for candidate in self.candidates]
        masked_I = np.array([keep_N is not None for keep_N in keeps], dtype=np.bool_)
        known = [keep_N for keep_N in keeps if keep_N is not None]
        return np.array(known, dtype=np.bool_), masked_I


@dataclass(frozen=True, slots=True)
class Judged:
    """One text's candidates after the fit and the verifier.

    Attributes:
        quality_I: (I,) in (0, 1), NaN for a candidate that nobody judged.
        error_I: (I,) its standard error, likewise.
        refusals: I times the verifier's reasons, by check.
        winner: place of the winner, None if no sound candidate was judged.
    """

    quality_I: FloatArray
    error_I: FloatArray
    refusals: tuple[dict[str, str], ...]
    winner: int | None

    @property
    def sound_I(self) -> BoolArray:
        """(I,) nothing speaks against it."""
        return np.array([not reasons for reasons in self.refusals], dtype=np.bool_)

    @property
    def is_judged(self) -> bool:
        """Whether anybody judged any of them."""
        return not np.isnan(self.quality_I).all()


@dataclass(frozen=True, slots=True)
class JudgeEstimates:
    """What the fits say of the judges: means over blocks, weighted by judgments.

    Attributes:
        discrimination_J: (J,) how sharply each tells references apart; mean 1.
        bias_J: (J,) score difference that standing first is worth to it.
        tie: Davidson's ν; None in a model without ties.
        converged: whether every fit did.
    """

    discrimination_J: FloatArray
    bias_J: FloatArray
    tie: float | None
    converged: bool


@dataclass(frozen=True, slots=True)
class Contest:
    """The outcome, by text id; `panel` is None if nothing was judged."""

    judged: dict[int, Judged]
    panel: JudgeEstimates | None
    quality: QualityMap


def hold_contest(
    entries: Mapping[int, CandidateSet],
    judgments: Sequence[Judgment],
    config: PairwiseConfig,
    *,
    gold: Mapping[int, CodeArray] | None = None,
    checks: Mapping[str, Check] | None = None,
    tick: Callable[[], None] = lambda: None,
) -> Contest:
    """Find the winning reference of each text.

    Args:
        entries: by text id.
        judgments: in any order: they are sorted, so that the same ones give the same
            floats.
        config: the model of a comparison, its prior, what may win.
        gold: calibration gold by text id, (N,) codes: the scale of the quality.
        checks: the verifier's, see `kompress.pairwise.verifier.verify`.
        tick: called after each fit and each text.

    Raises:
        InvalidComparisons: a judgment's probabilities break their contract.

    Source: ours; parts as their modules say.
    """
    entries = dict(sorted(entries.items()))
    scores = {
        text_id: np.full((2, len(entry.candidates)), np.nan)
        for text_id, entry in entries.items()
    }
    fits = []
    for block in _blocks(entries, judgments):
        fits.append((len(block), _fit(entries, block, config, scores)))
        tick()
    quality = _calibrate(entries, scores, gold or {})
    limits = Limits(config.max_keep_rate, config.min_must_keep)
    judged = {}
    for text_id, entry in entries.items():
        score_I, se_I = scores[text_id]
        judged[text_id] = _judge(entry, score_I, se_I, quality, limits, checks)
        tick()
    return Contest(judged, _pool(fits), quality)


def compare_choices(
    entries: Mapping[int, CandidateSet],
    contest: Contest,
    gold: Mapping[int, CodeArray],
) -> dict[int, dict[str, FloatArray]]:
    """Hold each way of choosing against gold; never used to choose.

    Args:
        entries: by text id.
        contest: what came of them.
        gold: evaluation gold by text id, (N,) codes.

    Returns:
        `count_choices` by text id, in their order, over the candidates that have a
        mask; texts without gold, mask or judgment are left out.
    """
    found = {}
    for text_id in sorted(set(gold) & set(entries)):
        result = contest.judged[text_id]
        keep_IN, masked_I = entries[text_id].masks()
        quality_I = result.quality_I[masked_I]
        if not np.isnan(quality_I).all():
            found[text_id] = count_choices(
                keep_IN, quality_I, result.sound_I[masked_I], gold[text_id]
            )
    return found


def _blocks(
    entries: Mapping[int, CandidateSet], judgments: Sequence[Judgment]
) -> list[list[Judgment]]:
    """Cut judgments, sorted, into blocks of whole texts, in the order of their ids."""
    blocks: list[list[Judgment]] = []
    room, last = 0, None
    for judgment in sorted(judgments):
        if judgment.text_id != last:
            last = judgment.text_id
            room -= len(entries[last].candidates)
            if room < 0:
                blocks.append([])
                room = BLOCK_CANDIDATES - len(entries[last].candidates)
        blocks[-1].append(judgment)
    return blocks


def _fit(
    entries: Mapping[int, CandidateSet],
    said: Sequence[Judgment],
    config: PairwiseConfig,
    scores: Mapping[int, FloatArray],
) -> Ranking:
    """Fit a block's candidates; writes (2, I) scores and errors of the judged ones."""
    text_ids = sorted({judgment.text_id for judgment in said})
    sizes = [len(entries[text_id].candidates) for text_id in text_ids]
    starts = dict(zip(text_ids, np.cumsum([0, *sizes[:-1]]).tolist(), strict=True))
    start_E = np.array([starts[judgment.text_id] for judgment in said])
    first_E = start_E + np.array([judgment.first for judgment in said])
    second_E = start_E + np.array([judgment.second for judgment in said])
    ranking = fit_judges(
        Judgments(
            first_E,
            second_E,
            np.array([judgment.p_first for judgment in said]),
            np.array([judgment.p_second for judgment in said]),
            np.array([judgment.p_tie for judgment in said]),
        ),
        np.array([judgment.judge for judgment in said]),
        num_items=sum(sizes),
        model=config.fit,
        prior=config.prior,
        num_judges=len(config.judges) or None,
    )
    seen_N = np.zeros(sum(sizes), dtype=np.bool_)
    seen_N[first_E] = seen_N[second_E] = True
    for text_id, size in zip(text_ids, sizes, strict=True):
        part = slice(starts[text_id], starts[text_id] + size)
        able_I = seen_N[part]
        if ranking.component_N is not None:
            able_I = able_I & ~_is_apart(ranking.component_N[part], ~able_I)
        found = (ranking.score_N[part], ranking.se_N[part])
        scores[text_id][:, able_I] = np.stack(found)[:, able_I]
    return ranking


def _pool(fits: Sequence[tuple[int, Ranking]]) -> JudgeEstimates | None:
    """Average what the blocks' fits say of the judges."""
    known = [
        (weight, fit, fit.discrimination_J, fit.bias_J)
        for weight, fit in fits
        if fit.discrimination_J is not None and fit.bias_J is not None
    ]
    if not known:
        return None
    weights = [weight for weight, *_ in known]
    ties = [fit.tie for _, fit, *_ in known if fit.tie is not None]
    return JudgeEstimates(
        np.average([each[2] for each in known], axis=0, weights=weights),
        np.average([each[3] for each in known], axis=0, weights=weights),
        float(np.average(ties, weights=weights)) if ties else None,
        all(fit.converged for _, fit, *_ in known),
    )


def _is_apart(component_I: NDArray[np.int32], unseen_I: BoolArray) -> BoolArray:
    """Find candidates that were never held against the text's largest component.

    Where judgments failed its graph may fall apart, and scores of two components do
    not compare: the smaller ones count as not judged. Of equal ones the first stays.
    """
    names, first, sizes = np.unique(
        component_I[~unseen_I], return_index=True, return_counts=True
    )
    if not names.size:
        return np.asarray(unseen_I)
    largest = names[np.lexsort((first, -sizes))[0]]
    return np.asarray(component_I != largest, dtype=np.bool_)


def _calibrate(
    entries: Mapping[int, CandidateSet],
    scores: Mapping[int, FloatArray],
    gold: Mapping[int, CodeArray],
) -> QualityMap:
    """Learn from gold what a score is worth."""
    score, f1 = [np.zeros(0)], [np.zeros(0)]
    for text_id in sorted(set(gold) & set(entries)):
        keep_IN, masked_I = entries[text_id].masks()
        for keep_N in keep_IN:
            alone = (keep_N[None], np.zeros(1), np.ones(1, dtype=np.bool_))
            counts_4 = count_choices(*alone, gold[text_id])["voted"]
            f1.append(find_f1(counts_4[None]))
        score.append(scores[text_id][0][masked_I])
    return fit_quality(np.concatenate(score), np.concatenate(f1))


def _judge(
    entry: CandidateSet,
    score_I: FloatArray,
    se_I: FloatArray,
    quality: QualityMap,
    limits: Limits,
    checks: Mapping[str, Check] | None,
) -> Judged:
    """Verify a text's candidates and choose among them."""
    refusals = []
    for candidate in entry.candidates:
        reasons = verify(entry.text, candidate, limits, checks=checks)
        if candidate.keep_N is None:
            reasons.setdefault("delete_only", "it has no mask, so it cannot vote")
        refusals.append(reasons)
    quality_I = quality.quality(score_I)
    sound_I = np.array([not reasons for reasons in refusals], dtype=np.bool_)
    num_kept_I = np.array(
        [0 if c.keep_N is None else int(c.keep_N.sum()) for c in entry.candidates]
    )
    return Judged(
        quality_I=quality_I,
        error_I=quality.error(score_I, se_I),
        refusals=tuple(refusals),
        winner=choose_winner(quality_I, sound_I, num_kept_I),
    )
