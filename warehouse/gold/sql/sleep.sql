-- Sleep. A session belongs to the local day of waking; minutes are elapsed time.

-- One row per session told by a source. `bed` and `wake` are on the person's clock: each end by the zone of its own instant, so
-- that a night on which clocks change, or a flight, shows the clock of either end; where the record states another offset than
-- the zone has, the record's. `main` is the night, the others are naps or not used; efficiency is minutes asleep per minutes
-- from start to end, percent, at most 100.
CREATE TABLE sleep_sessions AS
WITH told AS (
    SELECT
        local_date AS date, source, device, raw_id, start, "end", min(utc_offset) AS utc_offset,
        coalesce(bool_or(part = 'main'), false) AS main,
        coalesce(min(fate) FILTER (metric <> 'sleep_score'), min(fate)) AS fate,
        first(value ORDER BY value) FILTER (metric = 'sleep_duration') AS duration,
        first(value ORDER BY value) FILTER (metric = 'sleep_deep') AS deep,
        first(value ORDER BY value) FILTER (metric = 'sleep_light') AS light,
        first(value ORDER BY value) FILTER (metric = 'sleep_rem') AS rem,
        first(value ORDER BY value) FILTER (metric = 'sleep_awake') AS awake,
        first(value ORDER BY value) FILTER (metric = 'sleep_score') AS score
    FROM choices
    WHERE getvariable('kinds')[metric] = 'sleep' AND scope = 'session'
    GROUP BY local_date, source, device, raw_id, start, "end"
),
timed AS (
    SELECT
        told.*, coalesce(duration, CASE WHEN num_nonnulls > 0 THEN coalesce(deep, 0) + coalesce(light, 0) + coalesce(rem, 0) END)
            AS asleep,
        CASE WHEN stated THEN began.utc_offset ELSE told.utc_offset END AS bed_offset,
        CASE WHEN stated THEN ended.utc_offset ELSE told.utc_offset END AS wake_offset
    FROM told
    JOIN clock AS began ON began.second = epoch_us(told.start) // 1000000
    JOIN clock AS ended ON ended.second = epoch_us(told."end") // 1000000
    CROSS JOIN LATERAL (
        SELECT
            told.utc_offset IN (began.utc_offset, ended.utc_offset) AS stated,
            (deep IS NOT NULL)::INT + (light IS NOT NULL)::INT + (rem IS NOT NULL)::INT AS num_nonnulls
    )
)
SELECT
    date, source, device, raw_id, start, "end", local_time(start, bed_offset) AS bed, local_time("end", wake_offset) AS wake,
    main AND fate = 'accepted' AS main, fate = 'accepted' AS used, fate, asleep, deep, light, rem, awake,
    CASE WHEN "end" > start THEN least(100 * asleep / ((epoch_us("end") - epoch_us(start)) / 60e6), 100) END AS efficiency, score
FROM timed
ORDER BY date, start, source, raw_id;

-- How regular the nights of a month are: bed and wake time, in minutes after the noon before, and how much they vary (sample
-- standard deviation, minutes); the midpoint between them; minutes asleep of the main sleep. Social jetlag (Wittmann et al. 2006):
-- mean midpoint of free days less that of work days, minutes; free are nights that end on Saturday or Sunday.
-- Sleep Regularity Index (Phillips et al. 2017, doi 10.1038/s41598-017-03171-4): the share of minutes whose state, asleep or
-- awake, is that of 24 hours later, scaled so that 100 is always and 0 is as by chance. Asleep is every minute of the clock
-- within a session that counts, naps included (wakings within a session are not known of every source). Compared are the days
-- from noon to noon that end in two nights in a row, both with a main sleep; a pair belongs to the month of its second night.
CREATE TABLE sleep_regularity AS
WITH nights AS (
    SELECT
        date, month_of(date) AS month, asleep, isodow(date) >= 6 AS free,
        epoch(bed - (date - INTERVAL 12 HOUR)) / 60 AS bed,
        epoch(wake - (date - INTERVAL 12 HOUR)) / 60 AS wake
    FROM sleep_sessions
    WHERE main
),
asleep AS (
    SELECT DISTINCT unnest(generate_series(ceil(epoch(bed) / 60)::BIGINT, ceil(epoch(wake) / 60)::BIGINT - 1)) AS minute
    FROM sleep_sessions
    WHERE used
),
of_night AS (SELECT (minute - 720) // 1440 + 1 AS night, count(*) AS minutes FROM asleep GROUP BY night),
of_both AS (
    SELECT (first.minute - 720) // 1440 + 1 AS night, count(*) AS minutes
    FROM asleep AS first JOIN asleep AS second ON second.minute = first.minute + 1440
    GROUP BY night
),
pairs AS (
    SELECT
        second.month,
        1 - (one.minutes + two.minutes - 2 * coalesce(of_both.minutes, 0)) / 1440 AS alike
    FROM nights AS first
    JOIN nights AS second ON second.date = first.date + 1
    JOIN of_night AS one ON one.night = first.date - DATE '1970-01-01'
    JOIN of_night AS two ON two.night = second.date - DATE '1970-01-01'
    LEFT JOIN of_both ON of_both.night = one.night
    ORDER BY second.date
),
regularity AS (SELECT month, 200 * avg(alike) - 100 AS sri, count(*) AS n_sri FROM pairs GROUP BY month)
SELECT
    nights.month,
    count(*) AS nights,
    avg(bed) AS bed_mean,
    avg(wake) AS wake_mean,
    stddev_samp(bed) AS bed_sd,
    stddev_samp(wake) AS wake_sd,
    stddev_samp((bed + wake) / 2) AS midpoint_sd,
    stddev_samp(asleep) AS duration_sd,
    avg((bed + wake) / 2) FILTER (free) - avg((bed + wake) / 2) FILTER (NOT free) AS social_jetlag,
    any_value(regularity.sri) AS sri,
    coalesce(any_value(regularity.n_sri), 0) AS n_sri
FROM nights LEFT JOIN regularity USING (month)
GROUP BY nights.month
ORDER BY nights.month;
