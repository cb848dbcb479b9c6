-- How many independent voters a round's panel is worth, by calibration gold, and what
-- its mean vote gets wrong: error = shared_bias + variance, and variance =
-- shared_variance (stays) + own_variance (averages out with more voters).
CREATE VIEW ensemble_diversity AS
SELECT
    loops.name AS loop,
    rounds.number AS round,
    jsonb_array_length(found.voters) AS num_voters,
    found.n_eff,
    found.n_eff_low,
    found.n_eff_high,
    found.alpha,
    found.truth,
    found.num_gold_words,
    found.mean_correlation,
    split.error,
    split.shared_bias,
    split.shared_variance + split.own_variance AS variance,
    split.shared_variance,
    split.own_variance,
    found.copies,
    found.identical
FROM rounds
JOIN loops ON loops.id = rounds.loop_id
CROSS JOIN LATERAL jsonb_to_record(rounds.decisions -> 'diversity') AS found (
    voters jsonb,
    n_eff float8,
    n_eff_low float8,
    n_eff_high float8,
    alpha float8,
    truth text,
    num_gold_words bigint,
    mean_correlation float8,
    copies jsonb,
    identical jsonb
)
CROSS JOIN LATERAL jsonb_to_record(rounds.decisions -> 'diversity' -> 'split') AS split (
    error float8,
    shared_bias float8,
    shared_variance float8,
    own_variance float8
)
WHERE rounds.decisions ? 'diversity';
