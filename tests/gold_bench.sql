-- The derived tables of gold_bench.py, from its tables bp_readings, life, hours, sleep_sessions and events.
CREATE TABLE meta AS SELECT 'Europe/Warsaw' AS timezone, 'aha_2017' AS bp_scheme, 'esh_2021' AS home_bp_protocol, '04:00' AS morning_from,
    '12:00' AS morning_to, '18:00' AS evening_from, '24:00' AS evening_to, $FIRST AS first_date, $LAST AS last_date,
    'example' AS environment, true AS synthetic, 8000 AS steps_goal, 450 AS sleep_target_minutes, 'bench' AS version;

CREATE MACRO pressure(who) AS TABLE
SELECT date, avg(systolic) AS systolic, avg(diastolic) AS diastolic, avg(pulse) AS pulse, min(systolic) AS systolic_min,
    max(systolic) AS systolic_max, avg(systolic) FILTER (WHERE part = 'morning') AS systolic_morning,
    avg(diastolic) FILTER (WHERE part = 'morning') AS diastolic_morning, avg(systolic) FILTER (WHERE part = 'evening') AS systolic_evening,
    avg(diastolic) FILTER (WHERE part = 'evening') AS diastolic_evening, count(*) AS bp_readings,
    avg(diastolic) + (avg(systolic) - avg(diastolic)) / 3 AS map, avg(systolic) - avg(diastolic) AS pulse_pressure,
    mode(aha_2017) AS bp_category, min(diastolic) AS diastolic_min, max(diastolic) AS diastolic_max
FROM bp_readings WHERE source = who OR who = '' GROUP BY date;

CREATE TABLE told AS
    SELECT '' AS source, * FROM life LEFT JOIN (SELECT * FROM pressure('')) USING (date)
    UNION ALL BY NAME SELECT 'mi_fitness' AS source, * FROM life
    UNION ALL BY NAME SELECT 'google_sheets' AS source, *, $NO_LIFE FROM pressure('google_sheets')
    UNION ALL BY NAME SELECT 'bp_csv' AS source, *, $NO_LIFE FROM pressure('bp_csv');
CREATE TABLE daily_by_source AS
SELECT *, NULL::VARCHAR AS bed_time, NULL::VARCHAR AS wake_time, 'blood_pressure=google_sheets/day;sleep=mi_fitness/day' AS sources,
    systolic IS NULL OR avg_hr IS NULL AS missing_data_flag, 'aha_2017' AS bp_scheme,
    CASE WHEN date = $EVENT THEN 'New medication' END AS event, date_trunc('week', date)::DATE AS week,
    date_trunc('month', date)::DATE AS month, isodow(date)::TINYINT AS weekday
FROM told WHERE coalesce(systolic, avg_hr) IS NOT NULL ORDER BY source, date;
CREATE TABLE daily AS SELECT * EXCLUDE (source) FROM daily_by_source WHERE source = '';
DELETE FROM daily_by_source WHERE source = '';
DROP TABLE told;

CREATE MACRO periods(unit) AS TABLE
SELECT date_trunc(unit, date)::DATE AS period, count(*) AS days, count(*) AS days_with_data, count(systolic) AS bp_days,
    sum(bp_readings)::BIGINT AS bp_readings, sum(systolic * bp_readings) / sum(bp_readings) AS systolic,
    sum(diastolic * bp_readings) / sum(bp_readings) AS diastolic, sum(pulse * bp_readings) / sum(bp_readings) AS pulse,
    stddev(systolic) AS systolic_sd, stddev(diastolic) AS diastolic_sd, min(systolic_min) AS systolic_min, max(systolic_max) AS systolic_max,
    min(diastolic_min) AS diastolic_min, max(diastolic_max) AS diastolic_max, mode(bp_category) AS bp_category, avg(avg_hr) AS avg_hr,
    min(min_hr) AS min_hr, max(max_hr) AS max_hr, avg(resting_hr) AS resting_hr, avg(total_duration) AS total_duration,
    avg(sleep_deep_duration) AS sleep_deep_duration, avg(sleep_light_duration) AS sleep_light_duration,
    avg(sleep_rem_duration) AS sleep_rem_duration, avg(sleep_awake_duration) AS sleep_awake_duration,
    avg(sleep_efficiency) AS sleep_efficiency, avg(steps) AS steps, sum(steps) AS steps_total, sum(distance) AS distance,
    sum(active_energy) AS active_energy, avg(weight) AS weight, avg(spo2_avg) AS spo2_avg, avg(hrv_sdnn) AS hrv_sdnn,
    avg(hrv_rmssd) AS hrv_rmssd, avg(respiration_avg) AS respiration_avg, avg(body_temperature) AS body_temperature,
    avg(body_fat) AS body_fat, avg(basal_energy) AS basal_energy
