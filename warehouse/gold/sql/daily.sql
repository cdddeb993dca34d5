-- The day as it was merged, and as each source alone tells it: the columns of the daily table, units and rules in
-- docs/domain.md, means written with two decimals. Added here: the Monday of the week, the first of the month and the weekday.
CREATE TABLE daily AS
SELECT *, week_of(date) AS week, month_of(date) AS month, CAST(isodow(date) AS TINYINT) AS weekday
FROM read_parquet(getvariable('daily'))
ORDER BY date;

CREATE TABLE daily_by_source AS
SELECT *, week_of(date) AS week, month_of(date) AS month, CAST(isodow(date) AS TINYINT) AS weekday
FROM read_parquet(getvariable('by_source'))
ORDER BY source, date;

-- Every calendar day from the first to the last that has a row, also those in between that have none.
CREATE TEMP TABLE days AS
SELECT CAST(unnest(generate_series(min(date), max(date), INTERVAL 1 DAY)) AS DATE) AS date FROM daily ORDER BY ALL;

-- The columns that are followed over time, one value a row; units as in `daily`. Those from `hrv_sdnn` on are told by few devices:
-- they are followed when any day has one.
CREATE TEMP TABLE followed (metric VARCHAR, place INTEGER);
INSERT INTO followed VALUES
    ('systolic', 1), ('diastolic', 2), ('pulse', 3), ('avg_hr', 4), ('resting_hr', 5), ('total_duration', 6),
    ('sleep_efficiency', 7), ('steps', 8), ('weight', 9), ('spo2_avg', 10), ('hrv_sdnn', 11), ('hrv_rmssd', 12),
    ('respiration_avg', 13), ('body_temperature', 14), ('body_fat', 15), ('basal_energy', 16);
CREATE TEMP TABLE daily_values AS
SELECT unpivoted.date, unpivoted.metric, unpivoted.value
FROM (
    UNPIVOT (
        SELECT
            date, systolic, diastolic, pulse, avg_hr, resting_hr, total_duration, sleep_efficiency, CAST(steps AS DOUBLE) AS steps,
            weight, spo2_avg, hrv_sdnn, hrv_rmssd, respiration_avg, body_temperature, body_fat, basal_energy
        FROM daily
    ) ON
        systolic, diastolic, pulse, avg_hr, resting_hr, total_duration, sleep_efficiency, steps, weight, spo2_avg, hrv_sdnn,
        hrv_rmssd, respiration_avg, body_temperature, body_fat, basal_energy
    INTO NAME metric VALUE value
) AS unpivoted
ORDER BY ALL;
DELETE FROM followed WHERE place > 10 AND metric NOT IN (SELECT metric FROM daily_values);
