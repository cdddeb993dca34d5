"""What erasing asks and says: whole months by DROP, the rest of a month row by row, then the ledger brought to what is left."""

from __future__ import annotations

from warehouse.bronze.checking.reconcile_statements import CHECKSUM

LOCK = "SELECT pg_advisory_xact_lock(hashtextextended('bronze_load:' || %s, 0))"
"""A load's own lock: nothing goes while its source is loaded."""
OWNS = "SELECT pg_has_role(current_user, relowner, 'USAGE') FROM pg_class WHERE oid = to_regclass(quote_ident(%s))"
MONTHS = """
SELECT partition_name, month, state = 'detached' FROM bronze_catalog
WHERE source = %(source)s AND month IS NOT NULL AND state IN ('attached', 'detached') ORDER BY month
"""
ROWS = "SELECT count(*), pg_total_relation_size({name}) FROM {table}"
OLD_ROWS = "SELECT count(*), 0 FROM {table} WHERE source_timestamp < %(before)s"
LETTERS = """
SELECT count(*) FROM bronze_dead_letters
WHERE source = %(source)s AND (%(files)s::text[] IS NULL OR file_hash = ANY (%(files)s))
"""
LOADS = "SELECT count(*) FROM bronze_loads WHERE source = %(source)s"

UNLOCKED = "ALTER TABLE {table} DISABLE TRIGGER USER"
LOCKED = "ALTER TABLE {table} ENABLE TRIGGER USER"
DELETE_OLD = "DELETE FROM {table} WHERE source_timestamp < %(before)s"
DELETE_LETTERS = "DELETE FROM bronze_dead_letters WHERE source = %(source)s AND file_hash = ANY (%(files)s)"
DELETE_REVISIONS = """
DELETE FROM bronze_revisions AS r WHERE r.source = %(source)s AND NOT EXISTS (
    SELECT FROM ({rows}) AS b WHERE b.raw_id = r.raw_id AND b.version = r.version)
"""
DELETE_KNOWN = """
DELETE FROM {known} AS k WHERE NOT EXISTS (SELECT FROM ({rows}) AS b WHERE hashtextextended(b.raw_id, 0) = k.id_hash)
"""

FORGET_RETIRED = "DELETE FROM bronze_retired WHERE source = %(source)s AND (month + interval '1 month')::date <= %(before)s::date"
COUNT_KEPT = f"""
UPDATE bronze_retired SET rows = c.rows, hash_sum = c.hash_sum
FROM (SELECT count(*) AS rows, COALESCE(sum({CHECKSUM}), 0) AS hash_sum FROM {{table}}) AS c
WHERE source = %(source)s AND month = %(month)s
"""
FORGET_MONTHS = """
DELETE FROM bronze_loaded_months AS m WHERE m.source = %(source)s AND NOT EXISTS (
    SELECT FROM bronze_retired AS r WHERE r.source = m.source AND r.month = m.month AND r.action = 'dropped')
"""
COUNT_MONTHS = f"""
INSERT INTO bronze_loaded_months (load_id, source, month, rows, hash_sum)
SELECT COALESCE(l.load_id, (SELECT load_id FROM bronze_loads WHERE source = %(source)s AND target_table = %(table)s
                            ORDER BY loaded_at DESC LIMIT 1)),
       %(source)s, date_trunc('month', b.partition_key::timestamp)::date, count(*), sum({CHECKSUM})
FROM ({{rows}}) AS b LEFT JOIN bronze_loads AS l
  ON l.source = %(source)s AND l.target_table = %(table)s AND l.file_hash = b.lineage_metadata->>'records_sha256'
 AND l.loader_version = b.pipeline_parameters->>'loader_version'
GROUP BY 1, 3
"""
"""Each row says which load it came with; months dropped by retention keep what the ledger said of them."""
COUNT_LOADS = """
UPDATE bronze_loads AS l
SET rows_inserted = COALESCE(m.rows, 0), hash_sum = COALESCE(m.hash_sum, 0), dead_inserted = 0,
    rows_read = COALESCE(m.rows, 0) + l.rows_duplicate + l.rows_dead,
    partitions = ARRAY(SELECT p FROM unnest(l.partitions) AS p
                       WHERE p = DATE '0001-01-01' OR (p + interval '1 month')::date > %(before)s::date ORDER BY p)
FROM bronze_loads AS o LEFT JOIN (
    SELECT load_id, sum(rows) AS rows, sum(hash_sum) AS hash_sum FROM bronze_loaded_months WHERE source = %(source)s GROUP BY load_id
) AS m USING (load_id)
WHERE o.load_id = l.load_id AND o.target_table = l.target_table AND l.source = %(source)s AND l.target_table = %(table)s
"""
COUNT_LETTERS = """
WITH newest AS (SELECT ctid FROM bronze_loads WHERE source = %(source)s ORDER BY loaded_at DESC, target_table LIMIT 1)
UPDATE bronze_loads AS l
SET dead_inserted = CASE WHEN l.ctid = (SELECT ctid FROM newest)
                         THEN (SELECT count(*) FROM bronze_dead_letters WHERE source = %(source)s) ELSE 0 END
WHERE l.source = %(source)s
"""
"""How many there are is the ledger's to say; which load brought which is no longer known."""
FORGET_QUALITY = """
DELETE FROM bronze_quality AS q WHERE q.source = %(source)s
  AND NOT EXISTS (SELECT FROM bronze_loaded_months AS m WHERE m.load_id = q.load_id)
"""

OBJECTS = """
SELECT format('DROP %s IF EXISTS public.%I CASCADE', CASE c.relkind WHEN 'v' THEN 'VIEW' ELSE 'TABLE' END, c.relname)
FROM pg_class AS c
WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v') AND NOT c.relispartition
  AND starts_with(c.relname, 'bronze_')
UNION ALL
SELECT format('DROP FUNCTION IF EXISTS public.%I(%s) CASCADE', p.proname, pg_get_function_identity_arguments(p.oid))
FROM pg_proc AS p
WHERE p.pronamespace = 'public'::regnamespace
  AND (starts_with(p.proname, 'bronze_') OR p.proname = 'create_partition_if_not_exists')
"""
SHARED = (
    "bronze_loads",
    "bronze_dead_letters",
    "bronze_loaded_months",
    "bronze_revisions",
    "bronze_quality",
    "bronze_retired",
)
