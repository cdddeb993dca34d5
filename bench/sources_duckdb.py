"""DuckDB alone makes the days' heart-rate figures out of the very records our steps start from, and a comparison with ours.

Twice: `plain` is what anybody would write (mean, lowest, highest, number); `same` adds what our days have, too: minutes covered, and a
mean weighted by time where a gap exceeds ten minutes. Both read values out of the records' JSON, believe no sample of confidence 0 and
go by the person's zone; neither looks for records told twice, which ours does.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.sources_data import ZONE

_SAMPLES = f"""
    SELECT source_timestamp AS moment, timezone('{ZONE}', source_timestamp) AS clock, CAST(told[1] AS DOUBLE) AS bpm
    FROM (
        SELECT source_timestamp, json_extract_string(raw, ['$.value.bpm', '$.value.confidence']) AS told
        FROM read_parquet($records)
        WHERE status <> 'invalid' AND starts_with(raw_id, 'json.heart_rate/')
    )
    WHERE told[2] <> '0' AND CAST(told[1] AS DOUBLE) BETWEEN 20 AND 250
"""
PLAIN = f"""
    SELECT CAST(clock AS DATE) AS date, avg(bpm) AS avg_hr, min(bpm) AS min_hr, max(bpm) AS max_hr, count(*) AS hr_samples
    FROM ({_SAMPLES}) GROUP BY 1 ORDER BY 1
"""
SAME = f"""
    SELECT
        date,
        CASE WHEN max(gap) > 600 THEN sum(bpm * (before + after)) / sum(before + after) ELSE avg(bpm) END AS avg_hr,
        min(bpm) AS min_hr, max(bpm) AS max_hr, count(*) AS hr_samples, sum(before + after) / 60 AS hr_coverage_minutes
    FROM (
        SELECT
            *,
            if(gap IS NULL, least(since, 300), least(gap, 600) / 2) AS before,
            if(ahead IS NULL, least(86400 - since, 300), least(ahead, 600) / 2) AS after
        FROM (
            SELECT
                date, bpm, epoch(clock - date) AS since,
                epoch(moment - lag(moment) OVER day) AS gap, epoch(lead(moment) OVER day - moment) AS ahead
            FROM (SELECT *, CAST(clock AS DATE) AS date FROM ({_SAMPLES}))
            WINDOW day AS (PARTITION BY date ORDER BY moment)
        )
    )
    GROUP BY date ORDER BY date
"""


def make(which: str, records: str, out: str) -> None:
    """The days of the records, as a Parquet file."""
    import duckdb

    with duckdb.connect() as connection:
        sql = PLAIN if which == "plain" else SAME
        connection.execute(f"COPY ({sql}) TO '{out}' (FORMAT parquet)", {"records": records})


def compare(ours: str, theirs: str) -> None:
    """Print how many days there are and how many of them differ: by more than a rounding in means and minutes, at all in the rest."""
    import duckdb

    with duckdb.connect() as connection:
        columns = [row[0] for row in connection.execute("DESCRIBE SELECT * FROM read_parquet(?)", [theirs]).fetchall()[1:]]
        differs = " OR ".join(
            f"o.{name} IS NULL OR t.{name} IS NULL OR abs(o.{name} - t.{name}) > {_slack(name)}" for name in columns
        )
        sql = f"""
            SELECT count(*), count_if(o.date IS NULL OR t.date IS NULL OR {differs})
            FROM (FROM read_parquet($ours) WHERE hr_samples > 0) o FULL JOIN read_parquet($theirs) t USING (date)
        """
        print(*connection.execute(sql, {"ours": ours, "theirs": theirs}).fetchone() or ())


def _slack(name: str) -> float:
    return 0.0051 if name in ("avg_hr", "hr_coverage_minutes") else 0


if __name__ == "__main__":
    {"plain": lambda *a: make("plain", *a), "same": lambda *a: make("same", *a), "compare": compare}[sys.argv[1]](*sys.argv[2:])
