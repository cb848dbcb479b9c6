"""The labels that a round's last student makes, under the hard must-keep override.

Accepted per document only if the compression is sound: it shortens, it leaves enough,
its lines are lines of the text. In `self_label+teacher` a teacher that was shown the
student's draft decides every word that it voted on; in a round without one the
consensus decides the words that it is sure of, the student the others. `self_label_raw`
is the mask before the override of the round's own source, over the same documents, so
that both figures speak of the same words.

N = words of one text, W = words of all texts, M = voters
"""

from collections.abc import Sequence

import numpy as np

from kompress.config import RoundConfig, SelfLabelConfig
from kompress.labelling.label_sources import correct
from kompress.metrics.keep_rate import keep_top
from kompress.must_keep import classify_words
from kompress.types import BoolArray, FloatArray, Label
from kompress.words import join_kept, line_numbers, word_list

# The least float16 above, and the greatest below, the threshold of a stored label.
KEEP_MEAN = np.float16(0.5)
DROP_MEAN = np.nextafter(np.float16(0.5), np.float16(0))
OWN = "self_label"
WITH_TEACHER = "self_label+teacher"
RAW = "self_label_raw"
SOURCES = (OWN, WITH_TEACHER)
# Half the width of a normal's 90 % interval: the teacher knows which side of 1/2 a word
# lies on where 1/2 is outside.
SURE_SDS = 1.64
# Odds of 3 : 1. A word whose P(keep) is well known to be .52 is as open as a coin's;
# three unanimous votes, pooled as counts, give 4/5.
LIKELY_MEAN = 0.75


def wanted_sources(config: RoundConfig) -> tuple[str, ...]:
    """Name the self-labels that a round needs, the one that it speaks of first."""
    wanted = [source for source in SOURCES if source in config.label_sources()]
    return tuple(sorted(wanted, key=lambda source: source != config.label_source))


def label_text(
    text: str,
    score_N: FloatArray,
    config: SelfLabelConfig,
    sources: Sequence[str],
    *,
    consensus: Label | None = None,
    corrected_N: FloatArray | None = None,
) -> dict[str, Label]:
    """Make a text's self-labels of a student's scores.

    Args:
        text: the text.
        score_N: (N,) the student's scores.
        config: what is overridden and what is accepted.
        sources: which of `SOURCES` to make; the first is what `RAW` speaks of.
        consensus: the round's label, where `WITH_TEACHER` asks it.
        corrected_N: (N,) P(keep) of a teacher that was shown the student's draft, NaN
            where it abstained; where `WITH_TEACHER` takes that.

    Returns:
        A label for each source that accepts it, and the first one's `RAW` label.
    """
    rate = config.keep_rate
    caught_N = classify_words(word_list(text), config.override) > 0
    own = as_label(score_N, score_N > 0.5 if rate is None else keep_top(score_N, rate))
    made = {}
    for source in sources:
        raw = own
        if source == WITH_TEACHER and consensus is not None:
            raw = ask_teacher(own, consensus)
        elif source == WITH_TEACHER and corrected_N is not None:
            raw = take_correction(own, corrected_N)
        label = override(raw, caught_N, rate)
        if is_sound(text, label.keep_N, config):
            made[source] = label
            if source == sources[0]:
                made[RAW] = raw
    return made


def ask_teacher(own: Label, teacher: Label) -> Label:
    """Let the consensus decide the words that it is sure of, with its deviation.

    It is sure where 1/2 lies outside the middle 90 % of its posterior, taken as normal,
    and where it is likely right: |mean − 1/2| > 1.64 · sd, and the mean is at most 1/4
    or at least 3/4. A small deviation says that P(keep) is well known, not that it is
    far from 1/2.

    Args:
        own: the student's label of a text.
        teacher: the round's consensus on the same text.

    Source: the published line's mechanism C, self-labels corrected by a teacher; when
    it corrects: ours.
    """
    mean_N = teacher.mean_N.astype(np.float64)
    off_N = np.abs(mean_N - 0.5)
    known_N = off_N > SURE_SDS * teacher.sd_N.astype(np.float64)
    sure_N = known_N & (off_N >= LIKELY_MEAN - 0.5)
    return Label(
        mean_N=np.where(sure_N, teacher.mean_N, own.mean_N).astype(np.float16),
        sd_N=np.where(sure_N, teacher.sd_N, own.sd_N).astype(np.float16),
    )


