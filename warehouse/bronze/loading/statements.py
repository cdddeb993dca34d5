"""The statements of one load, in the order they run. Set-based: no statement runs once per row.

They are text in Python, not .sql files, because the rows depend on them: the engine sees a change and runs the load again.
Words in braces are identifiers, quoted by the driver; `{values}` and the like are put together here.
"""

from __future__ import annotations

LOCK = "SELECT pg_advisory_lock(hashtextextended('bronze_load:' || %s, 0))"
"""One loader per table, as long as its session lives."""
TRY_LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('bronze_load:' || %s, 0))"
HELP = "SELECT pg_advisory_lock_shared(hashtextextended('bronze_help:' || %s, 0))"
"""Held by each further session of a load."""
HELPERS_GONE = """
SELECT pg_advisory_lock(hashtextextended('bronze_help:' || %(table)s, 0)),
       pg_advisory_unlock(hashtextextended('bronze_help:' || %(table)s, 0))
"""
"""Waits for the further sessions of a loader that was killed."""
LOCK_TABLE = "LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE NOWAIT"

TUNE = """
SELECT set_config('work_mem', '64MB', false), set_config('jit', 'off', false), set_config('lock_timeout', '30s', false),
       set_config('client_connection_check_interval', '1s', false),
       set_config('random_page_cost', '1.1', false), -- what a load looks up lies in memory: by index, not by reading all that is known
       set_config('idle_in_transaction_session_timeout', '0', false), -- one session waits while the others fill
       set_config('wal_skip_threshold', '0', false)
"""
"""The last: a table made in its own transaction is synced, never written to the log, however small; that costs a fifth less."""

LOCK_PATIENCE = "SELECT set_config('lock_timeout', '30min', false)"
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

OWNER = "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(quote_ident(%s))"
RETIRED = "SELECT month FROM bronze_retired WHERE source = %s"

STAGE = """
CREATE {kind} TABLE {stage} (
    ord BIGINT, raw_id TEXT, stamp TEXT, raw TEXT, position TEXT, record_index BIGINT, revision BIGINT, profile INTEGER,
    time_text TEXT, utc_offset INTEGER,
    id_hash BIGINT GENERATED ALWAYS AS (hashtextextended(raw_id, 0)) STORED,
    digest BIGINT GENERATED ALWAYS AS (hashtextextended(COALESCE(stamp, '') || raw, 1)) STORED
) {end}
"""
"""Records as they are sent; their hashes are computed while they arrive.

The two together tell a record: for a wrong match one identity would have to have two contents of one 64-bit hash.
"""
PROFILES = """
CREATE {kind} TABLE {profiles} (
    profile INTEGER, status TEXT, error_message TEXT, errors JSONB, faults JSONB, quality_metrics JSONB, quality_score FLOAT,
    quality_checks JSONB, file_path TEXT, file_hash TEXT, file_size BIGINT, lineage_id TEXT, compression TEXT, encoding TEXT,
    api_version TEXT, api_endpoint TEXT, api_request_id TEXT, api_response_code INTEGER, api_rate_limit_info JSONB
) {end}
"""
REFUSED = """
CREATE {kind} TABLE {refused} (
    profile INTEGER, position TEXT, record_index BIGINT, raw_bytes BYTEA, raw_size BIGINT, reason TEXT, id_hash BIGINT, digest BIGINT
) {end}
"""
SCRATCH = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND starts_with(relname, %s) AND pg_table_is_visible(oid)
    AND pg_has_role(relowner, 'USAGE')
"""
"""What a killed load of this table has left behind."""

SPECIAL = """
CREATE TEMP TABLE bronze_special ON COMMIT DROP AS
SELECT id_hash FROM ({all}) AS a GROUP BY id_hash HAVING count(*) > 1
UNION
SELECT b.id_hash FROM ({bulk}) AS b JOIN {known} AS k USING (id_hash)
"""
"""Identities that need care: twice in this load, or in the table already."""
SPARE = """
WITH moved AS (DELETE FROM {stage} AS s USING bronze_special AS x WHERE s.id_hash = x.id_hash
    RETURNING s.ord, s.raw_id, s.stamp, s.raw, s.position, s.record_index, s.revision, s.profile, s.time_text, s.utc_offset)
