-- Loads older than the ledger of months: each row says which load it came with.
INSERT INTO bronze_loaded_months (load_id, source, month, rows, hash_sum)
SELECT l.load_id, {source}, date_trunc('month', b.partition_key::timestamp)::date, count(*),
       sum(('x' || encode(substring(b.content_hash FROM 1 FOR 7), 'hex'))::bit(56)::bigint)
FROM bronze_loads AS l JOIN {table} AS b
  ON b.lineage_metadata->>'records_sha256' = l.file_hash AND b.pipeline_parameters->>'loader_version' = l.loader_version
WHERE l.source = {source} AND l.target_table = 'bronze_' || {source}
GROUP BY 1, 2, 3 ON CONFLICT DO NOTHING;
