-- What the attempts of a round's jobs spent, and how much of the money was of use.
-- Fractions are summed as numeric: a sum of float8 depends on the order of rows.
CREATE VIEW round_costs AS
SELECT
    loops.name AS loop,
    rounds.number AS round,
    jobs.stage,
    jobs.voter,
    coalesce(sum(costs.spent::numeric) FILTER (WHERE costs.kind = 'seconds'), 0)::float8
        AS seconds,
    coalesce(sum(costs.spent) FILTER (WHERE costs.kind = 'input_tokens'), 0)::bigint
        AS input_tokens,
    coalesce(sum(costs.spent) FILTER (WHERE costs.kind = 'output_tokens'), 0)::bigint
        AS output_tokens,
    coalesce(sum(costs.spent::numeric) FILTER (WHERE costs.kind = 'usd'), 0)::float8
        AS usd_spent,
    coalesce(sum(costs.useful::numeric) FILTER (WHERE costs.kind = 'usd'), 0)::float8
        AS usd_useful
FROM costs
JOIN jobs ON jobs.id = costs.job_id
JOIN rounds ON rounds.id = jobs.round_id
JOIN loops ON loops.id = rounds.loop_id
GROUP BY loops.name, rounds.number, jobs.stage, jobs.voter;
