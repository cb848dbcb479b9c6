-- Work that waits, runs or is parked; ended work is history, not depth. A job waits
-- from when it may run: later than its birth after an error.
CREATE VIEW queue_depth AS
SELECT
    jobs.queue,
    jobs.stage AS kind,
    jobs.status,
    count(*) AS jobs,
    greatest(
        0,
        extract(epoch FROM now() - min(greatest(jobs.created_at, jobs.run_after)))::float8
    ) AS oldest_seconds
FROM jobs
WHERE jobs.status IN ('pending', 'running', 'failed')
GROUP BY jobs.queue, jobs.stage, jobs.status;
