-- The mission's table with all its indexes, as corrected for PostgreSQL 15–18, for the contestants that are not ours: their
-- ground stays the same whatever our own table becomes. The months are made by create_month.
CREATE TABLE bronze_mi_fitness (
    id BIGSERIAL,
    source TEXT NOT NULL,
    raw_data JSONB NOT NULL,
    ingested_at TIMESTAMP DEFAULT timezone('UTC', now()),
    source_timestamp TIMESTAMP,
    raw_id TEXT,
    validation_status TEXT CHECK (validation_status IN ('valid', 'invalid', 'warning')),
    error_message TEXT,
    metadata JSONB DEFAULT '{}'::jsonb,
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
    partition_key DATE NOT NULL DEFAULT DATE '0001-01-01',
    content_hash BYTEA NOT NULL,
    record_index BIGINT,
    CONSTRAINT bronze_mi_fitness_pkey PRIMARY KEY (id, partition_key),
    CONSTRAINT bronze_mi_fitness_content_key
        UNIQUE NULLS NOT DISTINCT (raw_id, content_hash, partition_key) INCLUDE (version),
    CONSTRAINT bronze_mi_fitness_partition_key CHECK (partition_key = COALESCE(source_timestamp::date, DATE '0001-01-01')),
    CONSTRAINT bronze_mi_fitness_content_hash CHECK (octet_length(content_hash) = 32)
) PARTITION BY RANGE (partition_key);

CREATE TABLE bronze_mi_fitness_default PARTITION OF bronze_mi_fitness
    (CONSTRAINT undated CHECK (source_timestamp IS NULL AND partition_key = DATE '0001-01-01')) DEFAULT;

CREATE INDEX idx_bronze_mi_fitness_source_timestamp ON bronze_mi_fitness (source_timestamp);
CREATE INDEX idx_bronze_mi_fitness_validation_status ON bronze_mi_fitness (validation_status);
CREATE INDEX idx_bronze_mi_fitness_raw_data_gin ON bronze_mi_fitness USING GIN (raw_data);
CREATE INDEX idx_bronze_mi_fitness_lineage_id ON bronze_mi_fitness (lineage_id);
CREATE INDEX idx_bronze_mi_fitness_pipeline_run_id ON bronze_mi_fitness (pipeline_run_id);
CREATE INDEX idx_bronze_mi_fitness_environment ON bronze_mi_fitness (environment);
CREATE INDEX idx_bronze_mi_fitness_quality_score ON bronze_mi_fitness (quality_score);

CREATE FUNCTION bronze_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'bronze rows are immutable: % on % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER bronze_mi_fitness_immutable BEFORE UPDATE OR DELETE ON bronze_mi_fitness
    FOR EACH ROW EXECUTE FUNCTION bronze_immutable();
CREATE TRIGGER bronze_mi_fitness_no_truncate BEFORE TRUNCATE ON bronze_mi_fitness
    FOR EACH STATEMENT EXECUTE FUNCTION bronze_immutable();

-- A month below `parent`, with the CHECK on source_timestamp the template's months carry.
CREATE FUNCTION create_month(parent TEXT, month DATE) RETURNS TEXT LANGUAGE plpgsql AS $$
DECLARE
    part TEXT := 'bronze_mi_fitness_' || to_char(month, '"y"FMYYYY"m"MM');
    next DATE := (month + interval '1 month')::date;
BEGIN
    EXECUTE format('CREATE TABLE %I PARTITION OF %I (CONSTRAINT month_ts CHECK (source_timestamp IS NOT NULL '
                   'AND source_timestamp >= %L AND source_timestamp < %L)) FOR VALUES FROM (%L) TO (%L)',
                   part, parent, month::timestamp, next::timestamp, month, next);
    RETURN part;
END $$;
