-- What a person marked, and how the days before and after it differ.

-- The person's own days and the start of a medication, from the settings.
CREATE TABLE events AS
SELECT CAST(date AS DATE) AS date, label, kind
FROM (
    SELECT unnest(from_json(getvariable('events'), '[{"date":"VARCHAR","label":"VARCHAR","kind":"VARCHAR"}]'), recursive := true)
)
ORDER BY date, kind, label;

-- For every event: the days with a value in the window before it and in the window that begins with it, in the unit of `daily`.
-- Difference is after less before, with Welch's 95 % confidence interval; the effect size is Hedges' g with its 95 % interval.
-- Days are taken as independent, nothing else is held equal, and who measures more when unwell has other days: this describes,
-- it does not prove that the event did it.
CREATE TABLE medication_comparison AS
WITH compared AS (
    SELECT
        events.date AS event_date, events.label, events.kind, spans.window_days, asked.metric, asked.place,
        count(*) FILTER (v.date < events.date) AS n_before,
        count(*) FILTER (v.date >= events.date) AS n_after,
        avg(v.value) FILTER (v.date < events.date) AS mean_before,
        avg(v.value) FILTER (v.date >= events.date) AS mean_after,
        stddev_samp(v.value) FILTER (v.date < events.date) AS sd_before,
        stddev_samp(v.value) FILTER (v.date >= events.date) AS sd_after
    FROM events
    CROSS JOIN (VALUES (30), (90)) AS spans (window_days)
    CROSS JOIN (
        SELECT * FROM followed WHERE metric IN ('systolic', 'diastolic', 'pulse', 'resting_hr', 'total_duration')
    ) AS asked
    LEFT JOIN daily_values AS v
        ON v.metric = asked.metric
        AND v.date BETWEEN events.date - spans.window_days AND events.date + spans.window_days - 1
    GROUP BY ALL
),
judged AS (
    SELECT
        *, mean_after - mean_before AS difference, welch_margin(n_before, sd_before, n_after, sd_after) AS margin,
        hedges_g(n_before, mean_before, sd_before, n_after, mean_after, sd_after) AS effect_size
    FROM compared
)
SELECT
    event_date, label, kind, window_days, metric, n_before, n_after, mean_before, mean_after, difference,
    difference - margin AS ci_low, difference + margin AS ci_high, effect_size,
    effect_size - normal_975() * hedges_error(n_before, n_after, effect_size) AS effect_low,
    effect_size + normal_975() * hedges_error(n_before, n_after, effect_size) AS effect_high
FROM judged
ORDER BY event_date, kind, label, window_days, place;
