"""How a repair mends what is derived from the rows, and finds the versions of rows that come back."""

from __future__ import annotations

UNDATED_PARTITION = """
CREATE TABLE IF NOT EXISTS {undated} PARTITION OF {table}
    (CONSTRAINT undated CHECK (source_timestamp IS NULL AND partition_key = DATE '0001-01-01')) DEFAULT
"""
KNOWN_MISSING = """
INSERT INTO {known} (id_hash)
SELECT hashtextextended(b.raw_id, 0) FROM {table} AS b
WHERE b.raw_id IS NOT NULL AND NOT EXISTS (SELECT FROM {known} AS k WHERE k.id_hash = hashtextextended(b.raw_id, 0))
"""
KNOWN_STALE = """
DELETE FROM {known} AS k WHERE NOT EXISTS (SELECT FROM {table} AS b WHERE hashtextextended(b.raw_id, 0) = k.id_hash)
"""
REVISIONS_MISSING = """
INSERT INTO bronze_revisions (source, raw_id, version)
SELECT {source}, raw_id, version FROM {table} WHERE version > 1 AND raw_id IS NOT NULL ON CONFLICT DO NOTHING
"""

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
