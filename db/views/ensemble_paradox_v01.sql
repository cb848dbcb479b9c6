-- Where a rule over all voters does worse than the best of them: `collapsed` when the
-- whole interval of the difference lies below 0. Must-keep truth knows no drops, so
-- only recall and the keep rate mean something under it.
CREATE VIEW ensemble_paradox AS
SELECT
    loops.name AS loop,
    rounds.number AS round,
    stats.stratum,
    stats.rule,
    stats.truth,
    rates.recall,
    CASE WHEN stats.truth <> 'must_keep' THEN
        stats.num_keep_kept::float8
        / nullif(stats.num_keep_kept + stats.num_drop_kept, 0)
    END AS precision,
    (stats.num_keep_kept + stats.num_drop_kept)::float8
        / nullif(
            stats.num_keep_kept + stats.num_keep_dropped
            + stats.num_drop_kept + stats.num_drop_dropped, 0
        ) AS keep_rate,
    CASE WHEN stats.truth <> 'must_keep' THEN
        (rates.recall + rates.specificity) / 2
    END AS balanced_accuracy,
    stats.best_voter,
    stats.best_value AS best_balanced_accuracy,
    coalesce(stats.difference_high < 0, false) AS collapsed
FROM rule_stats AS stats
JOIN rounds ON rounds.id = stats.round_id
JOIN loops ON loops.id = rounds.loop_id
CROSS JOIN LATERAL (
    SELECT
        stats.num_keep_kept::float8
            / nullif(stats.num_keep_kept + stats.num_keep_dropped, 0) AS recall,
        stats.num_drop_dropped::float8
            / nullif(stats.num_drop_kept + stats.num_drop_dropped, 0) AS specificity
) AS rates;