FROM daily GROUP BY period;
CREATE TABLE weekly AS SELECT period AS week, * EXCLUDE (period) FROM periods('week') ORDER BY week;
CREATE TABLE monthly AS SELECT period AS month, * EXCLUDE (period) FROM periods('month') ORDER BY month;

CREATE TABLE long AS UNPIVOT (SELECT date, weekday, $METRICS FROM daily)
    ON COLUMNS(* EXCLUDE (date, weekday)) INTO NAME metric VALUE value;
CREATE TABLE rolling AS
SELECT date, metric, value, avg(value) OVER seven AS mean_7, count(value) OVER seven AS n_7, avg(value) OVER thirty AS mean_30,
    count(value) OVER thirty AS n_30, CASE WHEN count(value) OVER past >= 10 THEN median(value) OVER past END AS baseline,
    CASE WHEN count(value) OVER past >= 10 THEN quantile_cont(value, 0.1) OVER past END AS baseline_low,
    CASE WHEN count(value) OVER past >= 10 THEN quantile_cont(value, 0.9) OVER past END AS baseline_high, count(value) OVER past AS n_baseline
FROM (SELECT day::DATE AS date FROM range($FIRST::TIMESTAMP, $LAST + INTERVAL 1 DAY, INTERVAL 1 DAY) AS every(day))
    CROSS JOIN (SELECT DISTINCT metric FROM long) LEFT JOIN long USING (date, metric)
WINDOW seven AS (PARTITION BY metric ORDER BY date ROWS 6 PRECEDING), thirty AS (PARTITION BY metric ORDER BY date ROWS 29 PRECEDING),
    past AS (PARTITION BY metric ORDER BY date ROWS BETWEEN 30 PRECEDING AND 1 PRECEDING);

CREATE TABLE heart_rate_hourly AS
SELECT date, date + to_hours("of") AS hour, 'mi_fitness' AS source, avg_hr + 8 * sin("of" / 4.0) AS mean, avg_hr - 12 AS min, avg_hr + 25 AS max,
    60 AS samples, true AS used FROM hours;
CREATE TABLE morning_evening AS
SELECT date, part, avg(systolic) AS systolic, avg(diastolic) AS diastolic, avg(pulse) AS pulse, count(*) AS readings
FROM bp_readings WHERE used AND part IS NOT NULL GROUP BY ALL ORDER BY date, part;
CREATE TABLE weekday_profile AS
SELECT metric, weekday, count(*) AS n, avg(value) AS mean, stddev(value) AS sd, avg(value) - 2 * stddev(value) / sqrt(count(*)) AS ci_low,
    avg(value) + 2 * stddev(value) / sqrt(count(*)) AS ci_high FROM long GROUP BY ALL ORDER BY metric, weekday;
CREATE TABLE medication_comparison AS
WITH sides AS (
    SELECT "window" AS window_days, metric, avg(value) FILTER (WHERE date < $EVENT) AS before, avg(value) FILTER (WHERE date >= $EVENT) AS after,
        count(*) FILTER (WHERE date < $EVENT) AS n_before, count(*) FILTER (WHERE date >= $EVENT) AS n_after, stddev(value) AS sd
    FROM long, (VALUES (30), (90)) AS windows("window")
    WHERE metric IN ('systolic', 'diastolic', 'pulse', 'resting_hr', 'total_duration')
        AND date >= $EVENT - to_days("window") AND date < $EVENT + to_days("window") GROUP BY ALL)
SELECT $EVENT AS event_date, 'New medication' AS label, 'med_start_date' AS kind, window_days, metric, n_before, n_after, before AS mean_before,
    after AS mean_after, after - before AS difference, after - before - sd / 3 AS ci_low, after - before + sd / 3 AS ci_high,
    (after - before) / sd AS effect_size, (after - before) / sd - 0.3 AS effect_low, (after - before) / sd + 0.3 AS effect_high
FROM sides ORDER BY window_days, metric;
CREATE TABLE protocol_weeks AS
SELECT 'esh_2021' AS protocol, week AS start, max(date) AS "end", count(*) AS n_readings, 3 AS n_discarded, count(DISTINCT hour(local_start)) AS n_sittings,
    count(DISTINCT date) AS n_days, count(DISTINCT date) FILTER (WHERE part = 'evening') AS n_full_days,
    avg(systolic) AS systolic, avg(diastolic) AS diastolic, avg(pulse) AS pulse, avg(systolic) AS systolic_of_days,
    avg(diastolic) AS diastolic_of_days, avg(pulse) AS pulse_of_days, avg(systolic) FILTER (WHERE part = 'morning') AS systolic_morning,
    avg(diastolic) FILTER (WHERE part = 'morning') AS diastolic_morning, avg(pulse) FILTER (WHERE part = 'morning') AS pulse_morning,
    avg(systolic) FILTER (WHERE part = 'evening') AS systolic_evening, avg(diastolic) FILTER (WHERE part = 'evening') AS diastolic_evening,
    avg(pulse) FILTER (WHERE part = 'evening') AS pulse_evening, CASE WHEN count(*) >= 12 THEN mode(esc_2024_home) END AS category,
    count(*) >= 12 AS valid, CASE WHEN count(*) < 12 THEN 'too_few_readings' END AS reason