def take_correction(own: Label, p_N: FloatArray) -> Label:
    """Let a teacher that was shown the student's draft decide what it voted on.

    Unlike a consensus it knew the student's opinion, so there is nothing left to weigh.

    Args:
        own: the student's label of a text.
        p_N: (N,) the teacher's P(keep), NaN where it abstained.

    Source: the published line's mechanism C, self-labels corrected by a teacher.
    """
    voted_N = ~np.isnan(p_N)
    theirs = as_label(np.nan_to_num(p_N), np.nan_to_num(p_N) >= 0.5)
    return Label(
        mean_N=np.where(voted_N, theirs.mean_N, own.mean_N).astype(np.float16),
        sd_N=np.where(voted_N, theirs.sd_N, own.sd_N).astype(np.float16),
    )


def first_said(p_WM: FloatArray) -> FloatArray:
    """Take of each word the first column that did not abstain; (W,), NaN if none."""
    said_W = np.full(len(p_WM), np.nan)
    for p_W in p_WM.T:
        said_W = np.where(np.isnan(said_W), p_W, said_W)
    return said_W


def is_sound(text: str, keep_N: BoolArray, config: SelfLabelConfig) -> bool:
    """Check that a compression may teach: it shortens, says enough, keeps lines.

    Args:
        text: the document.
        keep_N: (N,) its mask, override included.
        config: least ratio of words and least number of characters.

    Source: the published self-labeling (ratio >= 1.2, >= 30 characters); lines: ours.
    """
    num_kept = int(keep_N.sum())
    if num_kept == 0 or keep_N.size / num_kept < config.min_ratio:
        return False
    compressed = join_kept(text, keep_N)
    if len(compressed) < config.min_chars:
        return False
    words = word_list(text)
    kept = [word for word, keep in zip(words, keep_N.tolist(), strict=True) if keep]
    num_lines = len(set(line_numbers(text)[keep_N].tolist()))
    intact = len(compressed.split("\n")) == num_lines
    return intact and word_list(compressed) == kept


def override(raw: Label, caught_N: BoolArray, keep_rate: float | None) -> Label:
    """Keep every must-keep word, with certainty.

    Args:
        raw: the label before.
        caught_N: (N,) must-keep words.
        keep_rate: keep this share of the words, the must-keep ones first and all of
            them; None adds them to what the label keeps.

    Source: the published self-labeling; the rate: ours.
    """
    if keep_rate is not None:
        mean_N = raw.mean_N.astype(np.float64)
        first_N = np.where(caught_N, np.inf, mean_N)
        raw = Label(as_label(mean_N, keep_top(first_N, keep_rate)).mean_N, raw.sd_N)
    return correct(raw, caught_N)


def as_label(score_N: FloatArray, keep_N: BoolArray) -> Label:
    """Store a student's scores so that the stored mask is the decided one.

    A score just beside 0.5 would round across the threshold in float16. The deviation
    is a coin's at that mean: one student says nothing of its own uncertainty.
    """
    mean_N = np.clip(score_N, 0, 1).astype(np.float16)
    mean_N = np.where(
        keep_N, np.maximum(mean_N, KEEP_MEAN), np.minimum(mean_N, DROP_MEAN)
    ).astype(np.float16)
    wide_N = mean_N.astype(np.float64)
    return Label(mean_N, np.sqrt(wide_N * (1 - wide_N)).astype(np.float16))
