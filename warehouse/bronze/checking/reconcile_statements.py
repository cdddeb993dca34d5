"""What `reconcile` asks: everything set-based, over narrow temporary copies of what the artifacts and the table hold."""

from __future__ import annotations

CHECKSUM = "('x' || encode(substring(content_hash FROM 1 FOR 7), 'hex'))::bit(56)::bigint"
"""A row's part in the ledger's order-free checksum."""

SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE"
"""Temporary tables cannot be made in a transaction that only reads; once they are, `READ_ONLY`."""
READ_ONLY = "SET TRANSACTION READ ONLY"
TUNE = "SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true)"

STAGE = """
CREATE TEMP TABLE reconcile_sent (raw_id TEXT, raw TEXT, month DATE, file_hash TEXT, record_index BIGINT) ON COMMIT DROP;
CREATE TEMP TABLE reconcile_letters (file_path TEXT, file_hash TEXT, record_index BIGINT, position TEXT, error_class TEXT)
    ON COMMIT DROP;
CREATE TEMP TABLE reconcile_wanted (raw_id TEXT, content_hash BYTEA, month DATE, file_hash TEXT, record_index BIGINT) ON COMMIT DROP;
CREATE TEMP TABLE reconcile_rows (raw_id TEXT, content_hash BYTEA, version INTEGER, month DATE, altered BOOLEAN, kept BOOLEAN)
    ON COMMIT DROP
"""
COPY_RECORDS = "COPY reconcile_sent FROM STDIN"
COPY_LETTERS = "COPY reconcile_letters FROM STDIN"
HASH = """
INSERT INTO reconcile_wanted
SELECT raw_id, sha256(convert_to((raw::jsonb)::text, 'UTF8')), month, file_hash, record_index FROM reconcile_sent
"""
UNTAKEN = "UPDATE reconcile_sent SET raw = NULL WHERE bronze_jsonb_problem(raw) IS NOT NULL"
"""The second pass: records jsonb does not take have no hash; they must be dead letters."""
STAGED = "ANALYZE reconcile_wanted"

ROWS = """
INSERT INTO reconcile_rows
SELECT raw_id, content_hash, version, date_trunc('month', partition_key::timestamp)::date,
       content_hash <> sha256(convert_to(raw_data::text, 'UTF8')), {kept}
FROM {table}
"""
"""The table, and with kept = true the detached months: their versions are accounted for."""
ROWS_READ = "ANALYZE reconcile_rows"

HELD = f"""
SELECT month, count(*), sum({CHECKSUM}), count(*) FILTER (WHERE altered) FROM reconcile_rows WHERE NOT kept GROUP BY month
"""
KEPT = "SELECT count(*) FROM reconcile_rows WHERE kept"
LEDGER = """
SELECT month, sum(rows), sum(hash_sum) FROM (
    SELECT month, rows, hash_sum FROM bronze_loaded_months WHERE source = %(source)s
    UNION ALL SELECT month, -rows, -hash_sum FROM bronze_retired WHERE source = %(source)s
) AS parts GROUP BY month
"""
"""By month, what the table should hold: loaded less retired."""
PARTITIONS = """
SELECT COALESCE(month, DATE '0001-01-01'), state = 'attached', retired_at IS NOT NULL, retired_rows,
       CASE WHEN state = 'detached' AND has_table_privilege(quote_ident(partition_name), 'SELECT') THEN partition_name END
FROM bronze_catalog WHERE source = %(source)s
"""
"""By month; last the name of a detached one that can be read."""

MISSING = """
SELECT month, count(*) FROM (
    SELECT DISTINCT ON (raw_id, content_hash, CASE WHEN content_hash IS NULL THEN (file_hash, record_index) END) w.month
    FROM reconcile_wanted AS w
    WHERE NOT EXISTS (SELECT FROM reconcile_rows AS r
                      WHERE NOT r.kept AND r.raw_id = w.raw_id AND r.content_hash = w.content_hash)
      AND NOT EXISTS (SELECT FROM bronze_retired AS g WHERE g.source = %(source)s AND g.month = w.month)
      AND NOT EXISTS (SELECT FROM bronze_dead_letters AS d WHERE d.source = %(source)s AND d.stage = 'bronze'
                      AND d.file_hash = w.file_hash AND d.record_index = w.record_index AND d.status <> 'replayed')
) AS missing GROUP BY month ORDER BY month
"""
UNDATED = """
SELECT count(*) FROM reconcile_rows AS r WHERE NOT r.kept AND r.month = DATE '0001-01-01' AND EXISTS (
    SELECT FROM reconcile_wanted AS w WHERE w.raw_id = r.raw_id AND w.content_hash = r.content_hash AND w.month > r.month
    AND NOT EXISTS (SELECT FROM bronze_retired AS g WHERE g.source = %(source)s AND g.month = w.month))
"""
LETTERS_MISSING = """
SELECT count(*) FROM (SELECT DISTINCT * FROM reconcile_letters) AS l WHERE NOT EXISTS (
    SELECT FROM bronze_dead_letters AS d
    WHERE d.source = %(source)s AND d.file_hash = l.file_hash AND d.record_index = l.record_index AND d.error_class = l.error_class
      AND md5(d.file_path) = md5(l.file_path) AND md5(d.position) = md5(l.position))
"""
LOADED = """
SELECT max(rows_read) FROM bronze_loads
WHERE target_table = %(table)s AND source = %(source)s AND file_hash = %(file_hash)s AND loader_version = %(loader_version)s
"""
LOADS = "SELECT count(*) FROM bronze_loads WHERE target_table = %(table)s AND source = %(source)s"
INSERTED = "SELECT COALESCE(sum(rows_inserted), 0) FROM bronze_loads WHERE target_table = %(table)s AND source = %(source)s"

