"""The figures of every gold table equal an independent computation in pandas and plain Python, on the shipped year."""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from config.metrics import METRICS
from processing.aggregators.categories import category, names
from tests.made_once import example_year
from tests.test_gold_macros import distribution

FOLLOWED = [
    "systolic",
    "diastolic",
    "pulse",
    "avg_hr",
    "resting_hr",
    "total_duration",
    "sleep_efficiency",
    "steps",
    "weight",
    "spo2_avg",
]
TOLD_BY_FEW = ["hrv_sdnn", "hrv_rmssd", "respiration_avg", "body_temperature", "body_fat", "basal_energy"]
"""Followed when a source tells them; none of the year's does."""
SCHEMES = ["aha_2017", "esc_2024_office", "esc_2024_home"]


class Year:
    """The shipped example: what went into gold, and gold."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.daily = table(data / "processed/merged/merged_daily_metrics.parquet")
        self.by_day = {row["date"]: row for row in self.daily}
        self.choices = table(data / "processed/merged/choices.parquet")
        days = [row["date"] for row in self.daily]
        self.calendar = [min(days) + timedelta(days=n) for n in range((max(days) - min(days)).days + 1)]

    def gold(self, sql: str) -> list[dict[str, Any]]:
        with duckdb.connect(str(self.data / "gold/gold.duckdb"), read_only=True) as gold:
            gold.execute("SET TimeZone = 'UTC'")
            found: list[dict[str, Any]] = gold.sql(sql).to_arrow_table().to_pylist()
        return found

    def value(self, day: date, metric: str) -> float | None:
        return self.by_day.get(day, {}).get(metric)

    def values(self, days: Iterable[date], metric: str) -> list[float]:
        return [value for day in days if (value := self.value(day, metric)) is not None]

    def used(self, metric: str) -> list[dict[str, Any]]:
        return [row for row in self.choices if row["metric"] == metric and row["fate"] == "accepted"]


@pytest.fixture(scope="module")
def year(tmp_path_factory: pytest.TempPathFactory) -> Year:
    return Year(example_year(tmp_path_factory.mktemp("year") / "data"))


def table(path: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return rows


def same(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Row by row; real numbers to ten digits."""
    assert len(found) == len(wanted)
    for row, want in zip(found, wanted, strict=True):
        assert row.keys() == want.keys()
        for name, value in want.items():
            if isinstance(value, float):
                assert row[name] == pytest.approx(value, rel=1e-9, abs=1e-9), (name, row, want)
            else:
                assert row[name] == value, (name, row, want)


def mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def sd(values: list[float]) -> float | None:
    return statistics.stdev(values) if len(values) > 1 else None


def monday(day: date) -> date:
    return day - timedelta(days=day.weekday())


def test_the_readings_are_all_choices_with_their_kind_and_local_time(year: Year) -> None:
    found = year.gold("FROM readings")
    assert len(found) == len(year.choices)
    for row, want in zip(found, year.choices, strict=True):
        local = (want["start"] + timedelta(seconds=want["utc_offset"])).replace(tzinfo=None)
        kept = {
            name: want[name]
            for name in ("metric", "value", "unit", "start", "end", "scope", "source", "device", "raw_id", "fate", "part")
        }
        assert row == {"kind": METRICS[want["metric"]].kind, "local_start": local, "date": want["local_date"], **kept}


def test_daily_and_daily_by_source_are_the_merge_with_week_month_and_weekday(year: Year) -> None:
    for name, rows in (("daily", year.daily), ("daily_by_source", table(year.data / "processed/merged/daily_by_source.parquet"))):
        added = [
            {**row, "week": monday(row["date"]), "month": row["date"].replace(day=1), "weekday": row["date"].isoweekday()}
            for row in rows
        ]
        same(year.gold(f"FROM {name}"), added)
    assert {row["source"] for row in year.gold("FROM daily_by_source")} == {"bp_csv", "google_sheets", "mi_fitness"}


