-- The UTC offset (seconds) the person lived at, for the seconds in `instants`.
CREATE TEMP TABLE clock AS
SELECT unnest(from_json(getvariable('clock'), '[{"second":"BIGINT","utc_offset":"INTEGER"}]'), recursive := true);
