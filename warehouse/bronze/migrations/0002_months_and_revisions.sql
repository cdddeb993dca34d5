-- What the ledger knows per month, which records were revised, how good a load was, which months were retired; months filled aside.

-- Per load and month: rows it added there, less rows it took from there (an undated row whose time became known moves).
CREATE TABLE bronze_loaded_months (
    load_id  UUID NOT NULL,
    source   TEXT NOT NULL,
    month    DATE NOT NULL,                -- 0001-01-01: undated
    rows     BIGINT NOT NULL,
    hash_sum NUMERIC NOT NULL,             -- of the same rows, as in bronze_loads
    PRIMARY KEY (load_id, month)
);
CREATE INDEX bronze_loaded_months_source ON bronze_loaded_months (source, month);

-- One row per version above 1: so few that the latest version of a record is found without sorting the table.
CREATE TABLE bronze_revisions (
    source  TEXT NOT NULL,
    raw_id  TEXT NOT NULL,
    version INTEGER NOT NULL,
    PRIMARY KEY (source, raw_id, version)
);

-- How good a load's records were, against what was asked of them then.
CREATE TABLE bronze_quality (
    load_id         UUID PRIMARY KEY,
    source          TEXT NOT NULL,
    environment     TEXT NOT NULL,
    lineage_id      TEXT NOT NULL,
    measured_at     TIMESTAMP NOT NULL DEFAULT timezone('UTC', now()),
    records         BIGINT NOT NULL,
    completeness    FLOAT,                 -- mean share of expected fields that are there, 0 to 1
    validity        FLOAT,                 -- share of records that are not invalid, 0 to 1
    score           FLOAT,                 -- mean quality_score
    newest          TIMESTAMP,             -- latest source_timestamp
    freshness_hours FLOAT,                 -- from newest to the load
    duplicates      BIGINT NOT NULL,
    dead            BIGINT NOT NULL,
    wanted          JSONB NOT NULL,        -- the settings' thresholds
    missed          TEXT[] NOT NULL        -- measures below them
);
CREATE INDEX bronze_quality_source ON bronze_quality (source, measured_at);

-- Months taken out by retention: their records are not loaded again.
CREATE TABLE bronze_retired (
    source     TEXT NOT NULL,
    month      DATE NOT NULL,
    rows       BIGINT NOT NULL,
    hash_sum   NUMERIC NOT NULL,
    action     TEXT NOT NULL CHECK (action IN ('detached', 'dropped')),
    kept_as    TEXT,                       -- name of the table a detached month lives on in
    retired_at TIMESTAMP NOT NULL DEFAULT timezone('UTC', now()),
    PRIMARY KEY (source, month)
);

-- A month's table beside its parent: not yet a partition, so it may be filled and indexed while the parent is read and loaded.
CREATE FUNCTION bronze_month_table(source_name TEXT, partition_date DATE, table_name TEXT) RETURNS VOID
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    lo DATE := date_trunc('month', partition_date::timestamp)::date;
    hi DATE := (date_trunc('month', partition_date::timestamp) + interval '1 month')::date;
BEGIN
    IF partition_date < DATE '1900-01-01' OR partition_date >= DATE '2200-01-01' THEN
        RAISE EXCEPTION 'partition date % out of range', partition_date USING ERRCODE = 'datetime_field_overflow';
    END IF;
    -- month_ts lets the planner skip the month for predicates on source_timestamp; month_key spares ATTACH its scan.
    -- Rows never change, so the first vacuum may freeze them; statistics follow growth of a twentieth.
    EXECUTE format(
        'CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING STORAGE INCLUDING COMPRESSION, '
        'CONSTRAINT month_ts CHECK (source_timestamp IS NOT NULL AND source_timestamp >= %L AND source_timestamp < %L), '
        'CONSTRAINT month_key CHECK (partition_key >= %L AND partition_key < %L)) '
        'WITH (autovacuum_freeze_min_age = 0, autovacuum_analyze_scale_factor = 0.05)',
        table_name, 'bronze_' || source_name, lo::timestamp, hi::timestamp, lo, hi);
END $$;

-- Make such a table the month's partition, in the caller's transaction. Readers and loaders of the parent go on.
CREATE FUNCTION bronze_attach_month(source_name TEXT, partition_date DATE, table_name TEXT) RETURNS VOID
LANGUAGE plpgsql SET search_path = public, pg_temp AS $$
DECLARE
    parent TEXT := 'bronze_' || source_name;
    part   TEXT := bronze_partition_name(source_name, partition_date);
    lo     DATE := date_trunc('month', partition_date::timestamp)::date;
    hi     DATE := (date_trunc('month', partition_date::timestamp) + interval '1 month')::date;
    found  RECORD;
    name   TEXT;
