-- The share of a text's must-keep words (`farm`) that survive in a reference.
--
-- Words match as a multiset: each word of the reference answers for one equal word of
-- the text. NULL where the text has no must-keep word. Equal to kompress.labels'
-- count_must_keep(text, reference)['all'], kept / total. Needs must_keep(text) and
-- bounded(text); must_keep's file says why a pattern splits the reference.
CREATE OR REPLACE FUNCTION mk_in_ref(text, reference text)
RETURNS double precision
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
BEGIN ATOMIC
    SELECT
        sum(least(wanted.total, coalesce(present.total, 0)))::double precision
        / nullif(sum(wanted.total), 0)::double precision
    FROM (
        SELECT found.word COLLATE "C" AS word, count(*) AS total
        FROM must_keep($1) AS found
        GROUP BY 1
    ) AS wanted
    LEFT JOIN (
        SELECT piece.word COLLATE "C" AS word, count(*) AS total
        FROM string_to_table(
            regexp_replace(
                bounded($2),
                E'[\u0009\u000a\u000b\u000c\u000d\u001c\u001d\u001e\u001f\u0020\u0085\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000]+',
                ' ',
                'g'
            ),
            ' '
        ) AS piece (word)
        GROUP BY 1
    ) AS present ON present.word = wanted.word;
END
