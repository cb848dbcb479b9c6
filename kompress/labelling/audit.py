"""Judge voters and rules on the audit documents, against evaluation gold.

Without gold there: by must-keep recall at equal keep_rate, and the rows say so. Shards
are added up as integers, so that what is held does not grow with their number, and no
cut into shards shows. No rule is fitted here, least of all to what it is judged by.

W = words of some texts, G = document groups, M = voters, R = rules, S = strata,
C = byte codes, K = M + R + R M counts of one group: the voters', the rules', and the
voters' in each rule's place
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kompress.aggregation import make_aggregator, rules_of
from kompress.aggregation.statistics import NUM_CELLS, code_histogram
from kompress.config import RoundConfig
from kompress.decisions import Calibration
from kompress.labelling.consensus import (
    FittedConsensus,
    learned_of,
    measured_beside,
    pool,
    pool_consensus,
)
from kompress.labelling.panel import (
    Panel,
    Panels,
    consensus_panels,
    make_panels,
    take_both,
)
from kompress.labelling.tallies import GroupCounts, TextSample
from kompress.labelling.verdicts import (
    GOLD,
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
from kompress.labelling.voter_stats import (
    Histograms,
    calibration_errors,
    stat_rows,
    weights_by_stratum,
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

# A mean over so many words is within 2 % in a stratum that has a hundredth of them.
MAX_WEIGHT_WORDS = 2**16
# Of 8 voters and 10 rules 23 MiB held, 69 MiB at the end; an interval drawn of so many
# is as good as of more.
MAX_GROUPS = 2**10


@dataclass(frozen=True, slots=True)
class AuditBasis:
    """What a round's voters and rules are judged by, the same for every shard.

    Attributes:
        fitted: the round's consensus.
        calibration: by voter.
        truth: what all are judged by: gold, if any audit document has it.
        seed: of the loop.
    """

    fitted: FittedConsensus
    calibration: Mapping[str, Calibration]
    truth: str
    seed: int

    @property
    def config(self) -> RoundConfig:
        """The round's."""
        return self.fitted.config

    @property
    def rules(self) -> dict[str, tuple[str, JSON]]:
        """The round's rules, as `rules_of` gives them."""
        beside = measured_beside(self.config)
        return rules_of(self.config.aggregation, len(beside))

    @property
    def labels(self) -> list[str]:
        """What stands beside the voters: the rules, and with fallbacks, the labels."""
        own = label_fallback(self.config.aggregation.rule)
        return [*self.rules, *([own] if self.fitted.fallbacks else [])]


@dataclass(frozen=True, slots=True)
class AuditShard:
    """One shard's audit documents: votes, strata and what else is known by text id."""

    votes: dict[int, list[VoteRow]]
    strata: dict[int, CodeArray]
    group_of: dict[int, str]
    gold_codes: dict[int, CodeArray]
    boundaries: dict[int, CodeArray] | None = None


