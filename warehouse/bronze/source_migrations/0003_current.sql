-- Of every raw_id the latest version; times with their zone. What people and dashboards read.
CREATE OR REPLACE VIEW {current} AS
SELECT
    b.id, b.source, b.raw_data, b.ingested_at AT TIME ZONE 'UTC' AS ingested_at,
    b.source_timestamp AT TIME ZONE 'UTC' AS source_timestamp, b.raw_id, b.validation_status, b.error_message, b.metadata,
    b.version, b.environment, b.pipeline_run_id, b.pipeline_version, b.pipeline_parameters, b.lineage_id, b.parent_lineage_ids,
    b.lineage_type, b.lineage_source, b.lineage_timestamp AT TIME ZONE 'UTC' AS lineage_timestamp, b.lineage_metadata,
    b.quality_metrics, b.quality_score, b.quality_checks, b.file_path, b.file_hash, b.file_size, b.compression_type, b.encoding,
    b.api_version, b.api_endpoint, b.api_request_id, b.api_response_code, b.api_rate_limit_info,
    b.processing_start_time AT TIME ZONE 'UTC' AS processing_start_time,
    b.processing_end_time AT TIME ZONE 'UTC' AS processing_end_time,
    b.processing_duration, b.processing_steps, b.processing_errors, b.partition_key, b.content_hash, b.record_index
FROM {table} AS b
WHERE NOT EXISTS (
    SELECT FROM bronze_revisions AS r WHERE r.source = {source} AND r.raw_id = b.raw_id AND r.version > b.version
);
INSERT INTO bronze_revisions (source, raw_id, version)
SELECT {source}, raw_id, version FROM {table} WHERE version > 1 ON CONFLICT DO NOTHING;
