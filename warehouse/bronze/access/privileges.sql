-- Who may do what with the bronze objects. Run as bronze_owner; brings them to what is listed here and writes only what differs.
-- What is not listed is the owner's alone, partitions too: privileges on the parent suffice, and a month that was detached is closed.
DO $$
DECLARE
    statement TEXT;
BEGIN
    FOR statement IN
        WITH wanted (class, grantee, privileges) AS (VALUES
            ('bronze_<source>',                'bronze_ingest',    'SELECT,INSERT'),
            ('bronze_<source>',                'bronze_analyst',   'SELECT'),
            ('bronze_<source>_id_seq',         'bronze_ingest',    'USAGE'),
            ('bronze_<source>_known',          'bronze_ingest',    'SELECT,INSERT'),
            ('bronze_<source>_known',          'bronze_analyst',   'SELECT'),
            ('bronze_<source>_current',        'bronze_analyst',   'SELECT'),
            ('bronze_<source>_current',        'bronze_dashboard', 'SELECT'),
            ('bronze_catalog',                 'bronze_ingest',    'SELECT'),
            ('bronze_catalog',                 'bronze_analyst',   'SELECT'),
            ('bronze_catalog',                 'bronze_dashboard', 'SELECT'),
            ('bronze_growth',                  'bronze_ingest',    'SELECT'),
            ('bronze_growth',                  'bronze_analyst',   'SELECT'),
            ('bronze_growth',                  'bronze_dashboard', 'SELECT'),
            ('bronze_loads',                   'bronze_ingest',    'SELECT,INSERT'),
            ('bronze_loads',                   'bronze_analyst',   'SELECT'),
            ('bronze_loaded_months',           'bronze_ingest',    'SELECT,INSERT'),
            ('bronze_loaded_months',           'bronze_analyst',   'SELECT'),
            ('bronze_revisions',               'bronze_ingest',    'SELECT,INSERT'),
            ('bronze_revisions',               'bronze_analyst',   'SELECT'),
            ('bronze_quality',                 'bronze_ingest',    'SELECT,INSERT'),
            ('bronze_quality',                 'bronze_analyst',   'SELECT'),
            ('bronze_dead_letters',            'bronze_ingest',    'SELECT,INSERT'),
            ('bronze_dead_letters',            'bronze_analyst',   'SELECT'),
            ('bronze_retired',                 'bronze_ingest',    'SELECT'),
            ('bronze_retired',                 'bronze_analyst',   'SELECT'),
            ('bronze_migrations',              'bronze_ingest',    'SELECT'),
            ('bronze_migrations',              'bronze_analyst',   'SELECT'),
            ('create_partition_if_not_exists', 'bronze_ingest',    'EXECUTE'),
            ('bronze_date_rows',               'bronze_ingest',    'EXECUTE'),
            ('bronze_refuse_letters',          'bronze_ingest',    'EXECUTE'),
            ('bronze_settle_letters',          'bronze_ingest',    'EXECUTE'),
            ('bronze_jsonb_problem',           'bronze_ingest',    'EXECUTE'),
            ('bronze_jsonb_problem',           'bronze_analyst',   'EXECUTE')
        ), object (class, name, acl) AS (
            SELECT CASE
                       WHEN c.relkind = 'p' THEN 'bronze_<source>'
                       WHEN c.relkind = 'r' AND c.relname LIKE '%\_known' THEN 'bronze_<source>_known'
                       WHEN c.relkind = 'v' AND c.relname LIKE '%\_current' THEN 'bronze_<source>_current'
                       WHEN c.relkind = 'S' AND c.relname LIKE '%\_id\_seq' THEN 'bronze_<source>_id_seq'
                       ELSE c.relname
                   END,
                   format('%s public.%I', CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, c.relname), c.relacl
            FROM pg_class AS c
            WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p', 'v', 'S') AND c.relowner = 'bronze_owner'::regrole
              AND starts_with(c.relname, 'bronze_') AND NOT starts_with(c.relname, 'bronze_tmp_')
              AND c.relname <> 'bronze_dead_letters_id_seq' -- an identity column asks nobody
            UNION ALL
            SELECT p.proname, format('FUNCTION public.%I(%s)', p.proname, pg_get_function_identity_arguments(p.oid)),
                   COALESCE(p.proacl, acldefault('f', p.proowner))
            FROM pg_proc AS p
            WHERE p.pronamespace = 'public'::regnamespace AND p.proowner = 'bronze_owner'::regrole
              AND (starts_with(p.proname, 'bronze_') OR p.proname = 'create_partition_if_not_exists')
        ), asked (name, grantee, privilege) AS (
            SELECT o.name, w.grantee, unnest(string_to_array(w.privileges, ','))
            FROM object AS o JOIN wanted AS w USING (class)
        ), given (name, grantee, privilege) AS (
            SELECT o.name, COALESCE(r.rolname, 'PUBLIC'), a.privilege_type
            FROM object AS o, aclexplode(o.acl) AS a LEFT JOIN pg_roles AS r ON r.oid = a.grantee
            WHERE a.grantee = 0 OR r.rolname IN ('bronze_ingest', 'bronze_analyst', 'bronze_dashboard')
        ), lacking AS (TABLE asked EXCEPT TABLE given), surplus AS (TABLE given EXCEPT TABLE asked)
        SELECT format('GRANT %s ON %s TO %s', privilege, name, grantee) FROM lacking
        UNION ALL
        SELECT format('REVOKE %s ON %s FROM %s CASCADE', privilege, name, grantee) FROM surplus
        ORDER BY 1
    LOOP
        EXECUTE statement;
    END LOOP;
END $$;
