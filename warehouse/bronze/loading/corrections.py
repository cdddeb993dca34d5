"""What a load does otherwise when it repairs: rows come back in their versions, and the ledger is told only what it did not know."""

from __future__ import annotations

from psycopg import sql

from warehouse.bronze.connection import Connection
from warehouse.bronze.loading.job import Counts, Job

VERSIONS = """
WITH gap AS (
    SELECT e.raw_id, v AS version, row_number() OVER (PARTITION BY e.raw_id ORDER BY v) AS nth,
           count(*) OVER (PARTITION BY e.raw_id) AS gaps
    FROM (SELECT raw_id, max(version) AS last FROM bronze_existing GROUP BY raw_id) AS e, generate_series(1, e.last) AS v
    WHERE NOT EXISTS (SELECT FROM bronze_existing AS x WHERE x.raw_id = e.raw_id AND x.version = v)
      AND NOT EXISTS (SELECT FROM bronze_retired WHERE source = %(source)s)
), come AS (SELECT ord, raw_id, row_number() OVER (PARTITION BY raw_id ORDER BY version) AS nth FROM bronze_fresh)
UPDATE bronze_fresh AS f SET version = COALESCE(g.version, f.version - o.gaps)
FROM come AS c JOIN (SELECT DISTINCT raw_id, gaps FROM gap) AS o USING (raw_id) LEFT JOIN gap AS g USING (raw_id, nth)
WHERE f.ord = c.ord
"""
"""What comes back takes the versions that are missing, in their order; else an earlier content would become the latest. Where months
were retired a missing version may be theirs."""
LETTERS = """
SELECT (SELECT count(*) FROM bronze_dead_letters WHERE source = %(source)s)
     - (SELECT COALESCE(sum(dead_inserted), 0) FROM bronze_loads WHERE source = %(source)s)
"""
"""Dead letters beyond what the ledger says; negative for those that are lost."""
TRUTH = """
SELECT COALESCE(month, partition_key), COALESCE(there.rows, 0) - COALESCE(said.rows, 0),
       COALESCE(there.hashes, 0) - COALESCE(said.hashes, 0)
FROM (
    SELECT date_trunc('month', partition_key::timestamp)::date AS partition_key, count(*) AS rows,
           sum(('x' || encode(substring(content_hash FROM 1 FOR 7), 'hex'))::bit(56)::bigint) AS hashes
    FROM {table} GROUP BY 1
) AS there FULL JOIN (
    SELECT month, sum(rows) AS rows, sum(hash_sum) AS hashes FROM (
        SELECT month, rows, hash_sum FROM bronze_loaded_months WHERE source = %(source)s
        UNION ALL SELECT month, -rows, -hash_sum FROM bronze_retired WHERE source = %(source)s
    ) AS parts GROUP BY month
) AS said ON said.month = there.partition_key
"""
"""By month, what the table holds beyond what the ledger says; negative for rows that are lost."""


def correct(session: Connection, job: Job, counts: Counts) -> None:
    """A repair adds to the ledger only what that did not know: rows and dead letters that were lost and are back are in it already.

    Rows nobody knows, and lost ones that did not come back, go on being a difference for `reconcile` to name.
    """
    query = sql.SQL(TRUTH).format(table=sql.Identifier(job.table))
    beyond = {month: (rows, int(hashes)) for month, rows, hashes in session.execute(query, job.constants).fetchall()}
    for month, (rows, _) in counts.months.items():
        over, hashes = beyond.get(month, (0, 0))
        if rows > max(0, over):  # some had been lost
            counts.months[month] = (over, hashes) if over > 0 else (0, 0)
    letters = session.execute(LETTERS, job.constants).fetchall()[0][0]
    counts.dead_inserted = min(counts.dead_inserted, max(0, letters))
    counts.inserted = sum(rows for rows, _ in counts.months.values())
    counts.hash_sum = sum(hashes for _, hashes in counts.months.values())
    counts.duplicate = counts.read - counts.inserted - counts.dead
