-- How often a voter keeps what is to be kept and drops what is to be dropped.
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
    stats.ece
FROM voter_stats AS stats
JOIN rounds ON rounds.id = stats.round_id
JOIN loops ON loops.id = rounds.loop_id
CROSS JOIN LATERAL (
    SELECT stats.num_keep_kept + stats.num_keep_dropped
        + stats.num_drop_kept + stats.num_drop_dropped AS num_words
) AS counted;
