"""Zepp Life exports as the vendor writes them, and what the source makes of them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pyzipper

from config.stage import Report
from ingestion.zepp_life.records import records
from processing.normalizers.zepp_life import normalize
from tests.stage_bench import StageBench, as_file

SAMPLES = Path(__file__).parent / "samples" / "zepp_life"
ACCOUNT, MADE = "1234567890", 1_772_500_000_000
HEADERS = {
    "ACTIVITY": "date,steps,distance,runDistance,calories",
    "ACTIVITY_MINUTE": "date,time,steps",
    "ACTIVITY_STAGE": "date,start,stop,distance,calories,steps",
    "HEARTRATE_AUTO": "date,time,heartRate",
    "HEARTRATE": "time,heartRate",
    "SLEEP": "date,deepSleepTime,shallowSleepTime,wakeTime,start,stop,REMTime,naps",
    "SLEEP_MINUTE": "date,time,stage,hr,respiratory_rate",
    "BODY": "time,weight,height,bmi,fatRate,bodyWaterRate,boneMass,metabolism,muscleRate,visceralFat",
    "SPORT": "type,startTime,sportTime(s),maxPace(/meter),minPace(/meter),distance(m),avgPace(/meter),calories(kcal)",
    "USER": "userId,gender,height,weight,nickName,avatar,birthday",
    "SPO2": "date,time,spo2",
}
SETTINGS: dict[str, Any] = {
    "timezone": "Europe/Warsaw",
    "timezone_overrides": [],
    "zepp_life_password": "",
    "zepp_life_password_id": "",
    "own_users": {},
}

Tables = Mapping[str, Sequence[str]]


def table(name: str, rows: Sequence[str], header: str | None = None) -> bytes:
    """One CSV with the byte-order mark all of the vendor's files have."""
    return b"\xef\xbb\xbf" + "\n".join([header or HEADERS[name], *rows, ""]).encode()


def tree(tables: Tables, account: str = ACCOUNT, made: int = MADE) -> dict[str, bytes]:
    """Path → bytes of an export."""
    return {f"{account}_{made}/{name}/{name}_{made}.csv": table(name, rows) for name, rows in tables.items()}


def packed(files: Mapping[str, bytes], password: str = "", bits: int = 256) -> bytes:
    """The zip; with a password as the vendor encrypts it, WinZip AES."""
    sink = io.BytesIO()
    if not password:
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, data in files.items():
                archive.writestr(name, data)
        return sink.getvalue()
    with pyzipper.AESZipFile(sink, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as locked:
        locked.setpassword(password.encode())
        locked.setencryption(pyzipper.WZ_AES, nbits=bits)
        for name, data in files.items():
            locked.writestr(name, data)
    return sink.getvalue()


class Zepp:
    """An inbox of exports."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._files = folder, dict[str, bytes]()

    def put(self, files: Mapping[str, bytes]) -> Zepp:
        """Drop files as they are."""
        self._files |= files
        return self

    def export(self, tables: Tables, account: str = ACCOUNT, made: int = MADE) -> Zepp:
        """Drop an unpacked export."""
        return self.put(tree(tables, account, made))

    def records(self, **given: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Report]:
        """(records with their raw parsed, dead letters, report)."""
        done, out = self._records(given)
        found = pq.read_table(out / "records").to_pylist()
        for record in found:
            record["raw"] = json.loads(record["raw"])
        return found, pq.read_table(out / "dead_letters").to_pylist(), done

    def readings(self, **given: Any) -> tuple[list[dict[str, Any]], list[dict[str, Any]], Report]:
        """(readings, rejected records, the normalizer's report)."""
        _, out = self._records(given)
        done, last = StageBench(self._folder / "normalized").run(normalize, {"records": out / "records"}, SETTINGS | given)
        return pq.read_table(last / "readings").to_pylist(), pq.read_table(last / "rejected").to_pylist(), done

    def _records(self, given: Mapping[str, Any]) -> tuple[Report, Path]:
        files = []
        for n, (name, data) in enumerate(sorted(self._files.items())):
            path = self._folder / f"file{n}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            files.append(as_file(path, f"raw/zepp_life/{name}"))
        return StageBench(self._folder / "records").run(records, {"raw": files}, SETTINGS | given)


def fates(done: Report) -> dict[str, int]:
    """The report's balance."""
    return done["balance"]["fates"]


def told(readings: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Metric → value, where each metric is read once."""
    assert len({r["metric"] for r in readings}) == len(readings)
    return {r["metric"]: r["value"] for r in readings}