INSERT INTO {rest} (ord, raw_id, stamp, raw, position, record_index, revision, profile, time_text, utc_offset) SELECT * FROM moved
"""

NEW = """
CREATE TEMP TABLE bronze_new ON COMMIT DROP AS
SELECT DISTINCT ON (s.id_hash, s.digest) s.ord FROM {rest} AS s
WHERE ({repair} OR NOT EXISTS (SELECT FROM {known} AS k WHERE k.id_hash = s.id_hash AND k.digest = s.digest))
  AND NOT EXISTS (SELECT FROM bronze_retired AS r
                  WHERE r.source = {source} AND r.month = date_trunc('month', s.stamp::timestamp)::date)
ORDER BY s.id_hash, s.digest, s.revision DESC, s.ord;
ANALYZE bronze_new
"""
"""Of the rest: what was never taken in these very bytes, and is of no month that was retired."""

KEYS = """
CREATE TEMP TABLE bronze_keys ON COMMIT DROP AS
SELECT s.ord, s.raw_id, s.revision, s.stamp::timestamp AS stamp, sha256(convert_to((s.raw::jsonb)::text, 'UTF8')) AS content_hash,
       EXISTS (SELECT FROM {known} AS k WHERE k.id_hash = s.id_hash) AS seen
FROM bronze_new AS n JOIN {rest} AS s USING (ord);
ANALYZE bronze_keys
"""
REFUSE = """
WITH bad AS (
    DELETE FROM {stage} AS s USING (SELECT ord, bronze_jsonb_problem(raw) AS problem FROM {stage} {only}) AS p
    WHERE s.ord = p.ord AND p.problem IS NOT NULL
    RETURNING s.*, p.problem)
INSERT INTO {refused} (profile, position, record_index, raw_bytes, raw_size, reason, id_hash, digest)
SELECT profile, position, record_index, CASE WHEN octet_length(raw) <= %(cap)s THEN convert_to(raw, 'UTF8') END, octet_length(raw),
       problem, id_hash, digest
FROM bad
"""
"""The second pass: which records jsonb does not take."""
ONLY_NEW = "WHERE ord IN (SELECT ord FROM bronze_new)"

EXISTING = """
CREATE TEMP TABLE bronze_existing ON COMMIT DROP AS
SELECT b.raw_id, b.content_hash, b.version, b.partition_key FROM {table} AS b
WHERE b.raw_id IN (SELECT raw_id FROM bronze_keys WHERE seen) {limit};
ANALYZE bronze_existing
"""
ANY_SEEN = "SELECT EXISTS (SELECT FROM bronze_keys WHERE seen)"
FRESH = """
CREATE TEMP TABLE bronze_fresh ON COMMIT DROP AS
SELECT n.ord, n.raw_id, n.content_hash, date_trunc('month', n.stamp)::date AS month,
       (COALESCE(earlier.version, 0) + row_number() OVER (PARTITION BY n.raw_id ORDER BY n.revision, n.ord))::integer AS version
