-- How well a round's labels and votes keep what must be kept, by kind and category.
-- Every text that has the label or vote; `all` is a kind and a category; a ratio over nothing is NULL.
-- A round whose texts were classified by several versions of the rules has a row for each.
CREATE VIEW label_quality AS
SELECT
    loops.name AS loop,
    rounds.number AS round,
    counts.source,
    counts.kind,
    counts.category,
    counts.rule_set,
    counts.rule_version,
    counts.num_documents,
    counts.num_words,
    counts.num_kept,
    counts.num_must_keep,
    counts.num_must_keep_kept,
    counts.num_must_keep_kept::float8 / nullif(counts.num_must_keep, 0) AS mk_in_ref,
    counts.num_kept::float8 / nullif(counts.num_words, 0) AS keep_rate
FROM label_counts AS counts
JOIN rounds ON rounds.id = counts.round_id
JOIN loops ON loops.id = rounds.loop_id;
