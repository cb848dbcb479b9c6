-- What students scored over all texts of a suite; no figure without its n. A student
-- from elsewhere has no loop and no round.
CREATE VIEW student_scores AS
SELECT
    loops.name AS loop,
    rounds.number AS round,
    scores.student_id AS student,
    scores.suite,
    scores.stratum,
    scores.rule_set,
    scores.definition,
    scores.override,
    scores.target_keep_rate,
    scores.step,
    scores.metric,
    scores.value,
    scores.ci_low,
    scores.ci_high,
    scores.n
FROM scores
LEFT JOIN rounds ON rounds.id = scores.round_id
LEFT JOIN loops ON loops.id = rounds.loop_id
WHERE scores.subject_kind = 'student' AND scores.text_id IS NULL;
