-- Heart rate by the hour of the local clock, beats per minute, each source by itself: samples only, no daily figures, none
-- whose device had lost the clock. The hour that autumn tells twice is one row. `used`: of the source whose samples make the day's
-- figures in `daily`; where several sources have samples, only one has a say.
CREATE TABLE heart_rate_hourly AS
SELECT
    date, date_trunc('hour', local_start) AS hour, source, avg(value) AS mean, min(value) AS min, max(value) AS max,
    count(*) AS samples, bool_or(fate = 'accepted') AS used
FROM readings
WHERE metric = 'heart_rate' AND fate <> 'unused:clock_reset'
GROUP BY ALL
ORDER BY hour, source, date;
