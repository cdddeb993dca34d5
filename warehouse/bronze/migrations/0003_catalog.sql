-- What there is and how it grows, from the ledger and the system catalog: no row of a source is read. A view runs with its owner's
-- rights, so who may read it needs none on the tables.

-- One row per source and partition; retired months stay in it.
CREATE VIEW bronze_catalog AS
WITH parts AS (
    SELECT substr(p.relname, 8) AS source, c.oid, c.relname AS name,
           COALESCE(to_date(substring(pg_get_expr(c.relpartbound, c.oid) FROM 'FROM \(''(\d+-\d\d-\d\d)'), 'YYYY-MM-DD'),
                    DATE '0001-01-01') AS month
    FROM pg_inherits AS i JOIN pg_class AS p ON p.oid = i.inhparent JOIN pg_class AS c ON c.oid = i.inhrelid
    WHERE p.relkind = 'p' AND p.relnamespace = 'public'::regnamespace AND starts_with(p.relname, 'bronze_')
      AND NOT starts_with(p.relname, 'bronze_tmp_')
), loaded AS (
    SELECT m.source, m.month, sum(m.rows) AS rows, min(l.loaded_at) AS first_at, max(l.loaded_at) AS last_at,
           bool_or(l.environment = 'example') AS examples
    FROM bronze_loaded_months AS m
    LEFT JOIN bronze_loads AS l ON l.load_id = m.load_id AND l.target_table = 'bronze_' || m.source
    GROUP BY m.source, m.month
), found AS (
    SELECT source, month, p.oid, p.name, l.rows, l.first_at, l.last_at, l.examples, r.rows AS retired_rows, r.kept_as, r.retired_at,
           COALESCE(p.oid, to_regclass('public.' || quote_ident(r.kept_as))::oid) AS stored
    FROM parts AS p FULL JOIN loaded AS l USING (source, month) FULL JOIN bronze_retired AS r USING (source, month)
)
SELECT
    source, 'bronze_' || source AS table_name, COALESCE(name, kept_as) AS partition_name,
    NULLIF(month, DATE '0001-01-01') AS month,                              -- NULL: rows without a time
    CASE WHEN oid IS NOT NULL THEN 'attached' WHEN retired_at IS NULL THEN 'missing'
         WHEN stored IS NOT NULL THEN 'detached' ELSE 'dropped' END AS state,
    (COALESCE(rows, 0) - COALESCE(retired_rows, 0))::bigint AS rows,        -- in the table; retired ones are not
    COALESCE(pg_table_size(stored), 0) AS table_bytes, COALESCE(pg_indexes_size(stored), 0) AS index_bytes,
    first_at AT TIME ZONE 'UTC' AS first_loaded_at, last_at AT TIME ZONE 'UTC' AS last_loaded_at,
    COALESCE(examples, false) AS examples,                                  -- synthetic rows
    COALESCE(retired_rows, 0) AS retired_rows, retired_at AT TIME ZONE 'UTC' AS retired_at
FROM found;

-- One row per source and calendar month (UTC) in which something was loaded.
CREATE VIEW bronze_growth AS
SELECT source, date_trunc('month', loaded_at)::date AS month, count(*) AS loads, sum(rows_inserted)::bigint AS rows,
       sum(file_size)::bigint AS artifact_bytes                             -- of the records artifacts read
FROM bronze_loads WHERE target_table <> 'bronze_dead_letters'
GROUP BY source, date_trunc('month', loaded_at);
