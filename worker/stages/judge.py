"""Judge voters and rules on the audit documents, against evaluation gold.

Without gold there: by must-keep recall at equal keep_rate, and the rows say so. One
job, after all shards: what it reads is complete. It reads one shard after the other and
adds up integers, so that what is held does not grow with their number, and no cut into
shards shows. No rule is fitted here, least of all to what it is judged by.

W = words of some texts, G = document groups, M = voters, R = rules, S = strata,
C = byte codes, K = M + R + R M counts of one group: the voters', the rules', and the
voters' in each rule's place
"""

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.orm import Session

from db.queries import fits, gold, loops, quality, selections, texts, votes
from db.queries.jobs import JobRow
from kompress.aggregation import make_aggregator, rules_of
from kompress.aggregation.learned import Learned
from kompress.aggregation.statistics import (
    NUM_CELLS,
    code_histogram,
    expected_calibration_error,
)
from kompress.config import LoopConfig, RoundConfig, parse_config
from kompress.decisions import Calibration
from kompress.ensemble.fallback import fallback_columns
from kompress.labelling.counting import ALL
from kompress.labelling.fitting import flatten_rates
from kompress.labelling.panel import (
    Panel,
    Panels,
    consensus_panels,
    consensus_voters,
    make_panels,
    take_both,
)
from kompress.labelling.pooling import (
    learned_of,
    measured_beside,
    pool,
    pool_consensus,
    read_fits,
)
from kompress.labelling.tallies import GroupCounts, TextSample
from kompress.labelling.verdicts import (
    GOLD,
    MUST_KEEP,
    Decided,
    Truth,
    count_beside,
    count_groups,
    find_truth,
    keep_equally,
    of_rule,
    of_voter,
    rule_rows,
)
from kompress.rule_labels import label_fallback
from kompress.types import (
    ABSTAIN,
    JSON,
    STRATA,
    CodeArray,
    RuleStatRow,
    VoteRow,
    VoterStatRow,
    encode_votes,
)
from worker.heartbeat import PATIENCE_S, Heartbeat
from worker.runtime import Runtime
from worker.stage import Stage
from worker.stages.aggregate import stat_rows

# A mean over so many words is within 2 % in a stratum that has a hundredth of them.
MAX_WEIGHT_WORDS = 2**16
# Of 8 voters and 10 rules 23 MiB held, 69 MiB at the end; an interval drawn of so many
# is as good as of more.
MAX_GROUPS = 2**10


@dataclass(frozen=True, slots=True)
class Inputs:
    """Where the audit documents are, what was learned, the shards' integers."""

    round_id: int
    config: RoundConfig
    seed: int
    # What all are judged by: gold, if any audit document has it.
    truth: str
    shards: list[int]
    calibration: Mapping[str, Calibration]
    fits: dict[str, Learned]
    # Columns of the consensus by the stratum that they decide alone.
    fallbacks: dict[int, int]
    # (voter, stratum, truth) -> keep and drop code histograms of the whole round.
    histograms: dict[tuple[str, str, str], tuple[list[int], list[int]]]

    @property
    def rules(self) -> dict[str, tuple[str, JSON]]:
        """The round's rules, as `rules_of` gives them."""
        beside = measured_beside(self.config)
        return rules_of(self.config.aggregation, len(beside))

    @property
    def labels(self) -> list[str]:
        """What stands beside the voters: the rules, and with fallbacks, the labels."""
        own = label_fallback(self.config.aggregation.rule)
        return [*self.rules, *([own] if self.fallbacks else [])]


@dataclass(frozen=True, slots=True)
class Part:
    """One shard's audit documents: votes, strata, group and gold by text id."""

    votes: dict[int, list[VoteRow]]
    strata: dict[int, CodeArray]
    group_of: dict[int, str]
    gold_codes: dict[int, CodeArray]


class Tally:
    """What the shards so far come to.

    Attributes:
        groups: (K, S, 4) counts by document group.
        codes: (S, 2, C) each voter's vote codes by gold, drop then keep.
        sample: texts by which the voters are weighed: their votes, their strata.
    """

    def __init__(
        self, voters: tuple[str, ...], *, max_groups: int, max_words: int
    ) -> None:
        """Start empty.

        Args:
            voters: of the round.
            max_groups: limit of `groups`.
            max_words: limit of `sample`.
        """
        shape = (len(STRATA), 2, NUM_CELLS)
        self.groups = GroupCounts(limit=max_groups)
        self.codes = {voter: np.zeros(shape, dtype=np.int64) for voter in voters}
        self.sample: TextSample[tuple[list[VoteRow], CodeArray]] = TextSample(
            limit=max_words
        )


