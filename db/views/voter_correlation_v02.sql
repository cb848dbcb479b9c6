-- How two voters' votes fall together. `error_correlation` is phi within each stratum
-- and truth, pooled, on words of known truth; NULL where gold does not identify it:
-- there voters may agree because they are right or because they copy each other.
-- Sums have an order: a sum of float8 depends on it, and equal farms would differ.
CREATE VIEW voter_correlation AS
SELECT
    loops.name AS loop,
    rounds.number AS round,
    summed.voter,
    summed.other,
    summed.num_words,
    summed.num_agreed::float8 / nullif(summed.num_words, 0) AS agreement,
    summed.num_gold_words,
    -- The least variance is 1/2, of two words: below half of it there is none.
    CASE WHEN summed.voter_variance > 0.25 AND summed.other_variance > 0.25 THEN
        greatest(-1, least(1,
            summed.covariance / sqrt(summed.voter_variance * summed.other_variance)
        ))
    END AS error_correlation
FROM (
    SELECT
        pairs.round_id,
        pairs.voter,
        pairs.other,
        sum(counted.n)::int8 AS num_words,
        sum(pairs.num_both_keep + pairs.num_both_drop)::int8 AS num_agreed,
        coalesce(sum(counted.n) FILTER (WHERE counted.known), 0)::int8
            AS num_gold_words,
        sum(pairs.num_both_keep - counted.a * counted.b / counted.n
            ORDER BY pairs.stratum COLLATE "C", pairs.truth COLLATE "C")
            FILTER (WHERE counted.known) AS covariance,
        sum(counted.a - counted.a * counted.a / counted.n
            ORDER BY pairs.stratum COLLATE "C", pairs.truth COLLATE "C")
            FILTER (WHERE counted.known) AS voter_variance,
        sum(counted.b - counted.b * counted.b / counted.n
            ORDER BY pairs.stratum COLLATE "C", pairs.truth COLLATE "C")
            FILTER (WHERE counted.known) AS other_variance
    FROM voter_pairs AS pairs
    CROSS JOIN LATERAL (
        SELECT
            (pairs.num_both_keep + pairs.num_voter_keeps)::float8 AS a,
            (pairs.num_both_keep + pairs.num_other_keeps)::float8 AS b,
            nullif(
                pairs.num_both_keep + pairs.num_voter_keeps
                + pairs.num_other_keeps + pairs.num_both_drop, 0
            )::float8 AS n,
            pairs.truth <> 'unknown' AS known
    ) AS counted
    GROUP BY pairs.round_id, pairs.voter, pairs.other
) AS summed
JOIN rounds ON rounds.id = summed.round_id
JOIN loops ON loops.id = rounds.loop_id;
