-- What all sources share: the load ledger, dead letters, immutability, months on demand. PostgreSQL 15 or newer.
-- Every TIMESTAMP is UTC without zone (the template's type); the loader's sessions run with timezone=UTC.

-- One row per artifact that has been loaded completely, written in the transaction of its rows.
CREATE TABLE bronze_loads (
    target_table    TEXT NOT NULL,              -- bronze_<source>, or bronze_dead_letters for the source's dead letters
    source          TEXT NOT NULL,
    file_hash       TEXT NOT NULL,              -- sha256 of the artifact
    loader_version  TEXT NOT NULL,              -- changes when extraction changes
    environment     TEXT NOT NULL,
    load_id         UUID NOT NULL,              -- tells a commit whose answer was lost from somebody else's
    lineage_id      TEXT NOT NULL,              -- records/<source>.parquet@v3
    pipeline_run_id TEXT NOT NULL,
    attempt_id      TEXT NOT NULL,
    file_path       TEXT NOT NULL,
    file_size       BIGINT NOT NULL,
    rows_read       BIGINT NOT NULL,
    rows_inserted   BIGINT NOT NULL,
    rows_duplicate  BIGINT NOT NULL,
    rows_dead       BIGINT NOT NULL,            -- refused by the database, now dead letters
    dead_inserted   BIGINT NOT NULL,            -- dead letters this load added; the others were there already
    hash_sum        NUMERIC NOT NULL,           -- order-free checksum of the inserted rows' content hashes
    partitions      DATE[] NOT NULL DEFAULT '{}',
    loaded_at       TIMESTAMP NOT NULL DEFAULT timezone('UTC', now()),
    xid             XID8 NOT NULL DEFAULT pg_current_xact_id(),
    PRIMARY KEY (target_table, source, file_hash, loader_version),
    CHECK (rows_read = rows_inserted + rows_duplicate + rows_dead)
);

-- What could not become a record (stage ingestion) or not a row (stage bronze), with its bytes as received.
CREATE TABLE bronze_dead_letters (
    id              BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    source          TEXT NOT NULL,
    target_table    TEXT NOT NULL,
    stage           TEXT NOT NULL CHECK (stage IN ('ingestion', 'bronze')),
    environment     TEXT NOT NULL,
    file_path       TEXT NOT NULL,              -- raw artifact
    file_hash       TEXT NOT NULL,              -- sha256 of the raw artifact
    record_index    BIGINT NOT NULL,            -- ordinal within it
    position        TEXT NOT NULL,              -- where in it, for people
    raw_bytes       BYTEA,                      -- NULL above the size cap: the raw artifact has them
    raw_size        BIGINT NOT NULL,
    error_class     TEXT NOT NULL,
    error_message   TEXT NOT NULL,
    lineage_id      TEXT NOT NULL,
    pipeline_run_id TEXT NOT NULL,
    first_seen      TIMESTAMP NOT NULL DEFAULT timezone('UTC', now()),
    attempts        INTEGER NOT NULL DEFAULT 1,
    status          TEXT NOT NULL DEFAULT 'open' CHECK (status IN ('open', 'replayed', 'ignored')),
    resolved_at     TIMESTAMP,
    resolved_by     TEXT,
    resolution      TEXT
);
-- as a digest: a position may be longer than a b-tree key may be
CREATE UNIQUE INDEX bronze_dead_letters_once ON bronze_dead_letters
    (source, file_hash, record_index, error_class, md5(file_path), md5(position));

-- Rows are immutable: retention works by DETACH and DROP of partitions.
CREATE FUNCTION bronze_immutable() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'bronze rows are immutable: % on % refused', TG_OP, TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;

-- NULL when jsonb takes the text, else why not. Only asked after a whole batch was refused.
CREATE FUNCTION bronze_jsonb_problem(text_in TEXT) RETURNS TEXT LANGUAGE plpgsql IMMUTABLE STRICT AS $$
BEGIN
    PERFORM sha256(convert_to(text_in::jsonb::text, 'UTF8'));
    RETURN NULL;
EXCEPTION
    WHEN untranslatable_character THEN RETURN 'json_unicode';
    WHEN invalid_text_representation THEN RETURN 'json_syntax';
    WHEN numeric_value_out_of_range THEN RETURN 'json_number';
    WHEN statement_too_complex THEN RETURN 'json_too_deep';
    WHEN program_limit_exceeded THEN RETURN 'too_big';
    WHEN data_exception THEN RETURN 'json_data';
END $$;

CREATE FUNCTION bronze_partition_name(source_name TEXT, partition_date DATE) RETURNS TEXT
LANGUAGE sql IMMUTABLE STRICT AS $$
    SELECT format('bronze_%s_y%sm%s', source_name, to_char(partition_date, 'FMYYYY'), to_char(partition_date, 'MM'))
$$;

-- Same name, arguments and result as in the template. CREATE + ATTACH: readers and loaders of the parent go on.
CREATE FUNCTION create_partition_if_not_exists(source_name TEXT, partition_date DATE) RETURNS VOID LANGUAGE plpgsql AS $$
DECLARE
    parent TEXT := 'bronze_' || source_name;
    part   TEXT := bronze_partition_name(source_name, partition_date);
    lo     DATE := date_trunc('month', partition_date::timestamp)::date;
    hi     DATE := (date_trunc('month', partition_date::timestamp) + interval '1 month')::date;
BEGIN
    IF partition_date < DATE '1900-01-01' OR partition_date >= DATE '2200-01-01' THEN
        RAISE EXCEPTION 'partition date % out of range', partition_date USING ERRCODE = 'datetime_field_overflow';
    END IF;
    IF octet_length(part) > 63 THEN
        RAISE EXCEPTION 'source name % is too long', source_name USING ERRCODE = 'name_too_long';
    END IF;
    IF to_regclass(format('%I', part)) IS NOT NULL THEN RETURN; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('bronze_ddl:' || parent, 0));
    -- a query, not to_regclass: an advisory lock does not refresh the catalog cache, a new snapshot does
    IF EXISTS (SELECT FROM pg_class c JOIN pg_class p USING (relnamespace)
               WHERE c.relname = part AND p.oid = to_regclass(format('%I', parent))) THEN RETURN; END IF;
    EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION)',
                   part, parent);
    -- month_ts lets the planner skip the month for predicates on source_timestamp; month_key spares ATTACH its scan
    EXECUTE format('ALTER TABLE %I ADD CONSTRAINT month_ts CHECK (source_timestamp IS NOT NULL AND source_timestamp >= %L '
                   'AND source_timestamp < %L), ADD CONSTRAINT month_key CHECK (partition_key >= %L AND partition_key < %L)',
                   part, lo::timestamp, hi::timestamp, lo, hi);
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, lo, hi);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT month_key', part);
END $$;
