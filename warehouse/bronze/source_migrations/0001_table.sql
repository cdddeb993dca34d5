-- Bronze table of one source: the template's 39 columns in its order, then content_hash and record_index.
-- Words in braces are identifiers, quoted by the driver. Where it departs from the template, a comment says why.
CREATE TABLE IF NOT EXISTS {table} (
    id BIGSERIAL,                                              -- SERIAL ends at 2^31
    source TEXT NOT NULL,
    raw_data JSONB NOT NULL,
    ingested_at TIMESTAMP DEFAULT timezone('UTC', now()),      -- CURRENT_TIMESTAMP follows the session's zone
    source_timestamp TIMESTAMP,
    raw_id TEXT,
    validation_status TEXT CHECK (validation_status IN ('valid', 'invalid', 'warning')),
    error_message TEXT,
    metadata JSONB DEFAULT '{{}}'::jsonb,
    version INTEGER DEFAULT 1,
    environment TEXT NOT NULL DEFAULT 'development',
    pipeline_run_id TEXT,
    pipeline_version TEXT,
    pipeline_parameters JSONB,
    lineage_id TEXT,
    parent_lineage_ids TEXT[],
    lineage_type TEXT CHECK (lineage_type IN ('source', 'derived', 'enriched')),
    lineage_source TEXT,
    lineage_timestamp TIMESTAMP,
    lineage_metadata JSONB,
    quality_metrics JSONB,
    quality_score FLOAT,
    quality_checks JSONB,
    file_path TEXT,
    file_hash TEXT,
    file_size BIGINT,
    compression_type TEXT,
    encoding TEXT,
    api_version TEXT,
    api_endpoint TEXT,
    api_request_id TEXT,
    api_response_code INTEGER,
    api_rate_limit_info JSONB,
    processing_start_time TIMESTAMP,
    processing_end_time TIMESTAMP,
    processing_duration INTERVAL,
    processing_steps JSONB,
    processing_errors JSONB,
    -- a generated column cannot be a partition key: the loader writes it, the CHECK makes it the same function of
    -- source_timestamp; 0001-01-01 stands for "no source timestamp"
    partition_key DATE NOT NULL DEFAULT DATE '0001-01-01',
    content_hash BYTEA NOT NULL,                               -- sha256 of raw_data::text
    record_index BIGINT,                                       -- ordinal within the raw artifact file_hash
    CONSTRAINT {pkey} PRIMARY KEY (id, partition_key),         -- a partitioned table's key holds the partition key
    CONSTRAINT {content_key} UNIQUE NULLS NOT DISTINCT (raw_id, content_hash, partition_key) INCLUDE (version),
    CONSTRAINT {key_check} CHECK (partition_key = COALESCE(source_timestamp::date, DATE '0001-01-01')),
    CONSTRAINT {hash_check} CHECK (octet_length(content_hash) = 32)
) PARTITION BY RANGE (partition_key);

CREATE TABLE IF NOT EXISTS {undated} PARTITION OF {table}
    (CONSTRAINT undated CHECK (source_timestamp IS NULL AND partition_key = DATE '0001-01-01')) DEFAULT;

-- the template's seven; index names are unique per schema, so the source is part of them
CREATE INDEX IF NOT EXISTS {idx_source_timestamp} ON {table} (source_timestamp);
CREATE INDEX IF NOT EXISTS {idx_validation_status} ON {table} (validation_status);
CREATE INDEX IF NOT EXISTS {idx_raw_data_gin} ON {table} USING GIN (raw_data);
CREATE INDEX IF NOT EXISTS {idx_lineage_id} ON {table} (lineage_id);
CREATE INDEX IF NOT EXISTS {idx_pipeline_run_id} ON {table} (pipeline_run_id);
CREATE INDEX IF NOT EXISTS {idx_environment} ON {table} (environment);
CREATE INDEX IF NOT EXISTS {idx_quality_score} ON {table} (quality_score);

CREATE OR REPLACE TRIGGER {immutable} BEFORE UPDATE OR DELETE ON {table}
    FOR EACH ROW EXECUTE FUNCTION bronze_immutable();
CREATE OR REPLACE TRIGGER {no_truncate} BEFORE TRUNCATE ON {table}
    FOR EACH STATEMENT EXECUTE FUNCTION bronze_immutable();
