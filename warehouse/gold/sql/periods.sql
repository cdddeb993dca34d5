-- Weeks (from Monday) and months. Every one between the first and the last day has a row, also without any data, so that a gap
-- is seen. Blood pressure: mean, sample standard deviation, extremes of the readings that count (not of days), mmHg; the category
-- is that of the mean by the person's scheme. Everything else is the mean of the days' values: sleep in minutes per night with
-- sleep, steps, metres and kcal per day with a value, kg, percent, ms, °C; min_hr and max_hr are the extremes, steps_total is the sum.
CREATE TEMP MACRO periods(grain) AS TABLE
WITH calendar AS (
    SELECT CAST(date_trunc(grain, date) AS DATE) AS period, count(*) AS days FROM days GROUP BY period
),
measured AS (
    SELECT
        CAST(date_trunc(grain, date) AS DATE) AS period,
        count(DISTINCT date) FILTER (metric = 'systolic') AS bp_days,
        count(*) FILTER (metric = 'systolic') AS bp_readings,
        avg(value) FILTER (metric = 'systolic') AS systolic,
        avg(value) FILTER (metric = 'diastolic') AS diastolic,
        avg(value) FILTER (metric = 'pulse') AS pulse,
        stddev_samp(value) FILTER (metric = 'systolic') AS systolic_sd,
        stddev_samp(value) FILTER (metric = 'diastolic') AS diastolic_sd,
        min(value) FILTER (metric = 'systolic') AS systolic_min,
        max(value) FILTER (metric = 'systolic') AS systolic_max,
        min(value) FILTER (metric = 'diastolic') AS diastolic_min,
        max(value) FILTER (metric = 'diastolic') AS diastolic_max
    FROM bp_used
    GROUP BY period
),
lived AS (
    SELECT
        CAST(date_trunc(grain, date) AS DATE) AS period,
        count(*) AS days_with_data,
        avg(avg_hr) AS avg_hr,
        min(min_hr) AS min_hr,
        max(max_hr) AS max_hr,
        avg(resting_hr) AS resting_hr,
        avg(total_duration) AS total_duration,
        avg(sleep_deep_duration) AS sleep_deep_duration,
        avg(sleep_light_duration) AS sleep_light_duration,
        avg(sleep_rem_duration) AS sleep_rem_duration,
        avg(sleep_awake_duration) AS sleep_awake_duration,
        avg(sleep_efficiency) AS sleep_efficiency,
        avg(steps) AS steps,
        CAST(sum(steps) AS BIGINT) AS steps_total,
        avg(distance) AS distance,
        avg(active_energy) AS active_energy,
        avg(weight) AS weight,
        avg(spo2_avg) AS spo2_avg,
        avg(hrv_sdnn) AS hrv_sdnn,
        avg(hrv_rmssd) AS hrv_rmssd,
        avg(respiration_avg) AS respiration_avg,
        avg(body_temperature) AS body_temperature,
        avg(body_fat) AS body_fat,
        avg(basal_energy) AS basal_energy
    FROM daily
    GROUP BY period
)
SELECT
    period, days, coalesce(days_with_data, 0) AS days_with_data, coalesce(bp_days, 0) AS bp_days,
    coalesce(bp_readings, 0) AS bp_readings, systolic, diastolic, pulse, systolic_sd, diastolic_sd, systolic_min, systolic_max,
    diastolic_min, diastolic_max, bp_category((SELECT bp_scheme FROM meta), systolic, diastolic) AS bp_category, avg_hr, min_hr,
    max_hr, resting_hr, total_duration, sleep_deep_duration, sleep_light_duration, sleep_rem_duration, sleep_awake_duration,
    sleep_efficiency, steps, steps_total, distance, active_energy, weight, spo2_avg, hrv_sdnn, hrv_rmssd, respiration_avg,
    body_temperature, body_fat, basal_energy
FROM calendar
LEFT JOIN measured USING (period)
LEFT JOIN lived USING (period)
ORDER BY period;

CREATE TABLE weekly AS SELECT period AS week, * EXCLUDE (period) FROM periods('week') ORDER BY week;
CREATE TABLE monthly AS SELECT period AS month, * EXCLUDE (period) FROM periods('month') ORDER BY month;