def test_the_measurements_are_whole_and_categorised_by_every_scheme(year: Year) -> None:
    events: dict[tuple[Any, ...], dict[str, dict[str, Any]]] = {}
    for row in year.choices:
        if METRICS[row["metric"]].kind == "blood_pressure" and row["scope"] != "day":
            events.setdefault((row["start"], row["source"], row["raw_id"]), {})[row["metric"]] = row
    wanted = []
    for (start, source, raw_id), said in sorted(events.items(), key=lambda item: item[0]):
        if "systolic" not in said:
            continue  # a pulse alone
        first, pair = said["systolic"], (said["systolic"]["value"], said["diastolic"]["value"])
        row = {
            "start": start,
            "local_start": (start + timedelta(seconds=first["utc_offset"])).replace(tzinfo=None),
            "date": first["local_date"],
        }
        row |= {"systolic": pair[0], "diastolic": pair[1], "pulse": said["pulse"]["value"] if "pulse" in said else None}
        row |= {"part": first["part"], "source": source, "device": first["device"], "raw_id": raw_id}
        row |= {"used": first["fate"] == "accepted", "fate": first["fate"]}
        wanted.append(row | {scheme: category(*pair, scheme) for scheme in SCHEMES})
    same(year.gold("FROM bp_readings"), wanted)
    assert {row["fate"] for row in wanted} == {"accepted", "duplicate", "unused:clock_reset"}


def test_parts_of_the_day_are_means_of_readings_that_count(year: Year) -> None:
    groups: dict[tuple[date, str], dict[str, list[float]]] = {}
    for metric in ("systolic", "diastolic", "pulse"):
        for row in year.used(metric):
            if row["part"]:
                groups.setdefault((row["local_date"], row["part"]), {}).setdefault(metric, []).append(row["value"])
    wanted = [
        {
            "date": day,
            "part": part,
            **{m: mean(said.get(m, [])) for m in ("systolic", "diastolic", "pulse")},
            "readings": len(said["systolic"]),
        }
        for (day, part), said in sorted(groups.items(), key=lambda item: (item[0][0], item[0][1] != "morning"))
        if "systolic" in said
    ]
    same(year.gold("FROM morning_evening"), wanted)


@pytest.mark.parametrize(("name", "first"), [("weekly", monday), ("monthly", lambda day: day.replace(day=1))])
def test_weeks_and_months_are_means_of_readings_and_of_days(year: Year, name: str, first: Any) -> None:
    wanted = []
    for period in sorted({first(day) for day in year.calendar}):
        days = [day for day in year.calendar if first(day) == period]
        bp = {
            m: [r["value"] for r in year.used(m) if first(r["local_date"]) == period] for m in ("systolic", "diastolic", "pulse")
        }
        row: dict[str, Any] = {"week" if name == "weekly" else "month": period, "days": len(days)}
        row["days_with_data"] = sum(day in year.by_day for day in days)
        row["bp_days"] = len({r["local_date"] for r in year.used("systolic") if first(r["local_date"]) == period})
        row["bp_readings"] = len(bp["systolic"])
        row |= {m: mean(values) for m, values in bp.items()} | {f"{m}_sd": sd(bp[m]) for m in ("systolic", "diastolic")}
        for m in ("systolic", "diastolic"):
            row |= {f"{m}_min": min(bp[m], default=None), f"{m}_max": max(bp[m], default=None)}
        row["bp_category"] = (
            category(round(row["systolic"], 2), round(row["diastolic"], 2), "aha_2017") if bp["systolic"] else None
        )
        row["avg_hr"] = mean(year.values(days, "avg_hr"))
        row |= {
            "min_hr": min(year.values(days, "min_hr"), default=None),
            "max_hr": max(year.values(days, "max_hr"), default=None),
        }
        stages = [f"sleep_{stage}_duration" for stage in ("deep", "light", "rem", "awake")]
        row |= {m: mean(year.values(days, m)) for m in ("resting_hr", "total_duration", *stages, "sleep_efficiency", "steps")}
        row["steps_total"] = sum(year.values(days, "steps"))
        row |= {m: mean(year.values(days, m)) for m in ("distance", "active_energy", "weight", "spo2_avg", *TOLD_BY_FEW)}
        wanted.append(row)
    same(year.gold(f"FROM {name}"), wanted)


def test_rolling_means_look_back_and_baselines_leave_the_day_out(year: Year) -> None:
    wanted = []
    for metric in FOLLOWED:
        for day in year.calendar:
            last_7, last_30 = (year.values((day - timedelta(days=n) for n in range(length)), metric) for length in (7, 30))
            before = year.values((day - timedelta(days=n) for n in range(1, 31)), metric)
            low, middle, high = np.percentile(before, [10, 50, 90]).tolist() if len(before) >= 10 else (None, None, None)
            value = year.value(day, metric)
            row = {
                "date": day,
                "metric": metric,
                "value": None if value is None else float(value),
                "mean_7": mean(last_7),
                "n_7": len(last_7),
            }
            row |= {
                "mean_30": mean(last_30),
                "n_30": len(last_30),
                "baseline": middle,
                "baseline_low": low,
                "baseline_high": high,
            }
            wanted.append(row | {"n_baseline": len(before)})
    same(year.gold("FROM rolling"), wanted)