BEGIN
    IF octet_length(part) > 63 THEN
        RAISE EXCEPTION 'source name % is too long', source_name USING ERRCODE = 'name_too_long';
    END IF;
    IF part <> table_name THEN
        EXECUTE format('ALTER TABLE %I RENAME TO %I', table_name, part);
        FOR found IN SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                     WHERE i.indrelid = to_regclass(format('%I', part)) AND starts_with(c.relname, table_name) LOOP
            name := part || substr(found.relname, length(table_name) + 1);
            IF octet_length(name) > 63 THEN  -- a digest keeps shortened names apart
                name := left(name, 56) || '_' || left(md5(name), 6);
            END IF;
            EXECUTE format('ALTER INDEX %I RENAME TO %I', found.relname, name);
        END LOOP;
    END IF;
    EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)', parent, part, lo, hi);
    EXECUTE format('ALTER TABLE %I DROP CONSTRAINT month_key', part);
END $$;

-- Same name, arguments and result as in the template. Who may only insert may still make months: it runs with its owner's rights.
CREATE OR REPLACE FUNCTION create_partition_if_not_exists(source_name TEXT, partition_date DATE) RETURNS VOID
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent TEXT := 'bronze_' || source_name;
    part   TEXT := bronze_partition_name(source_name, partition_date);
BEGIN
    IF octet_length(part) > 63 THEN
        RAISE EXCEPTION 'source name % is too long', source_name USING ERRCODE = 'name_too_long';
    END IF;
    IF to_regclass(format('%I', part)) IS NOT NULL THEN RETURN; END IF;
    PERFORM pg_advisory_xact_lock(hashtextextended('bronze_ddl:' || parent, 0));
    -- a query, not to_regclass: an advisory lock does not refresh the catalog cache, a new snapshot does
    IF EXISTS (SELECT FROM pg_class c JOIN pg_class p USING (relnamespace)
               WHERE c.relname = part AND p.oid = to_regclass(format('%I', parent))) THEN RETURN; END IF;
    PERFORM bronze_month_table(source_name, partition_date, part);
    PERFORM bronze_attach_month(source_name, partition_date, part);
END $$;
REVOKE EXECUTE ON FUNCTION create_partition_if_not_exists(TEXT, DATE) FROM PUBLIC;

-- Undated rows whose time has become known move to their month: same id, version and content. The one change a row can see, and
-- all this function can do; it gives what moved, by month.
CREATE FUNCTION bronze_date_rows(source_name TEXT, row_ids BIGINT[], stamps TIMESTAMP[])
RETURNS TABLE (month DATE, content_hash BYTEA)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent  TEXT := 'bronze_' || source_name;
    undated TEXT := 'bronze_' || source_name || '_default';
    kept    TEXT;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO kept FROM pg_attribute
    WHERE attrelid = to_regclass(format('%I', parent)) AND attnum > 0 AND NOT attisdropped
      AND attname NOT IN ('source_timestamp', 'partition_key', 'metadata');
    PERFORM create_partition_if_not_exists(source_name, m) FROM
        (SELECT DISTINCT date_trunc('month', s)::date AS m FROM unnest(stamps) AS s) AS months;
    EXECUTE format('ALTER TABLE %I DISABLE TRIGGER %I', undated, parent || '_immutable');
    RETURN QUERY EXECUTE format(
        'WITH gone AS (DELETE FROM %1$I AS d USING unnest($1, $2) AS k (row_id, stamp) WHERE d.id = k.row_id RETURNING d.*, k.stamp), '
        'come AS (INSERT INTO %2$I (%3$s, metadata, source_timestamp, partition_key) '
        'SELECT %3$s, metadata || jsonb_build_object(''dated_at'', timezone(''UTC'', now())), stamp, stamp::date FROM gone '
        'RETURNING source_timestamp, content_hash) '
        'SELECT date_trunc(''month'', source_timestamp)::date, content_hash FROM come', undated, parent, kept)
        USING row_ids, stamps;
    EXECUTE format('ALTER TABLE %I ENABLE TRIGGER %I', undated, parent || '_immutable');
END $$;
REVOKE EXECUTE ON FUNCTION bronze_date_rows(TEXT, BIGINT[], TIMESTAMP[]) FROM PUBLIC;
