"""Fit what turns votes into labels, and find out what can be known of the voters.

Against calibration gold of the train split, whatever the round selected of it: each
teacher's temperature and strength (integers that merge in any order; no gold, no
change). By all that `kompress.labelling.evidence` lets count: the rules that learn, how
far the voters differ, and the strata that one voter had better decide alone. One job;
shards are read one at a time, and what is held does not grow with their number.

W = words of some texts, C = byte codes
"""

import itertools
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.queries import diversity, fits, loops, patterns, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.aggregation.calibration import fit_calibration
from kompress.aggregation.pairs import PairRow, pair_rows
from kompress.aggregation.patterns import UNKNOWN, VotePatterns
from kompress.aggregation.reliability.rule import Reliability
from kompress.aggregation.statistics import NUM_CELLS, code_histogram
from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.decisions import (
    Calibration,
    Diversity,
    Fallback,
    FitSummary,
    Rates,
)
from kompress.ensemble.diversity import measure_diversity
from kompress.ensemble.fallback import choose_fallbacks
from kompress.labelling.evidence import (
    Evidence,
    count_evidence,
    draw_texts,
    echoes_of,
    heard_codes,
    join_evidence,
    merge_stream,
)
from kompress.labelling.fitting import (
    NUM_FOLDS,
    count_fits,
    fit_rules,
    fitted_rates,
    keep_out_of_fold,
)
from kompress.labelling.panel import (
    Panel,
    Panels,
    calibrate,
    consensus_voters,
    make_panel,
    teachers,
)
from kompress.labelling.pooling import learners
from kompress.types import ABSTAIN, JSON, KEEPS_FROM, CodeArray, VoteRow, encode_votes
from worker.evidence import load_evidence
from worker.heartbeat import PATIENCE_S, Heartbeat
from worker.pipeline import last_wave
from worker.runtime import Runtime
from worker.scope import Scope, find_scope, load_truth, may_count
from worker.stage import Stage

# What a voter adds is found by many refits: 8 voters on so many words take 15 s.
MAX_DIVERSITY_WORDS = 2**16
# What a stream of random numbers is for.
FALLBACK = "fallback"
DIVERSITY = "diversity"
# One voter alone is its own best.
MIN_VOTERS = 2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where the round's votes are, and which of them may be learned from."""

    round_id: int
    config: RoundConfig
    # Of the loop, and the round's number.
    seed: tuple[int, int]
    scope: Scope
    shards: list[int]


@dataclass(frozen=True, slots=True)
class Found:
    """What the shards come to.

    Attributes:
        counts: (2, 256) counts of each teacher's codes by truth, drop then keep.
        evidence: the words that may be learned from.
        patterns: of the shards, merged; None where no rule learns.
    """

    counts: dict[str, NDArray[np.int64]]
    evidence: Evidence
    patterns: VotePatterns | None


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was decided, what rules learned, and how voters fall together."""

    calibration: dict[str, Calibration]
    fit: FitSummary | None
    reliability: Rates
    fallback: dict[str, Fallback] | None
    diversity: Diversity | None
    fits: dict[str, JSON]
    pairs: list[PairRow]


def load(session: Session, job: JobRow) -> Inputs:
    """Find out what there is to read."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    return Inputs(
        round_id=held.id,
        config=config,
        seed=(parse_config(LoopConfig, held.loop_config).seed, held.number),
        scope=find_scope(held, num_waves=last_wave(config)),
        shards=selections.shards(session, held.id, 1),
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Read shard by shard; fit each teacher, each rule; put them beside gold."""
    config = inputs.config
    total = len(inputs.shards) + count_fits(config) + NUM_FOLDS + 3
    steps = iter(range(total))

    def progress() -> None:
        heartbeat.progress(next(steps, total), total)

    found = _read(runtime, inputs, progress)
    calibration = {v: fit_calibration(found.counts[v]) for v in found.counts}
    learned = {}
    summary, rates = None, None
    if found.patterns is not None:
        for label, own in each_patiently(heartbeat, fit_rules(config, found.patterns)):
            progress()
            learned[label] = own
        summary = _describe(inputs.scope, found.patterns, learners(config))
        own_fit = learned.get(config.aggregation.rule)
        rates = fitted_rates(config, own_fit, found.patterns)
    progress()
    with heartbeat.patience(PATIENCE_S):
        fallbacks = _find_fallbacks(inputs, found.evidence, calibration, progress)
    progress()
    with heartbeat.patience(PATIENCE_S):
        known, pairs = _measure_diversity(inputs, found.evidence)
    return Outputs(
        calibration=calibration,
        fit=summary,
        reliability=rates or {},
        fallback=fallbacks,
        diversity=known,
        fits={label: own.data for label, own in learned.items()},
        pairs=pairs,
    )


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Decide for the round, and keep what its rules have learned."""
    loops.decide(
        session,
        job.round_id,
        lambda made: replace(
            made,
            calibration=out.calibration,
            fit=out.fit,
            reliability=out.reliability,
            fallback=out.fallback,
            diversity=out.diversity,
        ),
    )
    fits.store_fits(session, job.round_id, out.fits)
    diversity.store_voter_pairs(session, job.round_id, out.pairs)


STAGE = Stage(load=load, compute=compute, store=store)


def each_patiently(heartbeat: Heartbeat, found: Iterator[T]) -> Iterator[T]:
    """Give what an iterator makes; the lease outlasts the making of each."""
    while True:
        with heartbeat.patience(PATIENCE_S):
            made = list(itertools.islice(found, 1))
        if not made:
            return
        yield made[0]