REPEATED = """
SELECT month, count(*) FROM (
    SELECT month, row_number() OVER (PARTITION BY raw_id, content_hash ORDER BY month) AS copy FROM reconcile_rows
    WHERE NOT kept AND (raw_id, content_hash) IN (
        SELECT raw_id, content_hash FROM reconcile_rows WHERE NOT kept GROUP BY 1, 2 HAVING count(*) > 1)
) AS copies WHERE copy > 1 GROUP BY month ORDER BY month
"""
VERSIONS = """
WITH several AS (SELECT raw_id FROM reconcile_rows WHERE NOT kept GROUP BY raw_id HAVING count(*) > 1 OR min(version) <> 1),
sequence AS (
    SELECT max(version) FILTER (WHERE NOT kept) AS last, count(DISTINCT version) AS different,
           count(*) FILTER (WHERE NOT kept) > count(DISTINCT version) FILTER (WHERE NOT kept) OR min(version) < 1 AS repeated
    FROM reconcile_rows JOIN several USING (raw_id) GROUP BY raw_id
)
SELECT count(*) FILTER (WHERE different < last), COALESCE(sum(last - different) FILTER (WHERE different < last), 0),
       count(*) FILTER (WHERE repeated) FROM sequence
"""
"""Records with gaps, versions they lack, records with a version twice."""
REVISIONS = """
SELECT (SELECT count(*) FROM (
            SELECT DISTINCT raw_id, version FROM reconcile_rows WHERE version > 1 AND NOT kept
            EXCEPT SELECT raw_id, version FROM bronze_revisions WHERE source = %(source)s) AS missing),
       (SELECT count(*) FROM (
            SELECT raw_id, version FROM bronze_revisions WHERE source = %(source)s
            EXCEPT SELECT raw_id, version FROM reconcile_rows) AS stale)
"""
KNOWN = """
SELECT (SELECT count(*) FROM reconcile_rows AS r WHERE NOT r.kept AND r.raw_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM {known} AS k WHERE k.id_hash = hashtextextended(r.raw_id, 0))),
       (SELECT count(DISTINCT k.id_hash) FROM {known} AS k
            WHERE NOT EXISTS (SELECT FROM reconcile_rows AS r WHERE hashtextextended(r.raw_id, 0) = k.id_hash))
"""

UNBALANCED = """
SELECT count(*) FROM bronze_loads AS l
LEFT JOIN (SELECT load_id, sum(rows) AS rows, sum(hash_sum) AS hashes FROM bronze_loaded_months WHERE source = %(source)s
           GROUP BY load_id) AS m USING (load_id)
WHERE l.source = %(source)s AND l.target_table = %(table)s
  AND (l.rows_inserted <> COALESCE(m.rows, 0) OR l.hash_sum <> COALESCE(m.hashes, 0))
"""
UNLISTED = """
SELECT count(DISTINCT load_id) FROM bronze_loaded_months AS m WHERE m.source = %(source)s
  AND NOT EXISTS (SELECT FROM bronze_loads AS l WHERE l.load_id = m.load_id AND l.target_table = %(table)s)
"""

LOOSE = r"""
SELECT c.relname FROM pg_class AS c
WHERE c.relkind = 'r' AND NOT c.relispartition AND pg_table_is_visible(c.oid) AND starts_with(c.relname, %(table)s || '_')
  AND substr(c.relname, length(%(table)s) + 1) ~ '^_(default|y\d+m\d\d(_kept)?)$'
  AND NOT EXISTS (SELECT FROM bronze_retired AS g WHERE g.source = %(source)s AND g.kept_as = c.relname)
ORDER BY 1
"""
SCRATCH = """
SELECT c.relname FROM pg_class AS c
WHERE c.relkind IN ('r', 'p') AND starts_with(c.relname, %(prefix)s) AND pg_table_is_visible(c.oid)
  AND NOT EXISTS (
    SELECT FROM pg_locks AS k JOIN pg_database AS d ON d.oid = k.database
    WHERE d.datname = current_database() AND k.locktype = 'advisory' AND k.objsubid = 1 AND k.granted
      AND (k.classid::bigint << 32) | k.objid::bigint = hashtextextended('bronze_load:' || %(table)s, 0))
ORDER BY 1
"""
"""Scratch tables of loads of a source that nobody loads now."""
