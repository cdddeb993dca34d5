-- The records behind the readings and what was refused, for whoever asks a number where it comes from.

-- The records to keep: all but those that only carry heart-rate samples, of which there are very many. Identities are compared by
-- their 128-bit digest, in little memory.
CREATE TEMP MACRO record_key(source, raw_id) AS md5_number(source || '/' || raw_id);
CREATE TEMP TABLE kept AS
SELECT key, sum(CAST(record AS INTEGER)) > 1 AS contested
FROM (
    SELECT record_key(source, raw_id) AS key, metric = 'heart_rate' AS sample, metric <> 'heart_rate' AS telling, false AS record
    FROM readings
    UNION ALL
    SELECT record_key(source, raw_id), false, true, false FROM read_parquet(getvariable('rejected_readings'))
    UNION ALL
    SELECT record_key(source, raw_id), false, false, true FROM source_records
)
GROUP BY key
HAVING bool_or(record) AND (bool_or(telling) OR NOT bool_or(sample));

-- One row per record (source and raw_id): the newest revision that was not refused, else the refused one, as JSON text, with the
-- raw artifact it lay in and when that arrived. Only where there are several they are put in order: sorting all takes much memory.
CREATE TABLE records AS
WITH wanted AS (SELECT r.*, kept.contested FROM source_records AS r JOIN kept ON kept.key = record_key(r.source, r.raw_id)),
newest AS (
    SELECT * FROM wanted WHERE NOT contested
    UNION ALL
    SELECT * FROM wanted WHERE contested
    QUALIFY row_number() OVER (
        PARTITION BY source, raw_id ORDER BY status <> 'invalid' DESC, revision DESC, raw DESC, raw_artifact, record_index
    ) = 1
)
SELECT
    newest.source, newest.raw_id, newest.raw_artifact, raw_artifacts.version AS artifact_version, newest.raw_sha256,
    newest.position, make_timestamptz(CAST(raw_artifacts.arrived * 1000000 AS BIGINT)) AS arrived, newest.status, newest.raw
FROM newest
LEFT JOIN raw_artifacts ON raw_artifacts.name = newest.raw_artifact AND raw_artifacts.sha256 = newest.raw_sha256;

-- Everything that was refused, with the reason: bytes that are no record and records that say nothing usable (`record`), records
-- or parts of them that give no reading (`normalization`), readings nobody can believe (`validation`). The day is the local day
-- of the reading, else of its record; null where neither is known.
CREATE TABLE rejected AS
WITH said AS (
    SELECT refused.*, r.source_timestamp, coalesce(r.status = 'invalid', false) AS invalid
    FROM (SELECT * FROM read_parquet(getvariable('rejected_records'))) AS refused
    LEFT JOIN source_records AS r
        ON r.source = refused.source AND r.raw_id = refused.raw_id AND r.raw_artifact = refused.raw_artifact
        AND r.position = refused.position
    QUALIFY row_number() OVER (
        PARTITION BY refused.source, refused.raw_id, refused.reason, refused.field, refused.raw_artifact, refused.position
        ORDER BY r.status
    ) = 1
),
siblings AS (
    SELECT source, raw_id, min(kind) AS kind FROM readings
    WHERE (source, raw_id) IN (SELECT source, raw_id FROM said) GROUP BY ALL HAVING count(DISTINCT kind) = 1
),
only_kind AS (SELECT source, min(kind) AS kind FROM readings GROUP BY source HAVING count(DISTINCT kind) = 1)
SELECT
    local_date AS date, getvariable('kinds')[metric] AS kind, metric, value, unit, start, refused.source, refused.raw_id, reason,
    'validation' AS stage, raw_artifact, position
FROM read_parquet(getvariable('rejected_readings')) AS refused LEFT JOIN records USING (source, raw_id)
UNION ALL
SELECT
    CAST(local_time(said.source_timestamp, clock.utc_offset) AS DATE), coalesce(siblings.kind, only_kind.kind), NULL, NULL, NULL,
    said.source_timestamp, said.source, said.raw_id, said.reason,
    CASE WHEN said.invalid THEN 'record' ELSE 'normalization' END, said.raw_artifact, said.position
FROM said
LEFT JOIN siblings USING (source, raw_id)
LEFT JOIN only_kind ON only_kind.source = said.source
LEFT JOIN clock ON clock.second = epoch_us(said.source_timestamp) // 1000000
UNION ALL
SELECT
    NULL, NULL, NULL, NULL, NULL, NULL, sources.source, NULL, letters.reason, 'record', letters.raw_artifact, letters.position
FROM read_parquet(getvariable('dead_letters'), filename = 'letters') AS letters JOIN sources USING (letters)
ORDER BY ALL;

-- The same, counted.
CREATE TABLE rejections AS
SELECT source, kind, stage, reason, count(*) AS count, max(date) AS last_date
FROM rejected
GROUP BY ALL
ORDER BY source, stage, reason, kind;
