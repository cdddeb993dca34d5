-- Silver's share of the four roles of bronze (docs/bronze_roles.md): the owner owns it, ingest loads, analysts and dashboards read.
-- Idempotent; does nothing in a database without these roles.
DO $$
DECLARE
    found RECORD;
BEGIN
    IF to_regrole('bronze_owner') IS NULL OR to_regnamespace('silver') IS NULL THEN
        RETURN;
    END IF;
    IF (SELECT nspowner FROM pg_namespace WHERE nspname = 'silver') <> 'bronze_owner'::regrole THEN
        ALTER SCHEMA silver OWNER TO bronze_owner;
    END IF;
    FOR found IN
        SELECT relname FROM pg_class
        WHERE relnamespace = 'silver'::regnamespace AND relkind = 'r' AND relowner <> 'bronze_owner'::regrole
    LOOP
        EXECUTE format('ALTER TABLE silver.%I OWNER TO bronze_owner', found.relname);
    END LOOP;
    GRANT USAGE ON SCHEMA silver TO bronze_ingest, bronze_analyst, bronze_dashboard;
    GRANT SELECT ON ALL TABLES IN SCHEMA silver TO bronze_ingest, bronze_analyst;
    GRANT INSERT, UPDATE, DELETE ON silver.records, silver.checkpoints TO bronze_ingest;
    GRANT INSERT ON silver.runs TO bronze_ingest;
    GRANT SELECT ON silver.records TO bronze_dashboard;
END $$;
