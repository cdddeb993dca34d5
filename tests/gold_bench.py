"""Gold made up in seconds: tables in the shapes of docs/gold.md for any number of years of invented, repeatable data.

`build(path, years=10)` writes a DuckDB file, `changed_year(path, …)` one in which something is otherwise. The figures are
invented, but they hang together: daily figures are the means of the readings beside them, weeks and months of the days. There
are days without data, one gap of twelve days (`GAP`), a second source, a medication event in the middle.
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import numpy as np
import pandas as pd

from serving.gold import Gold, open_file

LAST = date(2025, 12, 31)
"""The last day of the invented data."""
GAP = (date(2025, 11, 10), date(2025, 11, 21))
"""Not a single value from the first to the last of these days."""
METRICS = (
    "systolic, diastolic, pulse, avg_hr, resting_hr, total_duration, sleep_efficiency, steps, weight, spo2_avg, hrv_sdnn, hrv_rmssd, "
    "respiration_avg, body_temperature, body_fat, basal_energy"
)
_GRADES = {
    "aha_2017": [
        ("normal", 0, 0),
        ("elevated", 120, 999),
        ("stage_1", 130, 80),
        ("stage_2", 140, 90),
        ("severe", 180.01, 120.01),
    ],
    "esc_2024_office": [("non_elevated", 0, 0), ("elevated", 120, 70), ("hypertension", 140, 90)],
    "esc_2024_home": [("non_elevated", 0, 0), ("elevated", 120, 70), ("hypertension", 135, 85)],
}


def build(path: Path, years: int = 1, *, last: date = LAST, seed: int = 7) -> Path:
    """A DuckDB file with the tables of gold for so many years up to `last`."""
    with duckdb.connect(str(path)) as connection:
        _fill(connection, years, last=last, seed=seed)
    return path


def changed_year(path: Path, *statements: str) -> Gold:
    """A year, opened, in which these statements have changed something."""
    path.write_bytes(_year())
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)
    return open_file(str(path))


@cache
def _year() -> bytes:
    """The file of a year, made once in a process."""
    with TemporaryDirectory() as folder:
        return build(Path(folder) / "gold.duckdb").read_bytes()


def _fill(connection: duckdb.DuckDBPyConnection, years: int, *, last: date, seed: int) -> None:
    """Create the tables in an open database."""
    random = np.random.default_rng(seed)
    days = [d.date() for d in pd.date_range(last - timedelta(days=round(365.25 * years) - 1), last)]
    event = days[len(days) // 2]
    readings = _pressure(random, days, event)
    daily = _daily(random, days, event)
    for name, frame in (("bp_readings", readings), ("life", daily), ("sleep_sessions", _nights(random, daily))):
        _table(connection, name, frame)
    hours = daily.loc[daily["avg_hr"].notna(), ["date", "avg_hr"]].tail(400)
    _table(connection, "hours", hours.merge(pd.DataFrame({"of": range(24)}), how="cross"))
    _table(connection, "events", pd.DataFrame([(event, "New medication", "med_start_date")], columns=["date", "label", "kind"]))
    life = [name for name in daily.columns if name != "date"]
    words = {
        "$FIRST": f"DATE '{days[0]}'",
        "$LAST": f"DATE '{last}'",
        "$EVENT": f"DATE '{event}'",
        "$METRICS": METRICS,
        "$NO_LIFE": ", ".join(f"NULL::DOUBLE AS {name}" for name in life),
        "$BEFORE": f"DATE '{event - timedelta(days=30)}'",
        "$AFTER": f"DATE '{event + timedelta(days=30)}'",
    }
    sql = (Path(__file__).parent / "gold_bench.sql").read_text()
    for word, meant in words.items():
        sql = sql.replace(word, meant)
    connection.execute(sql)
    for scheme in _GRADES:
        connection.execute(
            f"INSERT INTO category_shares SELECT date_trunc('month', date)::DATE, '{scheme}', {scheme}, {_position(scheme)}, count(*), "
            f"count(*) / sum(count(*)) OVER (PARTITION BY date_trunc('month', date)) FROM bp_readings WHERE used "
            f"GROUP BY date_trunc('month', date), {scheme}"
        )


def _table(connection: duckdb.DuckDBPyConnection, name: str, frame: pd.DataFrame) -> None:
    connection.register("frame", frame)
    connection.execute(f"CREATE TABLE {name} AS SELECT * REPLACE (date::DATE AS date) FROM frame")
    connection.unregister("frame")


def _position(scheme: str) -> str:
    return f"CASE {scheme} " + " ".join(f"WHEN '{name}' THEN {at}" for at, (name, _, _) in enumerate(_GRADES[scheme])) + " END"


def category(systolic: float, diastolic: float, scheme: str) -> str:
    """By the bounds written above, which a test holds against the product's."""
    return [name for name, above, beside in _GRADES[scheme] if systolic >= above or diastolic >= beside][-1]


