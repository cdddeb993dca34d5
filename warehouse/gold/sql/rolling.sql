-- Each followed metric over time, one row per calendar day between the first and the last, in the unit it has in `daily`.
-- Means over the last 7 and 30 calendar days, the day itself included, of the n days that have a value. The baseline is the
-- person's own: median and 10th to 90th percentile (linear interpolation) of the 30 calendar days before the day, which itself
-- has no say; none while fewer than 10 of them have a value.
CREATE TABLE rolling AS
WITH every_day AS (
    SELECT days.date, followed.metric, followed.place, daily_values.value
    FROM days CROSS JOIN followed
    LEFT JOIN daily_values ON daily_values.date = days.date AND daily_values.metric = followed.metric
),
windowed AS (
    SELECT
        date, metric, place, value,
        avg(value) OVER last_7 AS mean_7, count(value) OVER last_7 AS n_7,
        avg(value) OVER last_30 AS mean_30, count(value) OVER last_30 AS n_30,
        quantile_cont(value, 0.5) OVER before_30 AS baseline,
        quantile_cont(value, 0.1) OVER before_30 AS baseline_low,
        quantile_cont(value, 0.9) OVER before_30 AS baseline_high,
        count(value) OVER before_30 AS n_baseline
    FROM every_day
    WINDOW
        last_7 AS (PARTITION BY metric ORDER BY date ROWS BETWEEN 6 PRECEDING AND CURRENT ROW),
        last_30 AS (PARTITION BY metric ORDER BY date ROWS BETWEEN 29 PRECEDING AND CURRENT ROW),
        before_30 AS (PARTITION BY metric ORDER BY date ROWS BETWEEN 30 PRECEDING AND 1 PRECEDING)
)
SELECT
    date, metric, value, mean_7, n_7, mean_30, n_30,
    CASE WHEN n_baseline >= 10 THEN baseline END AS baseline,
    CASE WHEN n_baseline >= 10 THEN baseline_low END AS baseline_low,
    CASE WHEN n_baseline >= 10 THEN baseline_high END AS baseline_high,
    n_baseline
FROM windowed
ORDER BY place, date;

-- Each followed metric by the day of the week (1 = Monday): mean and sample standard deviation of the days' values, and the 95 %
-- confidence interval of the mean by Student's t. It takes days as independent; days in a row are not quite.
CREATE TABLE weekday_profile AS
SELECT
    metric, weekday, n, mean, sd, mean - mean_margin(n, sd) AS ci_low, mean + mean_margin(n, sd) AS ci_high
FROM (
    SELECT
        metric, place, CAST(isodow(date) AS TINYINT) AS weekday, count(*) AS n, avg(value) AS mean, stddev_samp(value) AS sd
    FROM daily_values JOIN followed USING (metric)
    GROUP BY ALL
)
ORDER BY place, weekday;
