-- Blood pressure, mmHg and beats per minute.

-- One row per measurement of every source: its pair of pressures, its pulse if it has one, and its category by every scheme (a
-- single measurement's category is no diagnosis). Neither a vendor's average of a day nor a pulse alone is one. `used`: its pressures count;
-- the fate says why not. The pulse of a repeated measurement may count where the kept one has none: see `readings`.
CREATE TABLE bp_readings AS
SELECT
    start, local_start, date, systolic, diastolic, pulse, part, source, device, raw_id, fate = 'accepted' AS used, fate,
    bp_aha_2017(systolic, diastolic) AS aha_2017,
    bp_esc_2024_office(systolic, diastolic) AS esc_2024_office,
    bp_esc_2024_home(systolic, diastolic) AS esc_2024_home
FROM (
    SELECT
        start, local_start, date, source, raw_id,
        min(device) AS device,
        first(value ORDER BY value) FILTER (metric = 'systolic') AS systolic,
        first(value ORDER BY value) FILTER (metric = 'diastolic') AS diastolic,
        first(value ORDER BY value) FILTER (metric = 'pulse') AS pulse,
        min(part) AS part,
        min(fate) FILTER (metric = 'systolic') AS fate
    FROM readings
    WHERE kind = 'blood_pressure' AND scope <> 'day'
    GROUP BY ALL
)
WHERE systolic IS NOT NULL AND diastolic IS NOT NULL
ORDER BY start, source, raw_id;

-- Readings that count, for the means below: a table of its own, so that sums are taken in one order.
CREATE TEMP TABLE bp_used AS
SELECT date, metric, value, part FROM readings
WHERE kind = 'blood_pressure' AND fate = 'accepted'
ORDER BY date, metric, start, source, raw_id;

-- Means of the morning's and the evening's readings of a day; the parts are clock windows, see `meta`. A part in which only a
-- pulse was taken has no row.
CREATE TABLE morning_evening AS
SELECT
    date, part,
    avg(value) FILTER (metric = 'systolic') AS systolic,
    avg(value) FILTER (metric = 'diastolic') AS diastolic,
    avg(value) FILTER (metric = 'pulse') AS pulse,
    count(*) FILTER (metric = 'systolic') AS readings
FROM bp_used
WHERE part IN ('morning', 'evening')
GROUP BY date, part
HAVING count(*) FILTER (metric = 'systolic') > 0
ORDER BY date, part DESC;

-- How a month's readings spread over the categories of each scheme: every category has a row in a month with readings, also
-- with a share of 0. Shares lie between 0 and 1 and add up to 1.
CREATE TABLE category_shares AS
WITH judged AS (
    UNPIVOT (SELECT month_of(date) AS month, aha_2017, esc_2024_office, esc_2024_home FROM bp_readings WHERE used)
    ON aha_2017, esc_2024_office, esc_2024_home INTO NAME scheme VALUE category
),
months AS (SELECT month, scheme, count(*) AS readings FROM judged GROUP BY ALL)
SELECT
    months.month, months.scheme, steps.category, steps.position, count(judged.month) AS readings,
    count(judged.month) / months.readings AS share
FROM months
JOIN bp_categories() AS steps USING (scheme)
LEFT JOIN judged ON judged.month = months.month AND judged.scheme = months.scheme AND judged.category = steps.category
GROUP BY months.month, months.scheme, steps.category, steps.position, months.readings
ORDER BY months.month, months.scheme, steps.position;

-- The averages of the home protocol's measuring weeks, as the merge made them (processing/aggregators/home_protocol.py).
CREATE TABLE protocol_weeks AS SELECT * FROM read_parquet(getvariable('protocol')) ORDER BY start;
