-- What gold is made of, as temporary views and tables over the files the stage was handed; none of it stays in the file.
-- `choices` is every validated reading with what became of it, by day (processing/aggregators/choice.py).
CREATE TEMP VIEW choices AS SELECT * FROM read_parquet(getvariable('choices'));
CREATE TEMP VIEW record_files AS SELECT * FROM read_parquet(getvariable('records'), filename = 'file');
CREATE TEMP TABLE sources AS
    SELECT unnest(from_json(getvariable('sources'), '[{"source":"VARCHAR","file":"VARCHAR","letters":"VARCHAR"}]'), recursive := true);
CREATE TEMP TABLE metrics AS
    SELECT unnest(from_json(getvariable('metrics'), '[{"metric":"VARCHAR","kind":"VARCHAR"}]'), recursive := true);
CREATE TEMP TABLE raw_artifacts AS
    SELECT unnest(
        from_json(getvariable('raw_artifacts'), '[{"name":"VARCHAR","sha256":"VARCHAR","version":"BIGINT","arrived":"DOUBLE"}]'),
        recursive := true
    );
CREATE TEMP VIEW source_records AS
    SELECT sources.source, record_files.* EXCLUDE (file) FROM record_files JOIN sources USING (file);
-- Seconds since 1970 of which a local clock time is wanted: both ends of sleep, and the times of refused records.
CREATE TEMP VIEW instants AS
SELECT DISTINCT epoch_us(instant) // 1000000 AS second
FROM (
    SELECT unnest([start, "end"]) AS instant FROM choices WHERE scope = 'session'
    UNION ALL
    SELECT r.source_timestamp FROM source_records AS r
    SEMI JOIN (SELECT * FROM read_parquet(getvariable('rejected_records'))) AS refused
        ON refused.source = r.source AND refused.raw_id = r.raw_id
)
WHERE instant IS NOT NULL;
