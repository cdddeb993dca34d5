-- Do two things go together? Pairs of values of the merged days, in the units of `daily`; `date` is the day of y, but for
-- steps_sleep_next_night the day of x, whose next night is meant. A night belongs to the day of waking, so its morning is the same day's.
-- Naps are left out of sleep: they come after that morning.
CREATE TABLE correlation_pairs AS
WITH lived AS (SELECT *, nullif(total_duration - coalesce(nap_duration, 0), 0) AS night FROM daily)
SELECT name, date, x, y FROM (
    SELECT 'sleep_systolic_morning' AS name, date, night AS x, systolic_morning AS y FROM lived
    UNION ALL SELECT 'sleep_diastolic_morning', date, night, diastolic_morning FROM lived
    UNION ALL SELECT 'efficiency_systolic_morning', date, sleep_efficiency, systolic_morning FROM daily
    UNION ALL SELECT 'steps_systolic_evening', date, steps, systolic_evening FROM daily
    UNION ALL
    SELECT 'steps_sleep_next_night', today.date, today.steps, tomorrow.night
    FROM lived AS today JOIN lived AS tomorrow ON tomorrow.date = today.date + 1
    UNION ALL SELECT 'resting_hr_systolic', date, resting_hr, systolic FROM daily
)
WHERE x IS NOT NULL AND y IS NOT NULL
ORDER BY name, date;

-- Pearson's r with its 95 % confidence interval by Fisher's z, Spearman's rank correlation (ties share their mean rank), and the
-- least-squares line y = slope x + intercept. Null under three pairs, or where one side does not vary. The interval takes days as
-- independent; going together is not being the cause.
CREATE TABLE correlations AS
WITH asked (place, name, x, y, meaning) AS (
    VALUES
        (1, 'sleep_systolic_morning', 'total_duration', 'systolic_morning', 'Sleep and systolic pressure the next morning'),
        (2, 'sleep_diastolic_morning', 'total_duration', 'diastolic_morning', 'Sleep and diastolic pressure the next morning'),
        (3, 'efficiency_systolic_morning', 'sleep_efficiency', 'systolic_morning',
            'Sleep efficiency and systolic pressure the next morning'),
        (4, 'steps_systolic_evening', 'steps', 'systolic_evening', 'Steps of the day and systolic pressure in the evening'),
        (5, 'steps_sleep_next_night', 'steps', 'total_duration', 'Steps of the day and sleep of the next night'),
        (6, 'resting_hr_systolic', 'resting_hr', 'systolic', 'Resting heart rate and systolic pressure of the day')
),
ranked AS (
    SELECT
        name, x, y,
        rank() OVER (PARTITION BY name ORDER BY x) + (count(*) OVER (PARTITION BY name, x) - 1) / 2 AS rank_x,
        rank() OVER (PARTITION BY name ORDER BY y) + (count(*) OVER (PARTITION BY name, y) - 1) / 2 AS rank_y
    FROM correlation_pairs
    ORDER BY name, date
),
found AS (
    SELECT
        name, count(*) AS n, count(*) >= 3 AND min(x) < max(x) AND min(y) < max(y) AS varies,
        greatest(least(corr(y, x), 1), -1) AS r, greatest(least(corr(rank_y, rank_x), 1), -1) AS spearman, regr_slope(y, x) AS slope, regr_intercept(y, x) AS intercept
    FROM ranked
    GROUP BY name
)
SELECT
    asked.name, asked.x, asked.y, asked.meaning, coalesce(n, 0) AS n,
    CASE WHEN varies THEN r END AS r,
    CASE WHEN varies THEN fisher_bound(r, n, -1) END AS ci_low,
    CASE WHEN varies THEN fisher_bound(r, n, 1) END AS ci_high,
    CASE WHEN varies THEN spearman END AS spearman,
    CASE WHEN varies THEN slope END AS slope,
    CASE WHEN varies THEN intercept END AS intercept
FROM asked LEFT JOIN found USING (name)
ORDER BY asked.place;