FROM (
    SELECT DISTINCT ON (k.raw_id, k.content_hash) k.* FROM bronze_keys AS k
    WHERE NOT EXISTS (SELECT FROM bronze_existing AS e WHERE e.raw_id = k.raw_id AND e.content_hash = k.content_hash)
    ORDER BY k.raw_id, k.content_hash, k.revision DESC, k.ord
) AS n
LEFT JOIN (SELECT raw_id, max(version) AS version FROM bronze_existing GROUP BY raw_id) AS earlier USING (raw_id);
ANALYZE bronze_fresh
"""
"""New contents only. Versions of one raw_id rise by revision, then by order in the artifact."""

DATED = """
CREATE TEMP TABLE bronze_dated ON COMMIT DROP AS
SELECT array_agg(id) AS ids, array_agg(stamp) AS stamps FROM (
    SELECT DISTINCT ON (b.id) b.id, k.stamp FROM bronze_keys AS k
    JOIN bronze_existing AS e USING (raw_id, content_hash) JOIN {table} AS b USING (raw_id, content_hash, partition_key)
    WHERE e.partition_key = DATE '0001-01-01' AND k.stamp IS NOT NULL ORDER BY b.id, k.revision DESC, k.ord
) AS found
"""
"""Rows that were undated and are told their time now. Found before they are moved: a table in use is not altered."""
MOVED = """
SELECT month, count(*), COALESCE(sum(('x' || encode(substring(content_hash FROM 1 FOR 7), 'hex'))::bit(56)::bigint), 0)
FROM bronze_dated AS d, bronze_date_rows(%(source)s, d.ids, d.stamps) WHERE d.ids IS NOT NULL GROUP BY month
"""
"""By month."""

_INSERT = """
WITH inserted AS (
INSERT INTO {{target}} (
    source, raw_data, source_timestamp, raw_id, validation_status, error_message, metadata, version, environment,
    pipeline_run_id, pipeline_version, pipeline_parameters, lineage_id, parent_lineage_ids, lineage_type, lineage_source,
    lineage_timestamp, lineage_metadata, quality_metrics, quality_score, quality_checks, file_path, file_hash, file_size,
    compression_type, encoding, api_version, api_endpoint, api_request_id, api_response_code, api_rate_limit_info,
    processing_start_time, processing_end_time, processing_duration, processing_steps, processing_errors,
    partition_key, content_hash, record_index)
SELECT
    %(source)s, s.doc, s.stamp, s.raw_id, a.status, a.error_message,
    CASE WHEN s.time_text IS NULL THEN jsonb_build_object('position', s.position, 'revision', s.revision)
         ELSE jsonb_build_object('position', s.position, 'revision', s.revision, 'time_text', s.time_text,
                                 'utc_offset', s.utc_offset) END,
    s.version, %(environment)s, %(run_id)s, %(pipeline_version)s, %(parameters)s::jsonb,
    %(lineage_id)s, ARRAY[a.lineage_id], 'source', %(lineage_source)s,
    %(lineage_timestamp)s::timestamptz AT TIME ZONE 'UTC', %(lineage_metadata)s::jsonb,
    a.quality_metrics, a.quality_score,
    CASE WHEN a.errors IS NULL THEN a.quality_checks
         ELSE COALESCE(a.quality_checks, '{{{{}}}}') || jsonb_build_object('reasons', a.errors) END,
    a.file_path, a.file_hash, a.file_size, a.compression, a.encoding,
    a.api_version, a.api_endpoint, a.api_request_id, a.api_response_code, a.api_rate_limit_info,
    %(started)s::timestamptz AT TIME ZONE 'UTC', clock_timestamp() AT TIME ZONE 'UTC',
    clock_timestamp() - %(started)s::timestamptz,
    %(steps)s::jsonb, a.faults, COALESCE(s.stamp::date, DATE '0001-01-01'), {hash}, s.record_index
FROM ({rows}) AS s JOIN {{profiles}} AS a USING (profile)
RETURNING source_timestamp, content_hash)
SELECT COALESCE(date_trunc('month', source_timestamp)::date, DATE '0001-01-01') AS month, count(*),
       sum(('x' || encode(substring(content_hash FROM 1 FOR 7), 'hex'))::bit(56)::bigint)
