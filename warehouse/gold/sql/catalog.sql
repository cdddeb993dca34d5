-- What every table and column means: warehouse/gold/catalog.csv, and config/daily.py for the columns of the daily table. An empty
-- column name stands for the table itself. Tables that share columns share their lines. In the order of the columns.
CREATE TABLE catalog (table_name VARCHAR, column_name VARCHAR, meaning VARCHAR);
INSERT INTO catalog
WITH lines AS (
    SELECT unnest(string_split(tables, ' ')) AS table_name, coalesce(column_name, '') AS column_name, meaning
    FROM read_csv(
        getvariable('catalog'), header = true, delim = ',', quote = '"', escape = '"', auto_detect = false,
        columns = {'tables': 'VARCHAR', 'column_name': 'VARCHAR', 'meaning': 'VARCHAR'}
    )
    UNION ALL
    SELECT unnest(['daily', 'daily_by_source']), said.name, said.meaning
    FROM (SELECT unnest(from_json(getvariable('daily_columns'), '[{"name":"VARCHAR","meaning":"VARCHAR"}]'), recursive := true)) AS said
)
SELECT lines.table_name, lines.column_name, lines.meaning
FROM lines
LEFT JOIN duckdb_columns() AS built ON built.table_name = lines.table_name AND built.column_name = lines.column_name
ORDER BY lines.table_name, coalesce(built.column_index, 0), lines.column_name;
