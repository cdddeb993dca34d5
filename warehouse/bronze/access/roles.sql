-- The four roles, what they may do with the schema and the database, and who owns the bronze objects. One transaction, idempotent,
-- PostgreSQL 15 or newer, no superuser. Whoever runs it needs CREATEROLE while a role is missing, and must own the database (or
-- hold its privileges on the schema public with grant option). People and services become members: docs/bronze_roles.md.
SET LOCAL search_path = pg_catalog, pg_temp;
SELECT pg_advisory_xact_lock(hashtextextended('bronze_migrations', 0));

DO $$
DECLARE
    role_name TEXT;
BEGIN
    FOREACH role_name IN ARRAY ARRAY['bronze_owner', 'bronze_ingest', 'bronze_analyst', 'bronze_dashboard'] LOOP
        IF to_regrole(role_name) IS NULL THEN
            BEGIN
                EXECUTE format('CREATE ROLE %I NOLOGIN', role_name);
            EXCEPTION WHEN duplicate_object OR unique_violation THEN
                NULL; -- roles belong to the server: another of its databases was first
            END;
        END IF;
    END LOOP;
END $$;

-- Nobody but the owner makes anything in the schema the functions with the owner's rights look into.
DO $$
DECLARE
    base TEXT := current_database();
BEGIN
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    GRANT USAGE ON SCHEMA public TO bronze_owner, bronze_ingest, bronze_analyst, bronze_dashboard;
    GRANT CREATE ON SCHEMA public TO bronze_owner;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO bronze_owner, bronze_ingest, bronze_analyst, bronze_dashboard', base);
    EXECUTE format('GRANT TEMPORARY ON DATABASE %I TO bronze_owner, bronze_ingest', base);
    -- who may not grant gets a warning, no error
    IF EXISTS (SELECT FROM pg_namespace, aclexplode(nspacl) WHERE nspname = 'public' AND grantee = 0 AND privilege_type = 'CREATE')
       OR NOT has_schema_privilege('bronze_owner', 'public', 'CREATE')
       OR NOT has_database_privilege('bronze_ingest', base, 'TEMPORARY') THEN
        RAISE EXCEPTION 'the schema public and the database belong to somebody else' USING ERRCODE = 'insufficient_privilege';
    END IF;
END $$;

-- Whoever runs this, and whoever loaded until now, goes on as a member of the owner; what members made is the owner's. Tables and
-- functions of anybody else that bear such a name stay his: a function would take the owner's rights along.
DO $$
DECLARE
    ours   OID := 'bronze_owner'::regrole;
    become TEXT := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
    member OID;
    found  RECORD;
BEGIN
    FOR member IN
        SELECT oid FROM pg_roles WHERE rolname = current_user
        UNION
        SELECT relowner FROM pg_class WHERE oid = to_regclass('public.bronze_migrations')
    LOOP
        IF NOT pg_has_role(member, ours, become) THEN
            EXECUTE format('GRANT bronze_owner TO %I', pg_get_userbyid(member));
        END IF;
    END LOOP;
    FOR found IN
        SELECT 'TABLE' AS kind, format('public.%I', relname) AS name, relowner AS owner FROM pg_class
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v') AND starts_with(relname, 'bronze_')
        UNION ALL
        SELECT 'FUNCTION', format('public.%I(%s)', proname, pg_get_function_identity_arguments(oid)), proowner FROM pg_proc
        WHERE pronamespace = 'public'::regnamespace
          AND (starts_with(proname, 'bronze_') OR proname = 'create_partition_if_not_exists')
    LOOP
        CONTINUE WHEN found.owner = ours OR NOT pg_has_role(found.owner, ours, 'MEMBER');
        EXECUTE format('ALTER %s %s OWNER TO bronze_owner', found.kind, found.name);
    END LOOP;
END $$;

SET LOCAL ROLE bronze_owner;
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