@dataclass(frozen=True, slots=True)
class Outputs:
    """What was found."""

    voters: list[VoterStatRow]
    rules: list[RuleStatRow]
    weights: dict[tuple[str, str], float]
    ece: dict[tuple[str, str, str], float]


def load(session: Session, job: JobRow) -> Inputs:
    """Find out what there is to read."""
    held = loops.read_round(session, job.round_id)
    config = parse_config(RoundConfig, held.config)
    return Inputs(
        round_id=held.id,
        config=config,
        seed=parse_config(LoopConfig, held.loop_config).seed,
        truth=GOLD if gold.has_audit_gold(session, held.id) else MUST_KEEP,
        shards=selections.shards(session, held.id, 1),
        calibration=held.decisions.calibration,
        fits=read_fits(fits.load_fits(session, held.id), config),
        fallbacks=fallback_columns(held.decisions.fallback, consensus_voters(config)),
        histograms=quality.load_histograms(session, held.id),
    )


def compute(runtime: Runtime, inputs: Inputs, heartbeat: Heartbeat) -> Outputs:
    """Score every voter and rule shard by shard, and each rule against its best voter.

    A shard of the first wave holds audit documents beside others.
    """
    total = len(inputs.shards) * len(inputs.rules)
    steps = itertools.count()
    tally = Tally(
        inputs.config.panel(), max_groups=MAX_GROUPS, max_words=MAX_WEIGHT_WORDS
    )
    for shard in inputs.shards:
        with runtime.sessions() as session:
            part = _read(session, inputs, shard)
        count_part(inputs, part, tally, lambda: heartbeat.progress(next(steps), total))
    heartbeat.progress(total, total)
    # 16 strata x every rule are resampled: ten rules on MAX_GROUPS take 8 s, alone.
    with heartbeat.patience(PATIENCE_S):
        return conclude(inputs, tally)


def store(session: Session, job: JobRow, out: Outputs) -> None:
    """Write the verdicts."""
    quality.add_voter_stats(session, job.round_id, out.voters)
    quality.store_rule_stats(session, job.round_id, out.rules)
    quality.set_voter_fits(session, job.round_id, out.weights, out.ece)
    # Last: they stand beside the counts of every truth.
    decided = loops.read_round(session, job.round_id).decisions
    fits.set_fitted_rates(session, job.round_id, flatten_rates(decided.reliability))


STAGE = Stage(load=load, compute=compute, store=store)


def count_part(
    inputs: Inputs, part: Part, tally: Tally, progress: Callable[[], object]
) -> None:
    """Add one shard's audit documents.

    Args:
        inputs: of the round.
        part: what was read.
        tally: what is added to.
        progress: called for every rule.
    """
    config = inputs.config
    panels = make_panels(config.panel(), part.votes, part.strata, inputs.calibration)
    panel = panels.calibrated
    if not panel.text_ids:
        return
    # Whatever gold this shard has.
    truth = find_truth(panel, part.gold_codes, name=inputs.truth)
    voters = {v: of_voter(panel, column) for column, v in enumerate(panel.voters)}
    rules = _pool_rules(inputs, panels, progress)
    chosen = rules[config.aggregation.rule]
    if inputs.fallbacks:
        own = consensus_panels(panels, config)
        posterior = pool_consensus(own, config, inputs.fits, inputs.fallbacks)
        chosen = of_rule(own.raw, posterior.mean_N)
        rules[label_fallback(config.aggregation.rule)] = chosen
    if truth.name != GOLD:
        voters = {v: keep_equally(panel, found, chosen) for v, found in voters.items()}
        rules = {r: keep_equally(panel, found, chosen) for r, found in rules.items()}
    _add_groups(part.group_of, panel, list(voters.values()), rules, truth, tally)
    if truth.name == GOLD:
        _add_codes(panel, truth, tally)
    for text_id in panel.text_ids:
        strata_N = part.strata[text_id]
        tally.sample.add(text_id, strata_N.size, (part.votes[text_id], strata_N))


def conclude(inputs: Inputs, tally: Tally) -> Outputs:
    """Turn all shards' counts into verdicts."""
    names, labels = inputs.config.panel(), inputs.labels
    size_M, size_R = len(names), len(labels)
    shape = (size_M + size_R + size_R * size_M, len(STRATA), 4)
    cells_KGS4 = np.moveaxis(tally.groups.stack(shape), 0, 1)
    voters = dict(zip(names, cells_KGS4[:size_M], strict=True))
    rules = dict(zip(labels, cells_KGS4[size_M : size_M + size_R], strict=True))
    beside = {
        label: cells_KGS4[start : start + size_M]
        for label, start in zip(
            labels, range(size_M + size_R, len(cells_KGS4), size_M), strict=True
        )
    }
    rows = rule_rows(inputs.truth, rules, voters, beside, inputs.seed)
    voter_rows: list[VoterStatRow] = []
    if inputs.truth == GOLD:
        for voter in names:
            cells_S4 = voters[voter].sum(axis=0, dtype=np.int64)
            voter_rows += stat_rows(voter, GOLD, cells_S4, tally.codes[voter])
    weights = _weigh(inputs, tally)
    return Outputs(voter_rows, rows, weights, _calibration(inputs, voter_rows))