FROM inserted GROUP BY 1
"""
"""Gives rows and their checksum by month."""

INSERT = _INSERT.format(
    hash="s.content_hash",
    rows="""
    SELECT t.raw::jsonb AS doc, t.stamp::timestamp AS stamp, t.raw_id, t.time_text, t.position, t.revision, t.utc_offset,
           t.record_index, t.profile, f.version, f.content_hash
    FROM bronze_fresh AS f JOIN {rest} AS t USING (ord) WHERE ((f.month = ANY(%(late)s::date[])) IS TRUE) = %(now_late)s OFFSET 0""",
)
"""The rest, into the table itself: first what goes to months that are there, then what goes to those attached by this load."""
INSERT_MONTH = _INSERT.format(
    hash="sha256(convert_to(s.doc::text, 'UTF8'))",
    rows="""
    SELECT t.raw::jsonb AS doc, t.stamp::timestamp AS stamp, t.raw_id, t.time_text, t.position, t.revision, t.utc_offset,
           t.record_index, t.profile, 1 AS version
    FROM {stage} AS t OFFSET 0""",
)
"""A new month, into its table aside."""

REVISIONS = """
INSERT INTO bronze_revisions (source, raw_id, version)
SELECT %(source)s, raw_id, version FROM bronze_fresh WHERE version > 1 ON CONFLICT DO NOTHING
"""
KNOWN = "INSERT INTO {known} (id_hash, digest) SELECT id_hash, digest FROM ({all}) AS a ORDER BY id_hash"
KNOWN_REST = "SELECT s.id_hash, s.digest FROM {rest} AS s JOIN bronze_new USING (ord)"
KNOWN_MONTH = "SELECT id_hash, digest FROM {stage}"
UNKNOWN = "DELETE FROM {known} AS k USING {refused} AS r WHERE k.id_hash = r.id_hash AND k.digest = r.digest"
"""A record that was refused after all is not known."""

REFUSED_LETTERS = """
INSERT INTO bronze_dead_letters (source, target_table, stage, environment, file_path, file_hash, record_index, position,
    raw_bytes, raw_size, error_class, error_message, lineage_id, pipeline_run_id)
SELECT %(source)s, %(target)s, 'bronze', %(environment)s, a.file_path, a.file_hash, r.record_index, r.position,
    r.raw_bytes, r.raw_size, r.reason,
    'The record is kept as received: PostgreSQL cannot hold it as a row.', %(lineage_id)s, %(run_id)s
FROM {refused} AS r JOIN {profiles} AS a USING (profile)
ON CONFLICT DO NOTHING
"""
REFUSED_COUNTS = "SELECT reason, count(*) FROM {refused} GROUP BY reason ORDER BY reason"

STAGE_LETTERS = """
DROP TABLE IF EXISTS pg_temp.bronze_stage_letters;
CREATE TEMP TABLE bronze_stage_letters (
    file_path TEXT, file_hash TEXT, record_index BIGINT, position TEXT, raw_bytes BYTEA, raw_size BIGINT,
    error_class TEXT, error_message TEXT
) ON COMMIT DROP
"""
COPY_LETTERS = "COPY bronze_stage_letters FROM STDIN"
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
QUALITY = """
INSERT INTO bronze_quality (load_id, source, environment, lineage_id, records, completeness, validity, score, newest, freshness_hours,
    duplicates, dead, wanted, missed)
VALUES (%(load_id)s, %(source)s, %(environment)s, %(lineage_id)s, %(records)s, %(completeness)s, %(validity)s, %(score)s,
    %(newest)s::timestamptz AT TIME ZONE 'UTC', %(freshness_hours)s, %(duplicates)s, %(dead)s, %(wanted)s::jsonb, %(missed)s::text[])
"""
LEDGER_MONTHS = """
INSERT INTO bronze_loaded_months (load_id, source, month, rows, hash_sum)
SELECT %(load_id)s, %(source)s, * FROM unnest(%(months)s::date[], %(rows)s::bigint[], %(sums)s::numeric[])
"""

ASIDE = "CREATE TABLE {aside} (LIKE {table} INCLUDING ALL) PARTITION BY RANGE (partition_key)"
"""A parent of our own: attaching a filled month to it makes PostgreSQL build every index the real one wants."""
INDEX_MONTH = """
ALTER TABLE {aside} ATTACH PARTITION {month} FOR VALUES FROM ({first}) TO ({next});
ALTER TABLE {aside} DETACH PARTITION {month}
"""
STATISTICS = """
SELECT set_config('default_statistics_target', '10', true);
ANALYZE {month} (id, source_timestamp, raw_id, validation_status, version, environment, pipeline_run_id, lineage_id, quality_score,
                 partition_key, content_hash)
"""
"""A sample of 3,000 rows of the columns queries select by; of all columns and 30,000 it would cost more than the load."""
MONTH_TABLE = "SELECT bronze_month_table(%s, %s, %s)"
ATTACH_MONTH = "SELECT bronze_attach_month(%s, %s, %s)"
