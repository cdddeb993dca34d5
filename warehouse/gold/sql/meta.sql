-- One row: whose data this is and how it was read, as far as a chart has to know. Clock times are local, as HH:MM.
CREATE TABLE meta AS
SELECT
    said.timezone,
    said.bp_scheme,
    said.home_bp_protocol,
    said.morning_from,
    said.morning_to,
    said.evening_from,
    said.evening_to,
    (SELECT min(local_date) FROM choices WHERE fate <> 'unused:clock_reset') AS first_date,
    (SELECT max(local_date) FROM choices WHERE fate <> 'unused:clock_reset') AS last_date,
    said.environment,
    said.environment = 'example' AS synthetic,
    said.steps_goal,
    said.sleep_target_minutes,
    said.version
FROM (
    SELECT unnest(from_json(getvariable('meta'), '{
        "timezone": "VARCHAR", "bp_scheme": "VARCHAR", "home_bp_protocol": "VARCHAR",
        "morning_from": "VARCHAR", "morning_to": "VARCHAR", "evening_from": "VARCHAR", "evening_to": "VARCHAR",
        "environment": "VARCHAR", "steps_goal": "INTEGER", "sleep_target_minutes": "INTEGER", "version": "VARCHAR"
    }'))
) AS said;