FROM (SELECT *, date_trunc('week', date)::DATE AS week FROM bp_readings WHERE used AND part IS NOT NULL AND isodow(date) > 1)
GROUP BY week ORDER BY week;
CREATE TABLE category_shares (month DATE, scheme VARCHAR, category VARCHAR, position INTEGER, readings BIGINT, share DOUBLE);
CREATE TABLE sleep_regularity AS
SELECT date_trunc('month', date)::DATE AS month, count(*) AS nights, avg(date_diff('minute', date - INTERVAL 12 HOUR, bed)) AS bed_mean,
    avg(date_diff('minute', date - INTERVAL 12 HOUR, wake)) AS wake_mean, stddev(date_diff('minute', date - INTERVAL 12 HOUR, bed)) AS bed_sd,
    stddev(date_diff('minute', date - INTERVAL 12 HOUR, wake)) AS wake_sd, 20.0 AS midpoint_sd, stddev(asleep) AS duration_sd,
    12.0 AS social_jetlag, 78.0 AS sri, count(*) - 1 AS n_sri FROM sleep_sessions WHERE main GROUP BY 1 ORDER BY 1;
CREATE TABLE coverage AS
SELECT date_trunc('month', date)::DATE AS month, metric, count(*) AS days, count(value) AS days_with_data, count(value) / count(*) AS share,
    0 AS longest_gap FROM rolling GROUP BY ALL ORDER BY month, metric;
CREATE TABLE freshness AS
SELECT source, 'blood_pressure' AS kind, min(date) AS first_date, max(date) AS last_date, max(start) AS last_start, count(*) AS readings,
    count(*) AS accepted, 0 AS unused, 0 AS rejected FROM bp_readings GROUP BY source;
CREATE TABLE readings AS
SELECT 'blood_pressure' AS kind, unnest(['systolic', 'diastolic', 'pulse']) AS metric, unnest([systolic, diastolic, pulse]) AS value,
    unnest(['mm[Hg]', 'mm[Hg]', '/min']) AS unit, start, start AS "end", local_start, date, 'sample' AS scope, source, device, raw_id, fate, part
FROM bp_readings;
CREATE TABLE rejected AS
SELECT date, 'blood_pressure' AS kind, 'systolic' AS metric, 400.0 AS value, 'mm[Hg]' AS unit, start, source, 'rejected-' || raw_id AS raw_id,
    'raw/google_sheets/log.json' AS raw_artifact, 'implausible' AS reason, 'validation' AS stage, '1' AS position
FROM bp_readings WHERE hash(raw_id) % 200 = 0;
CREATE TABLE rejections AS
SELECT source, kind, stage, reason, count(*) AS count, max(date) AS last_date FROM rejected GROUP BY ALL;
CREATE TABLE records AS
SELECT source, raw_id, 'raw/' || source || '/log.json' AS raw_artifact, 1 AS artifact_version, repeat('a', 64) AS raw_sha256,
    row_number() OVER ()::VARCHAR AS position, start AS arrived, 'valid' AS status,
    '{"systolic": ' || systolic::INTEGER || ', "diastolic": ' || diastolic::INTEGER || '}' AS raw FROM bp_readings;
CREATE TABLE correlation_pairs AS
SELECT 'sleep_systolic_morning' AS name, date, total_duration AS x, systolic_morning AS y FROM daily
WHERE total_duration IS NOT NULL AND systolic_morning IS NOT NULL;
CREATE TABLE correlations AS
SELECT name, 'total_duration' AS x, 'systolic_morning' AS y, 'Sleep and the next morning''s systolic pressure' AS meaning, count(*) AS n,
    corr(pairs.x, pairs.y) AS r, corr(pairs.x, pairs.y) - 0.1 AS ci_low, corr(pairs.x, pairs.y) + 0.1 AS ci_high, corr(pairs.x, pairs.y) AS spearman,
    regr_slope(pairs.y, pairs.x) AS slope, regr_intercept(pairs.y, pairs.x) AS intercept FROM correlation_pairs AS pairs GROUP BY name;
CREATE TABLE catalog AS SELECT 'daily' AS table_name, 'systolic' AS column_name, 'Mean of the day''s measurements, mmHg.' AS meaning;
DROP TABLE long; DROP TABLE life; DROP TABLE hours;
DROP MACRO TABLE pressure; DROP MACRO TABLE periods;
