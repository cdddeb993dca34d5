-- Every validated reading with what became of it in the merge: `fate` is `accepted` when it counts, else `duplicate` or
-- `unused:<why>` (processing/aggregators/fates.py); `part` of the day is morning, evening, main or nap. Units are UCUM.
-- In the order of the choices table: by day, metric and time.
SET VARIABLE kinds = (SELECT map(list(metric), list(kind)) FROM metrics);
CREATE TABLE readings AS
SELECT
    getvariable('kinds')[metric] AS kind, metric, value, unit, start, "end", local_time(start, utc_offset) AS local_start,
    local_date AS date, scope, source, device, raw_id, fate, part
FROM choices;