def test_the_weekday_profile_has_student_intervals(year: Year) -> None:
    found = year.gold("FROM weekday_profile")
    wanted = []
    for metric in FOLLOWED:
        for weekday in range(1, 8):
            values = [float(v) for v in year.values((d for d in year.calendar if d.isoweekday() == weekday), metric)]
            if values:
                margin = student_975(len(values) - 1) * statistics.stdev(values) / math.sqrt(len(values))
                middle = statistics.fmean(values)
                row = {"metric": metric, "weekday": weekday, "n": len(values), "mean": middle, "sd": sd(values)}
                wanted.append(row | {"ci_low": middle - margin, "ci_high": middle + margin})
    assert len(wanted) == 70
    close(found, wanted)


def student_975(df: float) -> float:
    """By bisection of the distribution function."""
    low, high = 0.0, 700.0
    for _ in range(200):
        middle = (low + high) / 2
        low, high = (middle, high) if distribution(middle, df) < 0.975 else (low, middle)
    return low


def close(found: list[dict[str, Any]], wanted: list[dict[str, Any]]) -> None:
    """Like `same`, real numbers to six digits: where Student's quantile has a part."""
    rounded = [
        [{k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()} for row in rows] for rows in (found, wanted)
    ]
    assert rounded[0] == rounded[1]


def test_events_are_those_of_the_settings_and_the_medication_is_told_once(year: Year) -> None:
    assert [(row["date"].isoformat(), row["kind"]) for row in year.gold("FROM events")] == [
        ("2025-02-02", "illness"),
        ("2025-06-14", "medication"),
        ("2025-08-04", "holiday"),
        ("2025-09-20", "travel"),
    ]


def test_before_and_after_an_event_are_compared_by_welch_and_hedges(year: Year) -> None:
    wanted = []
    for event in year.gold("FROM events"):
        for window in (30, 90):
            for metric in ("systolic", "diastolic", "pulse", "resting_hr", "total_duration"):
                before = year.values((event["date"] - timedelta(days=n) for n in range(1, window + 1)), metric)
                after = year.values((event["date"] + timedelta(days=n) for n in range(window)), metric)
                row = {
                    "event_date": event["date"],
                    "label": event["label"],
                    "kind": event["kind"],
                    "window_days": window,
                    "metric": metric,
                }
                wanted.append(row | compared(before, after))
    close(year.gold("FROM medication_comparison"), wanted)
    tablets = next(r for r in wanted if r["kind"] == "medication" and r["metric"] == "systolic" and r["window_days"] == 30)
    assert tablets["ci_high"] < 0


def compared(before: list[float], after: list[float]) -> dict[str, Any]:
    n1, n2, m1, m2 = len(before), len(after), statistics.fmean(before), statistics.fmean(after)
    v1, v2 = statistics.variance(before), statistics.variance(after)
    error = math.sqrt(v1 / n1 + v2 / n2)
    df = error**4 / ((v1 / n1) ** 2 / (n1 - 1) + (v2 / n2) ** 2 / (n2 - 1))
    pooled = math.sqrt(((n1 - 1) * v1 + (n2 - 1) * v2) / (n1 + n2 - 2))
    d = (m2 - m1) / pooled
    j = math.gamma((n1 + n2 - 2) / 2) / (math.sqrt((n1 + n2 - 2) / 2) * math.gamma((n1 + n2 - 3) / 2))
    g, g_error = j * d, j * math.sqrt((n1 + n2) / (n1 * n2) + d * d / (2 * (n1 + n2)))
    margin = student_975(df) * error
    row = {"n_before": n1, "n_after": n2, "mean_before": m1, "mean_after": m2, "difference": m2 - m1}
    row |= {"ci_low": m2 - m1 - margin, "ci_high": m2 - m1 + margin, "effect_size": g}
    return row | {"effect_low": g - 1.959963984540054 * g_error, "effect_high": g + 1.959963984540054 * g_error}


