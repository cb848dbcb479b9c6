#!/bin/bash
# Run once by the image of Postgres, when its volume is empty: the role that the farm
# logs in as owns its database and is no superuser. Migrations make a role for readers,
# hence CREATEROLE; what only a superuser can take from everybody is taken here.
set -euo pipefail

psql --no-psqlrc --set ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname "$POSTGRES_DB" <<'SQL'
\getenv password FARM_DB_PASSWORD
CREATE ROLE farm LOGIN NOSUPERUSER CREATEROLE PASSWORD :'password';
ALTER DATABASE farm OWNER TO farm;
GRANT SET ON PARAMETER temp_file_limit TO farm;

-- Built-in functions that change something: locks, large objects, messages, settings.
-- The names left to everybody are HARMLESS of db/queries/rights.py.
DO $$
DECLARE
    changing regprocedure;
BEGIN
    FOR changing IN
        SELECT p.oid FROM pg_proc p JOIN pg_type t ON t.oid = p.prorettype
        WHERE p.pronamespace = 'pg_catalog'::regnamespace AND p.provolatile = 'v'
          AND has_function_privilege('public', p.oid, 'EXECUTE')
          AND (t.typtype <> 'p' OR t.typname IN ('void', 'record', 'anyelement'))
          AND NOT EXISTS (
            SELECT FROM pg_init_privs i
            WHERE i.classoid = 'pg_proc'::regclass AND i.objoid = p.oid
          )
          AND p.proname NOT IN (
            'array_sample', 'array_shuffle', 'clock_timestamp', 'gen_random_uuid',
            'pg_sleep', 'pg_sleep_for', 'pg_sleep_until', 'random', 'random_normal',
            'setseed', 'timeofday', 'uuidv4', 'uuidv7'
          )
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO farm', changing);
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', changing);
    END LOOP;
END
$$;
SQL
