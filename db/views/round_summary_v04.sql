-- One row a round: what it labelled, how well, what its main student does, the cost.
-- `mk_in_ref` is that of the labels trained on, before any override; `mk_in_ref_corpus`
-- undoes the adaptive sampling (Hajek), its standard error is that of design §9.
-- exact_pct and override_delta are of the rule sets that the round's config names.
-- Fractions are summed as numeric: sums of float8 depend on the order of rows, and equal
-- farms would differ in the last digit.
CREATE VIEW round_summary AS
SELECT
    loops.name AS loop,
    rounds.number AS round,
    rounds.status,
    rounds.stop_reason,
    selected.num_documents,
    missed.num_failures,
    raw.num_must_keep_kept::float8 / nullif(raw.num_must_keep, 0) AS mk_in_ref,
    corpus.ratio::float8 AS mk_in_ref_corpus,
    spread.standard_error::float8 AS mk_in_ref_corpus_se,
    trained.num_kept::float8 / nullif(trained.num_words, 0) AS label_keep_rate,
    scored.f1_gold,
    scored.f1_keep_rate,
    scored.exact_pct,
    scored.exact_keep_rate,
    scored.override_delta,
    main.id AS student,
    paid.usd,
    extract(epoch FROM coalesce(rounds.finished_at, now()) - rounds.created_at)::float8
        AS seconds
FROM rounds
JOIN loops ON loops.id = rounds.loop_id
-- A key that a config leaves out has its default.
CROSS JOIN LATERAL (
    SELECT
        coalesce(rounds.config #>> '{evaluation,rule_set}', 'farm') AS rule_set,
        coalesce(rounds.config #>> '{evaluation,override}', 'headroom-0.42') AS override
) AS measured
-- The override corrects: what was voted is the source before it. Over all versions of the rules that its texts were classified by.
CROSS JOIN LATERAL (
    SELECT
        sum(num_must_keep)::bigint AS num_must_keep,
        sum(num_must_keep_kept)::bigint AS num_must_keep_kept
    FROM label_counts
    WHERE label_counts.round_id = rounds.id
        AND source = CASE rounds.config ->> 'label_source'
            WHEN 'corrected' THEN 'silver'
            WHEN 'self_label' THEN 'self_label_raw'
            WHEN 'self_label+teacher' THEN 'self_label_raw'
            ELSE rounds.config ->> 'label_source' END
        AND kind = 'all' AND category = 'all' AND label_counts.rule_set = 'farm'
) AS raw
CROSS JOIN LATERAL (
    SELECT sum(num_words)::bigint AS num_words, sum(num_kept)::bigint AS num_kept
    FROM label_counts
    WHERE label_counts.round_id = rounds.id
        AND source = rounds.config ->> 'label_source'
        AND kind = 'all' AND category = 'all' AND label_counts.rule_set = 'farm'
) AS trained
-- The newest main student: a round may hold more than one recipe or seed.
LEFT JOIN LATERAL (
    SELECT students.id
    FROM students
    WHERE students.round_id = rounds.id AND students.fold = -1
    ORDER BY students.id DESC
    LIMIT 1
) AS main ON true
CROSS JOIN LATERAL (
    SELECT count(*) AS num_documents
    FROM selections
    WHERE selections.round_id = rounds.id AND selections.role = 'train'
) AS selected
CROSS JOIN LATERAL (
    SELECT count(*) AS num_failures
    FROM failures
    WHERE failures.round_id = rounds.id
) AS missed
-- t must-keep words and k surviving ones a document, weighed by 1 / probability.
CROSS JOIN LATERAL (
    SELECT
        count(*) AS n,
        sum(num_must_keep / probability::numeric) AS total,
        sum(num_must_keep_kept / probability::numeric)
            / nullif(sum(num_must_keep / probability::numeric), 0) AS ratio
    FROM selections
    WHERE selections.round_id = rounds.id AND selections.role = 'train'
        AND num_must_keep IS NOT NULL AND num_must_keep_kept IS NOT NULL
) AS corpus
CROSS JOIN LATERAL (
    SELECT sqrt(
        corpus.n::numeric / nullif(corpus.n - 1, 0)
        * sum(
            (1 - probability::numeric)
            * ((num_must_keep_kept - corpus.ratio * num_must_keep)
                / probability::numeric) ^ 2
        )
    ) / nullif(corpus.total, 0) AS standard_error
    FROM selections
    WHERE selections.round_id = rounds.id AND selections.role = 'train'
        AND num_must_keep IS NOT NULL AND num_must_keep_kept IS NOT NULL
) AS spread
CROSS JOIN LATERAL (
    SELECT
        max(value) FILTER (
            WHERE suite = 'planted' AND metric = 'f1' AND override = ''
        ) AS f1_gold,
        max(value) FILTER (
            WHERE suite = 'planted' AND metric = 'keep_rate' AND override = ''
        ) AS f1_keep_rate,
        max(value) FILTER (
            WHERE suite = 'agent' AND metric = 'exact_pct' AND override = ''
            AND scores.rule_set = measured.rule_set AND definition = 'multiset'
        ) AS exact_pct,
        max(value) FILTER (
            WHERE suite = 'agent' AND metric = 'keep_rate' AND override = ''
            AND definition = 'multiset'
        ) AS exact_keep_rate,
        max(value) FILTER (
            WHERE suite = 'agent' AND metric = 'override_delta'
            AND scores.override = measured.override AND scores.rule_set = measured.rule_set
            AND definition = 'multiset'
        ) AS override_delta
    FROM scores
    WHERE scores.round_id = rounds.id AND subject_kind = 'student'
        AND scores.student_id = main.id AND stratum = 'all'
        AND target_keep_rate IS NULL AND step = 0 AND text_id IS NULL
) AS scored
CROSS JOIN LATERAL (
    SELECT coalesce(sum(costs.spent::numeric), 0)::float8 AS usd
    FROM jobs
    JOIN costs ON costs.job_id = jobs.id AND costs.kind = 'usd'
    WHERE jobs.round_id = rounds.id
) AS paid;