def test_the_protocol_weeks_are_those_of_the_merge(year: Year) -> None:
    same(year.gold("FROM protocol_weeks"), table(year.data / "processed/merged/home_bp_protocol.parquet"))


def test_every_category_has_its_share_of_each_month(year: Year) -> None:
    wanted = []
    pairs = [(row["date"].replace(day=1), row) for row in year.gold("FROM bp_readings WHERE used")]
    for month in sorted({month for month, _ in pairs}):
        for scheme in sorted(SCHEMES):
            counts = Counter(row[scheme] for at, row in pairs if at == month)
            for position, name in enumerate(names(scheme)):
                row = {"month": month, "scheme": scheme, "category": name, "position": position, "readings": counts[name]}
                wanted.append(row | {"share": counts[name] / sum(counts.values())})
    same(year.gold("FROM category_shares"), wanted)


def test_hours_of_heart_rate_are_those_of_the_local_clock(year: Year) -> None:
    hours: dict[tuple[datetime, str, date], list[float]] = {}
    counted = {(row["source"], row["local_date"]) for row in year.used("heart_rate")}
    for row in year.choices:
        if row["metric"] == "heart_rate" and row["fate"] != "unused:clock_reset":
            local = (row["start"] + timedelta(seconds=row["utc_offset"])).replace(tzinfo=None, minute=0, second=0, microsecond=0)
            hours.setdefault((local, row["source"], row["local_date"]), []).append(row["value"])
    wanted = [
        {
            "date": day,
            "hour": hour,
            "source": source,
            "mean": mean(values),
            "min": min(values),
            "max": max(values),
            "samples": len(values),
            "used": (source, day) in counted,
        }
        for (hour, source, day), values in sorted(hours.items())
    ]
    same(year.gold("FROM heart_rate_hourly"), wanted)


def test_the_nights_are_those_of_the_daily_table(year: Year) -> None:
    nights = {row["date"]: row for row in year.gold("FROM sleep_sessions WHERE main")}
    told = {row["date"]: row for row in year.daily if row["bed_time"]}
    assert nights.keys() == told.keys()
    for day, night in nights.items():
        clock = [datetime.fromisoformat(told[day][name]).replace(tzinfo=None) for name in ("bed_time", "wake_time")]
        assert [night["bed"], night["wake"]] == clock
        assert round(night["efficiency"], 2) == told[day]["sleep_efficiency"]
    asleep: Counter[date] = Counter()
    for row in year.gold("FROM sleep_sessions WHERE used"):
        asleep[row["date"]] += row["asleep"]
    assert dict(asleep) == {day: row["total_duration"] for day, row in told.items()}


def test_regularity_counts_minutes_that_are_as_24_hours_later(year: Year) -> None:
    sessions = year.gold("FROM sleep_sessions WHERE used ORDER BY start")
    asleep: set[int] = set()
    for row in sessions:
        first, last = ((row[end] - datetime(1970, 1, 1)).total_seconds() / 60 for end in ("bed", "wake"))
        asleep |= set(range(math.ceil(first), math.ceil(last)))
    nights = {row["date"]: row for row in sessions if row["main"]}
    wanted = []
    for month in sorted({day.replace(day=1) for day in nights}):
        mine = [row for day, row in nights.items() if day.replace(day=1) == month]
        beds, wakes = ([minutes_after_noon(row, end) for row in mine] for end in ("bed", "wake"))
        middles = [(bed + wake) / 2 for bed, wake in zip(beds, wakes, strict=True)]
        free = [row["date"].isoweekday() >= 6 for row in mine]
        alike = []
        for row in mine:
            if row["date"] - timedelta(days=1) in nights:
                noon = (row["date"] - date(1970, 1, 1)).days * 1440 - 1440 - 720  # of the day before the first of the two nights
                alike.append(sum((m in asleep) == (m + 1440 in asleep) for m in range(noon, noon + 1440)) / 1440)
        row = {
            "month": month,
            "nights": len(mine),
            "bed_mean": mean(beds),
            "wake_mean": mean(wakes),
            "bed_sd": sd(beds),
            "wake_sd": sd(wakes),
        }
        row |= {"midpoint_sd": sd(middles), "duration_sd": sd([row["asleep"] for row in mine])}
        weekend, work = ([m for m, f in zip(middles, free, strict=True) if f is kind] for kind in (True, False))
        row["social_jetlag"] = statistics.fmean(weekend) - statistics.fmean(work)
        wanted.append(row | {"sri": 200 * statistics.fmean(alike) - 100, "n_sri": len(alike)})
    same(year.gold("FROM sleep_regularity"), wanted)


