"""How a repair mends what is derived from the rows."""

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
