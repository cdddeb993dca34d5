-- How complete and how fresh the data is.

-- Of each month's calendar days (within the range of data) those with a value, as a share between 0 and 1, and the longest run
-- of days without one inside the month.
CREATE TABLE coverage AS
WITH every_day AS (
    SELECT month_of(days.date) AS month, days.date, followed.metric, followed.place, v.value IS NOT NULL AS present
    FROM days CROSS JOIN followed
    LEFT JOIN daily_values AS v ON v.date = days.date AND v.metric = followed.metric
),
runs AS (
    SELECT *, count(*) FILTER (present) OVER (PARTITION BY month, metric ORDER BY date) AS run FROM every_day
),
gaps AS (SELECT month, metric, run, count(*) AS length FROM runs WHERE NOT present GROUP BY ALL),
longest AS (SELECT month, metric, max(length) AS longest_gap FROM gaps GROUP BY ALL)
SELECT
    month, metric, count(*) AS days, count(*) FILTER (present) AS days_with_data,
    count(*) FILTER (present) / count(*) AS share, coalesce(any_value(longest_gap), 0) AS longest_gap
FROM every_day LEFT JOIN longest USING (month, metric)
GROUP BY month, metric, place
ORDER BY month, place;

-- What each source last brought, by kind: first and last day, the last instant, and how many readings were accepted (they count),
-- unused (valid, but another one counts) or rejected by validation; `readings` is all three together.
CREATE TABLE freshness AS
WITH valid AS (
    SELECT
        source, kind,
        min(date) FILTER (fate <> 'unused:clock_reset') AS first_date,
        max(date) FILTER (fate <> 'unused:clock_reset') AS last_date,
        max(start) FILTER (fate <> 'unused:clock_reset') AS last_start,
        count(*) FILTER (fate = 'accepted') AS accepted,
        count(*) FILTER (fate <> 'accepted') AS unused
    FROM readings
    GROUP BY source, kind
),
refused AS (SELECT source, kind, count(*) AS rejected FROM rejected WHERE stage = 'validation' GROUP BY source, kind)
SELECT
    source, kind, first_date, last_date, last_start,
    coalesce(accepted, 0) + coalesce(unused, 0) + coalesce(rejected, 0) AS readings,
    coalesce(accepted, 0) AS accepted, coalesce(unused, 0) AS unused, coalesce(rejected, 0) AS rejected
FROM valid FULL JOIN refused USING (source, kind)
ORDER BY source, kind;
