"""The statements of one load, in the order they run. Set-based: no statement runs once per row.

They are text in Python, not .sql files, because the rows depend on them: the engine sees a change and runs the load again.
"""

from __future__ import annotations

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('bronze_load:' || %s, 0))"

TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('bronze_load:' || %s, 0))"
"""The same lock, without waiting."""
LOCK_TABLE = "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE NOWAIT"

TUNE = "SELECT set_config('work_mem', '32MB', true), set_config('jit', 'off', true), set_config('lock_timeout', '30s', true)"

LOCK_PATIENCE = "SELECT set_config('lock_timeout', '30min', true)"
"""Another loader of this table may be busy for minutes; everything else waits 30 s."""

FIND_LOAD = """
SELECT load_id, environment, rows_read, rows_inserted, rows_duplicate, rows_dead, dead_inserted
FROM bronze_loads WHERE target_table = %s AND source = %s AND file_hash = %s AND loader_version = %s
"""

PROVENANCE = """
SELECT EXISTS (SELECT FROM {table} WHERE environment = 'example')
           OR EXISTS (SELECT FROM bronze_loads WHERE source = %(source)s AND environment = 'example'),
       EXISTS (SELECT FROM {table} WHERE environment <> 'example')
           OR EXISTS (SELECT FROM bronze_loads WHERE source = %(source)s AND environment <> 'example')
"""
"""Are there example rows; are there real ones."""

STAGE = """
CREATE TEMP TABLE bronze_stage (
    ord BIGINT, file INTEGER, raw_id TEXT, source_timestamp TIMESTAMP, raw TEXT, status TEXT, errors TEXT,
    position TEXT, record_index BIGINT, revision BIGINT, fault TEXT, refused TEXT, raw_bytes BYTEA, raw_size BIGINT
) ON COMMIT DROP;
CREATE TEMP TABLE bronze_stage_files (
    file INTEGER, name TEXT, sha256 TEXT, size BIGINT, lineage_id TEXT, compression TEXT, encoding TEXT
) ON COMMIT DROP;
CREATE TEMP TABLE bronze_stage_letters (
    file_path TEXT, file_hash TEXT, record_index BIGINT, position TEXT, raw_bytes BYTEA, raw_size BIGINT,
    error_class TEXT, error_message TEXT
) ON COMMIT DROP
"""
COPY_RECORDS = "COPY bronze_stage FROM STDIN"
COPY_FILES = "COPY bronze_stage_files FROM STDIN"
COPY_LETTERS = "COPY bronze_stage_letters FROM STDIN"
ANALYZE = "ANALYZE bronze_stage (ord, file, raw_id); ANALYZE bronze_stage_files"

KEYS = """
CREATE TEMP TABLE bronze_keys ON COMMIT DROP AS
SELECT ord, raw_id, revision, sha256(convert_to((raw::jsonb)::text, 'UTF8')) AS content_hash
FROM bronze_stage WHERE refused IS NULL;
ANALYZE bronze_keys
"""

REFUSE = """
UPDATE bronze_stage AS s SET refused = p.problem
FROM (SELECT ord, bronze_jsonb_problem(raw) AS problem FROM bronze_stage WHERE refused IS NULL) AS p
WHERE s.ord = p.ord AND p.problem IS NOT NULL
"""
"""The second pass: which records jsonb does not take."""

FRESH = """
CREATE TEMP TABLE bronze_fresh ON COMMIT DROP AS
SELECT n.ord, n.content_hash,
       (COALESCE(known.version, 0) + row_number() OVER (PARTITION BY n.raw_id ORDER BY n.revision, n.ord))::integer AS version
FROM (
    SELECT DISTINCT ON (k.raw_id, k.content_hash) k.ord, k.raw_id, k.revision, k.content_hash
    FROM bronze_keys AS k
    WHERE NOT EXISTS (SELECT FROM {table} AS b WHERE b.raw_id = k.raw_id AND b.content_hash = k.content_hash)
    ORDER BY k.raw_id, k.content_hash, k.revision DESC, k.ord
) AS n
LEFT JOIN (
    SELECT b.raw_id, max(b.version) AS version
    FROM {table} AS b WHERE b.raw_id IN (SELECT raw_id FROM bronze_keys) GROUP BY b.raw_id
) AS known USING (raw_id);
ANALYZE bronze_fresh
"""
"""New contents only. Versions of one raw_id rise by revision, then by order in the artifact."""