def minutes_after_noon(row: dict[str, Any], end: str) -> float:
    noon = datetime.combine(row["date"] - timedelta(days=1), datetime.min.time()) + timedelta(hours=12)
    seconds: float = (row[end] - noon).total_seconds()
    return seconds / 60


def test_coverage_counts_days_and_the_longest_gap(year: Year) -> None:
    wanted = []
    for month in sorted({day.replace(day=1) for day in year.calendar}):
        days = [day for day in year.calendar if day.replace(day=1) == month]
        for metric in FOLLOWED:
            present = "".join("x" if year.value(day, metric) is not None else "." for day in days)
            row = {"month": month, "metric": metric, "days": len(days), "days_with_data": present.count("x")}
            wanted.append(row | {"share": present.count("x") / len(days), "longest_gap": max(map(len, present.split("x")))})
    same(year.gold("FROM coverage"), wanted)


def test_freshness_counts_what_came_by_what_became_of_it(year: Year) -> None:
    refused = Counter[tuple[str, str]]()
    for kind in {metric.kind for metric in METRICS.values()}:
        for row in table(year.data / f"processed/validated/{kind}.rejected.parquet"):
            refused[row["source"], kind] += 1
    wanted = []
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in year.choices:
        groups.setdefault((row["source"], METRICS[row["metric"]].kind), []).append(row)
    for (source, kind), rows in sorted(groups.items()):
        dated = [row for row in rows if row["fate"] != "unused:clock_reset"]
        accepted = sum(row["fate"] == "accepted" for row in rows)
        row = {
            "source": source,
            "kind": kind,
            "first_date": min(r["local_date"] for r in dated),
            "last_date": max(r["local_date"] for r in dated),
        }
        row |= {"last_start": max(r["start"] for r in dated), "readings": len(rows) + refused[source, kind], "accepted": accepted}
        wanted.append(row | {"unused": len(rows) - accepted, "rejected": refused[source, kind]})
    same(year.gold("FROM freshness"), wanted)


def test_correlations_are_those_of_pandas(year: Year) -> None:
    asked = {
        "sleep_systolic_morning": ("total_duration", "systolic_morning", 0),
        "sleep_diastolic_morning": ("total_duration", "diastolic_morning", 0),
        "efficiency_systolic_morning": ("sleep_efficiency", "systolic_morning", 0),
        "steps_systolic_evening": ("steps", "systolic_evening", 0),
        "steps_sleep_next_night": ("steps", "total_duration", 1),
        "resting_hr_systolic": ("resting_hr", "systolic", 0),
    }

    def night(day: date, metric: str) -> float | None:
        """Sleep without the naps, which come after the morning that follows it."""
        value = year.value(day, metric)
        naps = year.value(day, "nap_duration") if metric == "total_duration" else None
        return value if value is None or naps is None else (value - naps or None)

    pairs, wanted = [], []
    for name, (x, y, later) in asked.items():
        both = [(day, night(day, x), night(day + timedelta(days=later), y)) for day in year.calendar]
        found = [(day, float(one), float(two)) for day, one, two in both if one is not None and two is not None]
        pairs += [{"name": name, "date": day, "x": one, "y": two} for day, one, two in found]
        frame = pd.DataFrame(found, columns=["date", "x", "y"])
        r, spread = frame["x"].corr(frame["y"]), 1.959963984540054 / math.sqrt(len(frame) - 3)
        slope = r * frame["y"].std() / frame["x"].std()
        row = {"name": name, "x": x, "y": y, "n": len(frame), "r": r}
        row |= {"ci_low": math.tanh(math.atanh(r) - spread), "ci_high": math.tanh(math.atanh(r) + spread)}
        row |= {"spearman": frame["x"].rank().corr(frame["y"].rank()), "slope": slope}
        wanted.append(row | {"intercept": frame["y"].mean() - slope * frame["x"].mean()})
    same(year.gold("SELECT * EXCLUDE (meaning) FROM correlations"), wanted)
    same(year.gold("FROM correlation_pairs"), sorted(pairs, key=lambda row: (row["name"], row["date"])))
    assert all(row["meaning"] for row in year.gold("FROM correlations"))