class AuditSums:
    """What the shards so far come to.

    Attributes:
        groups: (K, S, 4) counts by document group.
        codes: (S, 2, C) each voter's vote codes by gold, drop then keep.
        sample: texts by which the voters are weighed: their votes, their strata.
    """

    def __init__(
        self,
        voters: Sequence[str],
        *,
        max_groups: int = MAX_GROUPS,
        max_words: int = MAX_WEIGHT_WORDS,
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
class Verdicts:
    """What was found of voters and rules.

    Attributes:
        voters: their counts against gold.
        rules: theirs, each beside its best voter.
        weights: by voter and stratum.
        ece: expected calibration error by voter, stratum and truth.
    """

    voters: list[VoterStatRow]
    rules: list[RuleStatRow]
    weights: dict[tuple[str, str], float]
    ece: dict[tuple[str, str, str], float]


def add_shard(
    basis: AuditBasis,
    part: AuditShard,
    sums: AuditSums,
    progress: Callable[[], object],
) -> None:
    """Add one shard's audit documents.

    Args:
        basis: of the round.
        part: what was read.
        sums: what is added to.
        progress: called for every rule.
    """
    config = basis.config
    panels = make_panels(
        config.panel(), part.votes, part.strata, basis.calibration, part.boundaries
    )
    panel = panels.calibrated
    if not panel.text_ids:
        return
    # Whatever gold this shard has.
    truth = find_truth(panel, part.gold_codes, name=basis.truth)
    voters = {v: of_voter(panel, column) for column, v in enumerate(panel.voters)}
    rules = _pool_rules(basis, panels, progress)
    chosen = rules[config.aggregation.rule]
    if basis.fitted.fallbacks:
        own = consensus_panels(panels, config)
        chosen = of_rule(own.raw, pool_consensus(own, basis.fitted).mean_N)
        rules[label_fallback(config.aggregation.rule)] = chosen
    if truth.name != GOLD:
        voters = {v: keep_equally(panel, found, chosen) for v, found in voters.items()}
        rules = {r: keep_equally(panel, found, chosen) for r, found in rules.items()}
    _add_groups(part.group_of, panel, list(voters.values()), rules, truth, sums)
    if truth.name == GOLD:
        _add_codes(panel, truth, sums)
    for text_id in panel.text_ids:
        strata_N = part.strata[text_id]
        sums.sample.add(text_id, strata_N.size, (part.votes[text_id], strata_N))


def conclude(basis: AuditBasis, sums: AuditSums, histograms: Histograms) -> Verdicts:
    """Turn all shards' counts into verdicts.

    Args:
        basis: of the round.
        sums: of all shards.
        histograms: of the whole round, against truths other than gold.
    """
    names, labels = basis.config.panel(), basis.labels
    size_M, size_R = len(names), len(labels)
    shape = (size_M + size_R + size_R * size_M, len(STRATA), 4)
    cells_KGS4 = np.moveaxis(sums.groups.stack(shape), 0, 1)
    voters = dict(zip(names, cells_KGS4[:size_M], strict=True))
    rules = dict(zip(labels, cells_KGS4[size_M : size_M + size_R], strict=True))
    beside = {
        label: cells_KGS4[start : start + size_M]
        for label, start in zip(
            labels, range(size_M + size_R, len(cells_KGS4), size_M), strict=True
        )
    }
    rows = rule_rows(basis.truth, rules, voters, beside, basis.seed)
    voter_rows: list[VoterStatRow] = []
    if basis.truth == GOLD:
        for voter in names:
            cells_S4 = voters[voter].sum(axis=0, dtype=np.int64)
            voter_rows += stat_rows(voter, GOLD, cells_S4, sums.codes[voter])
    against_gold = {
        (row.voter, row.stratum, row.truth): (row.keep_codes, row.drop_codes)
        for row in voter_rows
    }
    ece = calibration_errors({**histograms, **against_gold})
    return Verdicts(voter_rows, rows, _weigh(basis, sums), ece)


def _pool_rules(
    basis: AuditBasis, panels: Panels, progress: Callable[[], object]
) -> dict[str, Decided]:
    """Pool the votes by each of the round's rules, without any fallback."""
    config = basis.config
    beside = take_both(panels, measured_beside(config))
    own = consensus_panels(panels, config)
    found = {}
    for label, (name, params) in basis.rules.items():
        progress()
        used = own if label == config.aggregation.rule else beside
        rule = make_aggregator(name, params)
        posterior = pool(used, rule, learned_of(rule, label, basis.fitted.fits))
        found[label] = of_rule(used.raw, posterior.mean_N)
    return found


def _add_groups(
    group_of: Mapping[int, str],
    panel: Panel,
    voters: list[Decided],
    rules: Mapping[str, Decided],
    truth: Truth,
    sums: AuditSums,
) -> None:
    """Add what voters and rules decided, by document group."""
    groups = panel.group_words(group_of)
    alone = [
        count_groups(panel, groups, found, truth)
        for found in (*voters, *rules.values())
    ]
    beside = [
        count_beside(panel, groups, found, voters, truth) for found in rules.values()
    ]
    cells_KGS4 = np.concatenate([alone, *beside])
    for number, group in enumerate(groups.names):
        sums.groups.add(group, cells_KGS4[:, number])


def _add_codes(panel: Panel, truth: Truth, sums: AuditSums) -> None:
    """Add each voter's vote codes against gold."""
    for column, voter in enumerate(panel.voters):
        codes_W = encode_votes(panel.p_WM[:, column])
        known_W = truth.known_W & (codes_W != ABSTAIN)
        sums.codes[voter] += code_histogram(
            codes_W, truth.keep_W, panel.stratum_W, known_W
        )


def _weigh(basis: AuditBasis, sums: AuditSums) -> dict[tuple[str, str], float]:
    """Weigh the voters by the sample's words, in the order of text ids."""
    drawn = sums.sample.drawn()
    panels = make_panels(
        basis.config.panel(),
        {text_id: own for text_id, (own, _) in drawn.items()},
        {text_id: strata_N for text_id, (_, strata_N) in drawn.items()},
        basis.calibration,
    )
    own = consensus_panels(panels, basis.config)
    posterior = pool_consensus(own, basis.fitted)
    return weights_by_stratum(own.raw, posterior.weight_SM)