INSERT = """
INSERT INTO {table} (
    source, raw_data, source_timestamp, raw_id, validation_status, error_message, metadata, version, environment,
    pipeline_run_id, pipeline_version, pipeline_parameters, lineage_id, parent_lineage_ids, lineage_type, lineage_source,
    lineage_timestamp, lineage_metadata, quality_checks, file_path, file_hash, file_size, compression_type, encoding,
    processing_start_time, processing_end_time, processing_duration, processing_steps, processing_errors,
    partition_key, content_hash, record_index)
SELECT
    %(source)s, s.raw::jsonb, s.source_timestamp, s.raw_id,
    CASE WHEN s.fault IS NULL THEN s.status ELSE 'invalid' END,
    NULLIF(concat_ws(', ', replace(s.errors, E'\\x1f', ', '), s.fault), ''),
    jsonb_build_object('position', s.position, 'revision', s.revision, 'raw_artifact', a.name),
    f.version, %(environment)s, %(run_id)s, %(pipeline_version)s, %(parameters)s::jsonb,
    %(lineage_id)s, ARRAY[a.lineage_id], 'source', %(lineage_source)s,
    %(lineage_timestamp)s::timestamptz AT TIME ZONE 'UTC', %(lineage_metadata)s::jsonb,
    CASE WHEN s.errors IS NOT NULL THEN jsonb_build_object('reasons', to_jsonb(string_to_array(s.errors, E'\\x1f'))) END,
    a.name, a.sha256, a.size, a.compression, a.encoding,
    %(started)s::timestamptz AT TIME ZONE 'UTC', clock_timestamp() AT TIME ZONE 'UTC',
    clock_timestamp() - %(started)s::timestamptz,
    %(steps)s::jsonb, CASE WHEN s.fault IS NOT NULL THEN jsonb_build_array(s.fault) END,
    COALESCE(s.source_timestamp::date, DATE '0001-01-01'), f.content_hash, s.record_index
FROM bronze_fresh AS f JOIN bronze_stage AS s USING (ord) JOIN bronze_stage_files AS a USING (file)
"""

SUMS = """
SELECT count(*), COALESCE(sum(('x' || encode(substring(content_hash FROM 1 FOR 7), 'hex'))::bit(56)::bigint), 0)
FROM bronze_fresh
"""

REFUSED_LETTERS = """
INSERT INTO bronze_dead_letters (source, target_table, stage, environment, file_path, file_hash, record_index, position,
    raw_bytes, raw_size, error_class, error_message, lineage_id, pipeline_run_id)
SELECT %(source)s, %(target)s, 'bronze', %(environment)s, a.name, a.sha256, s.record_index, s.position,
    CASE WHEN COALESCE(s.raw_size, octet_length(s.raw)) <= %(cap)s THEN COALESCE(s.raw_bytes, convert_to(s.raw, 'UTF8')) END,
    COALESCE(s.raw_size, octet_length(s.raw)), s.refused,
    'The record is kept as received: PostgreSQL cannot hold it as a row.', %(lineage_id)s, %(run_id)s
FROM bronze_stage AS s JOIN bronze_stage_files AS a USING (file) WHERE s.refused IS NOT NULL
ON CONFLICT DO NOTHING
"""
REFUSED_COUNTS = "SELECT refused, count(*) FROM bronze_stage WHERE refused IS NOT NULL GROUP BY refused ORDER BY refused"

LETTERS = """
INSERT INTO bronze_dead_letters (source, target_table, stage, environment, file_path, file_hash, record_index, position,
    raw_bytes, raw_size, error_class, error_message, lineage_id, pipeline_run_id)
SELECT %(source)s, %(target)s, 'ingestion', %(environment)s, file_path, file_hash, record_index, position,
    raw_bytes, raw_size, error_class, error_message, %(lineage_id)s, %(run_id)s
FROM bronze_stage_letters
ON CONFLICT DO NOTHING
"""

LEDGER = """
INSERT INTO bronze_loads (target_table, source, file_hash, loader_version, environment, load_id, lineage_id, pipeline_run_id,
    attempt_id, file_path, file_size, rows_read, rows_inserted, rows_duplicate, rows_dead, dead_inserted, hash_sum, partitions)
VALUES (%(target)s, %(source)s, %(file_hash)s, %(loader_version)s, %(environment)s, %(load_id)s, %(lineage_id)s, %(run_id)s,
    %(attempt_id)s, %(file_path)s, %(file_size)s, %(read)s, %(inserted)s, %(duplicate)s, %(dead)s, %(dead_inserted)s,
    %(hash_sum)s, %(partitions)s)
"""
