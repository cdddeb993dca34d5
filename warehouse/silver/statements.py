"""What a load of silver says to PostgreSQL, in the order of its saying. Set-based: no statement runs once per row."""

from __future__ import annotations

COLUMNS = (
    "source", "source_id", "event_id", "name", "value", "unit", "description", "occurred_at", "created_at", "updated_at", "deleted",
    "raw_id", "raw_artifact", "position",
)  # fmt: skip
"""Those of `layout.UNIFIED`."""

_LIST = ", ".join(COLUMNS)
_REST = COLUMNS[2:]
_OLD = ", ".join(f"r.{name}" for name in _REST)
_NEW = ", ".join(f"i.{name}" for name in _REST)
_SET = ", ".join(f"{name} = excluded.{name}" for name in _REST)

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('silver_load', 0))"
"""One at a time changes silver."""
PATIENCE = (
    "SELECT set_config('lock_timeout', '30min', true), set_config('work_mem', '64MB', true), set_config('jit', 'off', true)"
)
NEWEST = "SELECT file_hash, loader_version, environment, attempt_id, id FROM silver.runs ORDER BY id DESC LIMIT 1"
COUNTS = "SELECT came, inserted, updated, unchanged, deleted, removed, retired FROM silver.runs WHERE id = %s"
ANY = "SELECT EXISTS (SELECT FROM silver.records)"

INCOMING = f"CREATE TEMP TABLE silver_incoming ON COMMIT DROP AS SELECT {_LIST} FROM silver.records WITH NO DATA"
COPY = f"COPY silver_incoming ({_LIST}) FROM STDIN"
ANALYZE = "ANALYZE silver_incoming"
RETIRED = """
DELETE FROM silver_incoming AS i USING bronze_retired AS t
WHERE t.source = i.source AND t.month = date_trunc('month', i.occurred_at AT TIME ZONE 'UTC')::date
"""
"""Months a person has taken out of bronze do not come back by another way."""
COMPARE = f"""
SELECT count(*) FILTER (WHERE r.source IS NULL),
       count(*) FILTER (WHERE r.source IS NOT NULL AND ({_OLD}) IS DISTINCT FROM ({_NEW}) AND NOT (i.deleted AND NOT r.deleted)),
       count(*) FILTER (WHERE ({_OLD}) IS NOT DISTINCT FROM ({_NEW}) AND r.source IS NOT NULL),
       count(*) FILTER (WHERE r.source IS NOT NULL AND i.deleted AND NOT r.deleted)
FROM silver_incoming AS i LEFT JOIN silver.records AS r USING (source, source_id)
"""
REMOVE = """
DELETE FROM silver.records AS r
WHERE NOT EXISTS (SELECT FROM silver_incoming AS i WHERE i.source = r.source AND i.source_id = r.source_id)
"""
UPSERT = f"""
INSERT INTO silver.records AS r ({_LIST}) SELECT {_LIST} FROM silver_incoming
ON CONFLICT (source, source_id) DO UPDATE SET {_SET}, last_changed_at = excluded.last_changed_at
WHERE ({_OLD}) IS DISTINCT FROM ({", ".join(f"excluded.{name}" for name in _REST)})
"""
HELD = f"SELECT count(*), COALESCE(sum(hashtextextended(ROW({_LIST})::text, 0)), 0) FROM silver.records"
"""Rows, and an order-free checksum of what they say."""
RUN = """
INSERT INTO silver.runs (action, run_id, attempt_id, file_hash, loader_version, environment, came, inserted, updated, unchanged, deleted,
                         removed, retired, rejected, rows, hash_sum, started_at, seconds)
VALUES (%(action)s, %(run_id)s, %(attempt_id)s, %(file_hash)s, %(loader_version)s, %(environment)s, %(came)s, %(inserted)s, %(updated)s,
        %(unchanged)s, %(deleted)s, %(removed)s, %(retired)s, %(rejected)s, %(rows)s, %(hash_sum)s, now(),
        extract(epoch FROM clock_timestamp() - now()))
RETURNING id
"""
NO_CHECKPOINTS = "DELETE FROM silver.checkpoints WHERE source NOT IN (SELECT source FROM silver.records)"
CHECKPOINTS = """
INSERT INTO silver.checkpoints (source, records, deleted, newest_occurred_at, newest_updated_at, run)
SELECT source, count(*), count(*) FILTER (WHERE deleted), max(occurred_at), max(updated_at), %s FROM silver.records GROUP BY source
ON CONFLICT (source) DO UPDATE
SET records = excluded.records, deleted = excluded.deleted, newest_occurred_at = excluded.newest_occurred_at,
    newest_updated_at = excluded.newest_updated_at, run = excluded.run
"""