def _read(session: Session, inputs: Inputs, shard: int) -> Part:
    """Read votes and evaluation gold of one shard's audit documents."""
    rows = selections.load_shard_selections(session, inputs.round_id, 1, shard)
    group_of = {row.text_id: row.group_id for row in rows if row.role == "audit"}
    text_ids = sorted(group_of)
    known = gold.load_gold(session, text_ids, use="evaluate")
    return Part(
        votes=votes.load_round_votes(session, inputs.round_id, text_ids),
        strata=texts.load_strata(session, text_ids, "farm"),
        group_of=group_of,
        gold_codes={text_id: known[text_id][0].codes_N for text_id in known},
    )


def _pool_rules(
    inputs: Inputs, panels: Panels, progress: Callable[[], object]
) -> dict[str, Decided]:
    """Pool the votes by each of the round's rules, without any fallback."""
    config = inputs.config
    beside = take_both(panels, measured_beside(config))
    own = consensus_panels(panels, config)
    found = {}
    for label, (name, params) in inputs.rules.items():
        progress()
        used = own if label == config.aggregation.rule else beside
        rule = make_aggregator(name, params)
        posterior = pool(used, rule, learned_of(rule, label, inputs.fits))
        found[label] = of_rule(used.raw, posterior.mean_N)
    return found


def _add_groups(
    group_of: Mapping[int, str],
    panel: Panel,
    voters: list[Decided],
    rules: Mapping[str, Decided],
    truth: Truth,
    tally: Tally,
) -> None:
    """Add what voters and rules decided, by document group."""
    alone = [
        count_groups(panel, group_of, found, truth)
        for found in (*voters, *rules.values())
    ]
    beside = [
        count_beside(panel, group_of, found, voters, truth) for found in rules.values()
    ]
    cells_KGS4 = np.concatenate([alone, *beside])
    groups = sorted({group_of[text_id] for text_id in panel.text_ids})
    for number, group in enumerate(groups):
        tally.groups.add(group, cells_KGS4[:, number])


def _add_codes(panel: Panel, truth: Truth, tally: Tally) -> None:
    """Add each voter's vote codes against gold."""
    for column, voter in enumerate(panel.voters):
        codes_W = encode_votes(panel.p_WM[:, column])
        known_W = truth.known_W & (codes_W != ABSTAIN)
        tally.codes[voter] += code_histogram(
            codes_W, truth.keep_W, panel.stratum_W, known_W
        )


def _weigh(inputs: Inputs, tally: Tally) -> dict[tuple[str, str], float]:
    """Weigh the voters by the sample's words, in the order of text ids."""
    drawn = tally.sample.drawn()
    panels = make_panels(
        inputs.config.panel(),
        {text_id: own for text_id, (own, _) in drawn.items()},
        {text_id: strata_N for text_id, (_, strata_N) in drawn.items()},
        inputs.calibration,
    )
    own = consensus_panels(panels, inputs.config)
    posterior = pool_consensus(own, inputs.config, inputs.fits, inputs.fallbacks)
    return _weights(own.raw, posterior.weight_SM)


def _weights(
    panel: Panel, weight_SM: NDArray[np.float64]
) -> dict[tuple[str, str], float]:
    """Give each voter's weight by stratum, and over all words."""
    words_S = np.bincount(panel.stratum_W, minlength=len(STRATA))
    found: dict[tuple[str, str], float] = {}
    for m, voter in enumerate(panel.voters):
        for s, stratum in enumerate(STRATA):
            if words_S[s]:
                found[voter, stratum] = float(weight_SM[s, m])
        if words_S.sum():
            mean = float((weight_SM[:, m] * words_S).sum() / words_S.sum())
            found[voter, ALL] = mean
    return found


def _calibration(
    inputs: Inputs, gold_rows: list[VoterStatRow]
) -> dict[tuple[str, str, str], float]:
    """Give each voter's expected calibration error against each truth."""
    histograms = dict(inputs.histograms)
    for row in gold_rows:
        key = (row.voter, row.stratum, row.truth)
        histograms[key] = (row.keep_codes, row.drop_codes)
    found = {}
    for (voter, stratum, truth), (keep, drop) in sorted(histograms.items()):
        error = expected_calibration_error(np.array([drop, keep]))
        # Every must-keep word counts as kept: calibration against that says nothing.
        if error is not None and truth != "must_keep":
            found[voter, stratum, truth] = error
    return found