def test_everything_that_was_refused_is_there_with_its_reason(year: Year) -> None:
    kinds = {metric.kind for metric in METRICS.values()}
    readings = [(kind, row) for kind in kinds for row in table(year.data / f"processed/validated/{kind}.rejected.parquet")]
    found = year.gold("FROM rejected WHERE stage = 'validation'")
    assert Counter(
        (r["date"], r["kind"], r["metric"], r["value"], r["start"], r["source"], r["raw_id"], r["reason"]) for r in found
    ) == Counter(
        (r["local_date"], kind, r["metric"], r["value"], r["start"], r["source"], r["raw_id"], r["reason"])
        for kind, r in readings
    )
    assert all(row["raw_artifact"] and row["position"] for row in found)
    for source in ("google_sheets", "bp_csv", "mi_fitness"):
        records = table(year.data / f"processed/normalized/{source}.rejected.parquet")
        told = year.gold(f"FROM rejected WHERE stage <> 'validation' AND source = '{source}'")
        assert Counter((r["raw_id"], r["reason"], r["raw_artifact"], r["position"]) for r in told) == Counter(
            (r["raw_id"], r["reason"], r["raw_artifact"], r["position"]) for r in records
        )
        invalid = {row["raw_id"] for row in table(year.data / f"records/{source}.parquet") if row["status"] == "invalid"}
        assert {row["stage"] for row in told if row["raw_id"] in invalid} <= {"record"}
        assert {row["stage"] for row in told if row["raw_id"] not in invalid} <= {"normalization"}
    counted = year.gold("FROM rejections")
    assert sum(row["count"] for row in counted) == len(year.gold("FROM rejected"))
    assert {(r["stage"], r["reason"]) for r in counted} >= {
        ("record", "summary_row"),
        ("normalization", "zero"),
        ("validation", "device_sentinel"),
    }


def test_the_day_of_a_refused_record_is_the_persons_own(year: Year) -> None:
    zone = ZoneInfo("Europe/Warsaw")
    for row in year.gold("FROM rejected WHERE stage = 'normalization' AND start IS NOT NULL"):
        assert row["date"] == row["start"].astimezone(zone).date() or date(2025, 9, 20) <= row["date"] <= date(2025, 9, 27)


def test_the_records_are_the_newest_revisions_without_mere_heart_rate(year: Year) -> None:
    metrics: dict[tuple[str, str], set[str]] = {}
    for row in year.choices:
        metrics.setdefault((row["source"], row["raw_id"]), set()).add(row["metric"])
    refused = {(r["source"], r["raw_id"]) for r in year.gold("FROM rejected WHERE stage = 'validation'")}
    best: dict[tuple[str, str], tuple[Any, ...]] = {}
    for source in ("google_sheets", "bp_csv", "mi_fitness"):
        for row in table(year.data / f"records/{source}.parquet"):
            key = (source, row["raw_id"])
            mine = (row["status"] != "invalid", row["revision"], row["raw"], row)
            if key not in best or mine[:3] > best[key][:3]:
                best[key] = mine
    kept = {key: row[3] for key, row in best.items() if metrics.get(key) != {"heart_rate"} or key in refused}
    found = {(row["source"], row["raw_id"]): row for row in year.gold("FROM records")}
    assert found.keys() == kept.keys()
    for key, row in found.items():
        assert {name: row[name] for name in ("raw", "status")} == {name: kept[key][name] for name in ("raw", "status")}
        assert row["raw_artifact"].startswith(f"raw/{key[0]}/")
        assert row["artifact_version"] == 1
        assert row["arrived"] is not None
    assert any(json.loads(row["raw"])["Key"] == "heart_rate" for key, row in found.items() if key in refused)


def test_meta_says_whose_data_it_is(year: Year) -> None:
    (row,) = year.gold("FROM meta")
    assert row | {"version": ""} == {
        "timezone": "Europe/Warsaw",
        "bp_scheme": "aha_2017",
        "home_bp_protocol": "esh_2021",
        "morning_from": "04:00",
        "morning_to": "12:00",
        "evening_from": "18:00",
        "evening_to": "24:00",
        "first_date": year.calendar[0],
        "last_date": year.calendar[-1],
        "environment": "example",
        "synthetic": True,
        "steps_goal": 8000,
        "sleep_target_minutes": 450,
        "version": "",
    }
