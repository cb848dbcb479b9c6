-- The text itself, or an error where it is larger than any text of the farm.
--
-- The limit is MAX_TEXT_BYTES of kompress.corpora.readers; a test compares them. Without
-- it, one call over a text of a gigabyte would run for minutes past every time limit.
-- No per cent sign, and no colon before a letter: drivers read those as parameters.
CREATE OR REPLACE FUNCTION bounded(text)
RETURNS text
LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE
AS '
BEGIN
    IF octet_length($1) > 8388608 THEN
        RAISE EXCEPTION USING
            ERRCODE = ''program_limit_exceeded'',
            MESSAGE = ''the text has '' || octet_length($1)
                || '' bytes; expected at most 8388608'';
    END IF;
    RETURN $1;
END
';