def _empty(day: date, share: float, chance: float) -> bool:
    return GAP[0] <= day <= GAP[1] or chance > share


def _pressure(random: Any, days: list[date], event: date) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    for day in days:
        if _empty(day, 0.9, random.random()):
            continue
        base = (132 if day < event else 125) + 3 * np.sin(day.toordinal() / 58)
        for part, hour, count in (
            ("morning", 7, 2),
            ("evening", 20, int(random.integers(0, 3))),
            (None, 14, int(random.random() < 0.05)),
        ):
            for nth in range(count):
                systolic = float(round(base + (3 if part == "morning" else 0) + random.normal(0, 6)))
                diastolic = float(round(systolic * 0.62 + random.normal(0, 3)))
                local = pd.Timestamp(day) + pd.Timedelta(hours=hour, minutes=int(random.integers(0, 40)) + 2 * nth)
                source = "bp_csv" if random.random() < 0.08 else "google_sheets"
                rows.append(
                    {
                        "start": (local - pd.Timedelta(hours=1)).tz_localize("UTC"),
                        "local_start": local,
                        "date": day,
                        "systolic": systolic,
                        "diastolic": diastolic,
                        "pulse": float(random.integers(58, 82)),
                        "part": part,
                        "source": source,
                        "device": "cuff",
                        "raw_id": f"{source}-{len(rows)}",
                        "used": True,
                        "fate": "accepted",
                        **{scheme: category(systolic, diastolic, scheme) for scheme in _GRADES},
                    }
                )
    return pd.DataFrame(rows)


def _daily(random: Any, days: list[date], event: date) -> pd.DataFrame:
    """What a band and a scale tell of each day; blood pressure is joined to it later."""
    n = len(days)
    worn = np.array([not _empty(day, 0.95, random.random()) for day in days])
    hr = random.normal(72, 3, n) - np.array([2.0 if day >= event else 0.0 for day in days])
    deep, light, rem, awake = (random.normal(mean, sd, n).clip(5) for mean, sd in ((80, 12), (240, 25), (95, 15), (22, 8)))
    steps = random.gamma(9, 900, n).round()
    frame = pd.DataFrame(
        {
            "date": days,
            "avg_hr": hr,
            "min_hr": hr - 20 - random.integers(0, 6, n),
            "max_hr": hr + 50 + random.integers(0, 30, n),
            "hr_samples": np.full(n, 1200.0),
            "resting_hr": hr - 12 + random.normal(0, 1, n),
            "total_duration": deep + light + rem,
            "nap_duration": 0.0,
            "sleep_deep_duration": deep,
            "sleep_light_duration": light,
            "sleep_rem_duration": rem,
            "sleep_awake_duration": awake,
            "sleep_efficiency": 100 * (deep + light + rem) / (deep + light + rem + awake),
            "sleep_score": random.integers(60, 95, n).astype(float),
            "steps": steps,
            "distance": steps * 0.72,
            "active_energy": steps * 0.04,
            "spo2_avg": random.normal(96.5, 0.6, n),
            "hr_coverage_minutes": 1300.0,
            "weight": 78 + np.cumsum(random.normal(0, 0.04, n)),
        }
    )
    told = {"hrv_sdnn": 122 - hr, "hrv_rmssd": 110 - hr, "respiration_avg": hr / 5, "body_temperature": 35.5 + hr / 72}
    frame = frame.assign(**told, body_fat=frame["weight"] / 4, basal_energy=frame["weight"] * 22)
    frame.loc[~worn, frame.columns[1:]] = np.nan
    frame.loc[[day.weekday() != 0 for day in days], ["weight", "body_fat"]] = np.nan
    return frame


def _nights(random: Any, daily: pd.DataFrame) -> pd.DataFrame:
    slept = daily[daily["total_duration"].notna()].reset_index(drop=True)
    bed = pd.to_datetime(slept["date"]) - pd.to_timedelta(random.normal(55, 30, len(slept)).round(), unit="min")
    wake = bed + pd.to_timedelta((slept["total_duration"] + slept["sleep_awake_duration"]).round(), unit="min")
    return pd.DataFrame(
        {
            "date": slept["date"],
            "source": "mi_fitness",
            "device": "band",
            "raw_id": [f"night-{n}" for n in range(len(slept))],
            "start": (bed - pd.Timedelta(hours=1)).dt.tz_localize("UTC"),
            "end": (wake - pd.Timedelta(hours=1)).dt.tz_localize("UTC"),
            "bed": bed,
            "wake": wake,
            "main": True,
            "used": True,
            "fate": "accepted",
            "asleep": slept["total_duration"],
            "deep": slept["sleep_deep_duration"],
            "light": slept["sleep_light_duration"],
            "rem": slept["sleep_rem_duration"],
            "awake": slept["sleep_awake_duration"],
            "efficiency": slept["sleep_efficiency"],
            "score": slept["sleep_score"],
        }
    )
