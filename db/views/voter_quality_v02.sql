-- How often a voter keeps what is to be kept and drops what is to be dropped, and how
-- far its probabilities can be believed: `diagram` has ten bins of stated P(keep),
-- [0, .1) to [.9, 1], with the mean stated, the share to keep and how many words.
-- Byte c stands for (2c + 1) / 510. Must-keep truth knows no drops: no diagram.
CREATE VIEW voter_quality AS
SELECT
    loops.name AS loop,
    rounds.number AS round,
    stats.voter,
    stats.stratum,
    CASE stats.truth
        WHEN 'leave_one_out' THEN greatest(counted.num_words, stats.num_compared)
        ELSE counted.num_words
    END AS num_words,
    stats.truth,
    stats.num_keep_kept::float8
        / nullif(stats.num_keep_kept + stats.num_keep_dropped, 0) AS sensitivity,
    stats.num_drop_dropped::float8
        / nullif(stats.num_drop_kept + stats.num_drop_dropped, 0) AS specificity,
    stats.weight,
    stats.num_agreed::float8 / nullif(stats.num_compared, 0) AS agreement,
    stats.ece,
    binned.diagram
FROM voter_stats AS stats
JOIN rounds ON rounds.id = stats.round_id
JOIN loops ON loops.id = rounds.loop_id
CROSS JOIN LATERAL (
    SELECT stats.num_keep_kept + stats.num_keep_dropped
        + stats.num_drop_kept + stats.num_drop_dropped AS num_words
) AS counted
CROSS JOIN LATERAL (
    SELECT CASE WHEN stats.truth <> 'must_keep' THEN
        jsonb_agg(
            jsonb_build_object(
                'stated', bins.doubled::float8 / nullif(510 * bins.n, 0),
                'observed', bins.kept::float8 / nullif(bins.n, 0),
                'n', bins.n
            )
            ORDER BY bins.bin
        ) END AS diagram
    FROM (
        SELECT
            bin,
            coalesce(sum((2 * code + 1) * (cells.keep + cells.drop)), 0)::int8
                AS doubled,
            coalesce(sum(cells.keep), 0)::int8 AS kept,
            coalesce(sum(cells.keep + cells.drop), 0)::int8 AS n
        FROM generate_series(0, 9) AS bin
        -- Code 255 abstains. floor(10 (2c + 1) / 510) in whole numbers.
        LEFT JOIN generate_series(0, 254) AS code ON (2 * code + 1) / 51 = bin
        LEFT JOIN LATERAL (
            SELECT
                coalesce(stats.keep_codes[code + 1], 0) AS keep,
                coalesce(stats.drop_codes[code + 1], 0) AS drop
        ) AS cells ON true
        GROUP BY bin
    ) AS bins
) AS binned;