def sampled_voters(found: Mapping[int, Sequence[VoteRow]]) -> set[str]:
    """Name the voters of whose votes one pools several samples."""
    return {row.voter for rows in found.values() for row in rows if row.num_samples > 1}


def count_codes(
    panel: Panel, gold_codes: Mapping[int, CodeArray]
) -> dict[str, NDArray[np.int64]]:
    """Count each voter's codes by truth.

    Args:
        panel: votes as they were cast, replicates pooled.
        gold_codes: by text, 254 keep, 0 drop, 255 unknown.

    Returns:
        (2, 256) counts by voter, drop then keep.
    """
    parts = [gold_codes[text_id] for text_id in panel.text_ids]
    truth_W = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint8)
    counts = {}
    for column, voter in enumerate(panel.voters):
        codes_W = encode_votes(panel.p_WM[:, column])
        known_W = (truth_W != ABSTAIN) & (codes_W != ABSTAIN)
        counts_S2C = code_histogram(
            codes_W, truth_W >= KEEPS_FROM, panel.stratum_W, known_W
        )
        counts[voter] = counts_S2C.sum(axis=0)
    return counts


def _read(runtime: Runtime, inputs: Inputs, progress: Callable[[], object]) -> Found:
    """Read votes and calibration gold, one shard at a time."""
    names = inputs.config.panel()
    counts = {
        voter: np.zeros((2, NUM_CELLS), dtype=np.int64)
        for voter in teachers(inputs.config)
    }
    parts = []
    for shard in inputs.shards:
        progress()
        with runtime.sessions() as session:
            if counts:
                _add_counts(session, inputs, shard, counts)
            parts.append(
                load_evidence(session, inputs.round_id, shard, inputs.scope, names)
            )
    merged = None
    if learners(inputs.config):
        progress()
        with runtime.sessions() as session:
            stored = patterns.stream_patterns(session, inputs.round_id)
            each = (VotePatterns.from_bytes(data) for data in stored)
            merged = merge_stream(each, len(names))
    return Found(counts, join_evidence(parts, names), merged)


def _add_counts(
    session: Session,
    inputs: Inputs,
    shard: int,
    counts: dict[str, NDArray[np.int64]],
) -> None:
    """Add a shard's votes against its calibration gold; drop who needs no strength."""
    rows = patterns.list_evidence(session, inputs.round_id, shard)
    known = [row.text_id for row in rows if may_count(row, inputs.scope)[0]]
    truth = load_truth(session, known, inputs.scope)
    text_ids = sorted(truth)
    found = votes.load_round_votes(session, inputs.round_id, text_ids)
    # A vote of several samples says how many they are.
    for voter in sampled_voters(found):
        counts.pop(voter, None)
    panel = make_panel(
        tuple(counts), found, texts.load_strata(session, text_ids, "farm")
    )
    for voter, more_2C in count_codes(panel, truth).items():
        counts[voter] += more_2C


def _describe(scope: Scope, found: VotePatterns, rules: Iterable[str]) -> FitSummary:
    """Say what the rules were fitted to; without gold they hear only each other."""
    known_P = found.truth_P != UNKNOWN
    num_gold_words = int(found.count_P[known_P].sum())
    return FitSummary(
        documents="all" if scope.takes_all else "random_slice",
        share=scope.share,
        gold_share=scope.gold_share,
        num_words_available=scope.num_words,
        num_gold_words_available=scope.num_gold_words,
        rules=tuple(sorted(rules)),
        num_patterns=len(found.count_P),
        num_words=found.num_words - num_gold_words,
        num_gold_words=num_gold_words,
    )


def _find_fallbacks(
    inputs: Inputs,
    evidence: Evidence,
    calibration: Mapping[str, Calibration],
    progress: Callable[[], object],
) -> dict[str, Fallback] | None:
    """Find the strata that one voter had better decide alone; None without gold."""
    config = inputs.config
    known_W = evidence.truth_W != UNKNOWN
    names = consensus_voters(config)
    if not known_W.any() or len(names) < MIN_VOTERS:
        return None
    panels = Panels(evidence.panel, calibrate(evidence.panel, calibration))
    keep_W = keep_out_of_fold(config, panels, evidence, echoes_of(config), progress)
    columns = [config.panel().index(name) for name in names]
    return choose_fallbacks(
        names,
        keep_W[known_W],
        evidence.panel.p_WM[known_W][:, columns],
        evidence.truth_W[known_W],
        evidence.panel.stratum_W[known_W],
        evidence.group_W[known_W],
        _stream(inputs.seed, FALLBACK),
    )


def _measure_diversity(
    inputs: Inputs, evidence: Evidence
) -> tuple[Diversity | None, list[PairRow]]:
    """Measure how far the voters differ, and how each pair's votes fall together.

    Nothing where no word is heard.
    """
    config, panel = inputs.config, evidence.panel
    echoes = echoes_of(config)
    everything = count_evidence(evidence, echoes)
    if not everything.num_words:
        return None, []
    rng = _stream(inputs.seed, DIVERSITY)
    drawn_W = draw_texts(evidence, MAX_DIVERSITY_WORDS, rng)
    found = measure_diversity(
        panel.voters,
        heard_codes(evidence, echoes, drawn_W),
        evidence.truth_W[drawn_W],
        panel.stratum_W[drawn_W],
        evidence.group_W[drawn_W],
        rng,
        everything=everything,
        # A plain rule has nothing to be fitted again without a voter.
        learner=learners(config).get(config.aggregation.rule, Reliability()),
        strength=panel.strength_WM[drawn_W],
    )
    return found, pair_rows(panel.voters, everything)


def _stream(seed: tuple[int, int], purpose: str) -> np.random.Generator:
    return np.random.default_rng([*seed, zlib.crc32(purpose.encode())])
