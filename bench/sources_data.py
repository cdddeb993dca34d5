"""Exports of any size in the vendors' own layouts, written as a stream: Apple Health's `export.xml` and Google Takeout of Fitbit.

An export of so many days begins on a fixed day; one of a day more tells the same days in the same words, but for what a vendor changes
from export to export (the moment of export, device pointers, the archive's name). Equal arguments give equal bytes.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import IO, NamedTuple
from zoneinfo import ZoneInfo

ZONE = "Europe/Warsaw"
FIRST = date(2020, 3, 28)
"""The day before clocks change: the second day of every export has 23 hours."""
CLOCK = [f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}" for second in range(86_400)]
_ZIP_TIME = (2025, 1, 1, 0, 0, 0)


def day_of(number: int) -> date:
    """The `number`th day of an export, from 0."""
    return FIRST + timedelta(days=number)


def midnight(number: int) -> int:
    """When the local day begins, seconds since 1970."""
    return int(datetime.combine(day_of(number), time(), ZoneInfo(ZONE)).timestamp())


class _Kind(NamedTuple):
    """Records of one type by one device, so many a day."""

    type: str
    unit: str
    source: str
    a_day: int
    length: int
    """Seconds from start to end."""
    low: float
    """The least value; they go up by `step`, `steps` times."""
    step: float
    steps: int
    metadata: str = ""
    """What stands within the element."""
    device: bool = False


_WATCH, _PHONE = "Apple Watch", "iPhone"
_CONTEXT = '  <MetadataEntry key="HKMetadataKeyHeartRateMotionContext" value="1"/>\n'
_PRESSURE = '  <MetadataEntry key="HKMetadataKeyBarometricPressure" value="100324 Pa"/>\n'
_BEATS = "".join(
    f'   <InstantaneousBeatsPerMinute bpm="{60 + n}" time="7:52:{n:02},{n:02}&#160;AM"/>\n' for n in range(1, 11)
).join(["  <HeartRateVariabilityMetadataList>\n", "  </HeartRateVariabilityMetadataList>\n"])
_KINDS = (
    _Kind("BodyMass", "kg", "Scale", 1, 0, 71, 0.1, 40),
    _Kind("HeartRate", "count/min", _WATCH, 420, 0, 52, 1, 61, _CONTEXT, device=True),
    _Kind("OxygenSaturation", "%", _WATCH, 30, 0, 0.93, 0.01, 7, _PRESSURE, device=True),
    _Kind("RespiratoryRate", "count/min", _WATCH, 45, 0, 11, 0.5, 14),
    _Kind("StepCount", "count", _PHONE, 90, 300, 9, 17, 31),
    _Kind("StepCount", "count", _WATCH, 190, 180, 5, 13, 41),
    _Kind("DistanceWalkingRunning", "km", _PHONE, 70, 300, 0.01, 0.013, 31),
    _Kind("DistanceWalkingRunning", "km", _WATCH, 330, 60, 0.004, 0.011, 37),
    _Kind("BasalEnergyBurned", "kcal", _WATCH, 900, 60, 0.9, 0.017, 43),
    _Kind("ActiveEnergyBurned", "kcal", _WATCH, 1150, 50, 0.02, 0.113, 47),
    _Kind("PhysicalEffort", "kcal/hr·kg", _WATCH, 350, 60, 1, 0.1, 40),
    _Kind("EnvironmentalAudioExposure", "dBASPL", _WATCH, 48, 900, 40, 0.7, 50),
    _Kind("HeartRateVariabilitySDNN", "ms", _WATCH, 8, 60, 24, 1.7, 41, _BEATS),
    _Kind("RestingHeartRate", "count/min", _WATCH, 1, 0, 55, 1, 9),
    _Kind("AppleStandTime", "min", _WATCH, 36, 300, 1, 1, 5),
)
"""What a phone and a watch write on a day, by type as in an export. Three types of them are not read."""
_STAGES = ("AsleepCore", "AsleepDeep", "AsleepCore", "AsleepREM", "Awake", "AsleepCore")
_SEGMENTS, _SEGMENT = 24, 960
APPLE_RECORDS_A_DAY = sum(kind.a_day for kind in _KINDS) + _SEGMENTS + 1 + 4
"""`Record` elements right below the root."""
_DTD = """<!DOCTYPE HealthData [
<!-- HealthKit Export Version: 14 -->
<!ELEMENT HealthData (ExportDate,Me,(Record|Correlation|Workout|ActivitySummary)*)>
<!ATTLIST HealthData
  locale CDATA #REQUIRED
>
<!-- Note: Any Records that appear as children of a correlation also appear as top-level records in this document. -->
]>
"""
_ZONE_TEXT = " +0100"


def apple_health(path: Path, days: int) -> int:
    """An `export.xml` of so many days, type by type as the app writes it; gives the number of its records."""
    exported = f"{day_of(days).isoformat()} 08:00:00{_ZONE_TEXT}"
    with path.open("wb") as sink:
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n{_DTD}<HealthData locale="en_PL">\n <ExportDate value="{exported}"/>\n'
        sink.write(f'{head} <Me HKCharacteristicTypeIdentifierBiologicalSex="HKBiologicalSexNotSet"/>\n'.encode())
        for kind in _KINDS:
            beginning = _beginning(f"HKQuantityTypeIdentifier{kind.type}", kind.source, kind.unit, kind.device * (days + 1))
            values = [f"{kind.low + n * kind.step:.6g}" for n in range(kind.steps)]
            for number in range(days):
                sink.write("".join(_day_of_kind(kind, beginning, values, number)).encode())
        for number in range(days):
            sink.write("".join(_night(number)).encode())
        for number in range(days):
            sink.write("".join(_pressures(number)).encode())
        for number in range(days):
            burnt = f'activeEnergyBurned="{310 + number % 97}" activeEnergyBurnedGoal="400" activeEnergyBurnedUnit="kcal"'
            sink.write(f' <ActivitySummary dateComponents="{day_of(number).isoformat()}" {burnt}/>\n'.encode())
        sink.write(b"</HealthData>\n")
    return days * APPLE_RECORDS_A_DAY


def _beginning(type_: str, source: str, unit: str, pointer: int) -> str:
    """An element up to its times; `pointer`: of the device, another in each export, 0 for a record that names none."""
    watch = "name:Apple Watch, manufacturer:Apple Inc., model:Watch, hardware:Watch6,2, software:9.1"
    device = f' device="&lt;&lt;HKDevice: {0x3012770000 + pointer:#x}&gt;, {watch}&gt;"' if pointer else ""
    named = f' unit="{unit}"' if unit else ""
    return f' <Record type="{type_}" sourceName="{source}" sourceVersion="9.1"{device}{named} '


def _times(day: str, start: int, end: int) -> str:
    created, begun, ended = (f"{day} {CLOCK[second]}{_ZONE_TEXT}" for second in (min(end + 30, 86_399), start, end))
    return f'creationDate="{created}" startDate="{begun}" endDate="{ended}"'


def _day_of_kind(kind: _Kind, beginning: str, values: list[str], number: int) -> Iterator[str]:
    day, every = day_of(number).isoformat(), (86_400 - 60) // kind.a_day
    ending = f">\n{kind.metadata} </Record>\n" if kind.metadata else "/>\n"
    for at in range(kind.a_day):
        start = min(at * every + (number * 7 + at * 11) % every, 86_399 - kind.length)
        yield f'{beginning}{_times(day, start, start + kind.length)} value="{values[(number * 3 + at * 5) % kind.steps]}"{ending}'


def _night(number: int) -> Iterator[str]:
    day, shift = day_of(number).isoformat(), number * 37 % 1800
    beginning = _beginning("HKCategoryTypeIdentifierSleepAnalysis", _WATCH, "", 0)
    for at in range(_SEGMENTS):
        start = shift + at * _SEGMENT
        value = f"HKCategoryValueSleepAnalysis{_STAGES[(at + number) % len(_STAGES)]}"
        yield f'{beginning}{_times(day, start, start + _SEGMENT)} value="{value}"/>\n'
    beginning = _beginning("HKCategoryTypeIdentifierSleepAnalysis", _PHONE, "", 0)
    ends = shift + _SEGMENTS * _SEGMENT + 240
    yield f'{beginning}{_times(day, shift, ends)} value="HKCategoryValueSleepAnalysisInBed"/>\n'


def _pressures(number: int) -> Iterator[str]:
    """Two measurements, each as two records and once more in its correlation."""
    day = day_of(number).isoformat()
    for start in (25_200 + number * 13 % 3600, 75_600 + number * 17 % 3600):
        times = _times(day, start, start)
        pair = "".join(
            f'{_beginning("HKQuantityTypeIdentifierBloodPressure" + which, "Cuff", "mmHg", 0)}{times} value="{value}"/>\n'
            for which, value in (("Systolic", 112 + number % 23), ("Diastolic", 70 + number % 17))
        )
        head = f'type="HKCorrelationTypeIdentifierBloodPressure" sourceName="Cuff" sourceVersion="9.1" {times}'
        yield f" <Correlation {head}>\n{pair} </Correlation>\n{pair}"


FITBIT_SAMPLES_A_DAY = 8_640
"""One every ten seconds; a little less on days with a gap."""


def fitbit(path: Path, days: int) -> int:
    """A Takeout of so many days: heart rate by day, resting heart rate by year, nights by month. Gives the heart-rate samples."""
    folder = "Takeout/Fitbit/Global Export Data"
    samples = 0
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for number in range(days):
            with _member(archive, f"{folder}/heart_rate-{day_of(number).isoformat()}.json") as sink:
                elements = list(_beats(number))
                samples += len(elements)
                sink.write(f"[{','.join(elements)}]".encode())
        for first in _firsts(days, lambda day: (day.year, 1)):
            with _member(archive, f"{folder}/resting_heart_rate-{day_of(first).isoformat()}.json") as sink:
                inside = (n for n in range(first, days) if day_of(n).year == day_of(first).year)
                sink.write(f"[{','.join(map(_resting, inside))}]".encode())
        for first in _firsts(days, lambda day: (day.year, day.month)):
            with _member(archive, f"{folder}/sleep-{day_of(first).isoformat()}.json") as sink:
                month = (day_of(first).year, day_of(first).month)
                inside = (n for n in range(first, min(first + 31, days)) if (day_of(n).year, day_of(n).month) == month)
                sink.write(f"[{','.join(map(_asleep, inside))}]".encode())
    return samples


def fitbit_name(days: int) -> str:
    """What Takeout calls an archive made the morning after so many days."""
    return f"takeout-{day_of(days):%Y%m%d}T070000Z-001.zip"


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    info = zipfile.ZipInfo(name, _ZIP_TIME)
    info.compress_type = zipfile.ZIP_DEFLATED
    return archive.open(info, "w")


def _firsts(days: int, part: Callable[[date], tuple[int, int]]) -> list[int]:
    """The days on which another part of the calendar begins."""
    return [n for n in range(days) if not n or part(day_of(n)) != part(day_of(n - 1))]


def _beats(number: int) -> Iterator[str]:
    """The samples of a local day on the person's clock; on every third day the band is charged for a while."""
    day, begins, offsets = day_of(number), *_hours(number)
    charged = range(64_800, 66_300 + number * 60 % 2_700) if number % 3 == 0 else range(0)
    text = f"{day:%m/%d/%y}"
    for at in range(number % 10, len(offsets) * 3_600, 10):
        if at not in charged:
            bpm, confidence = 52 + (number * 3 + at // 10 * 7 + at // 600) % 71, 0 if at % 500 == 0 else 1 + at // 10 % 3
            stamp = f"{text} {CLOCK[(begins + at + offsets[at // 3_600]) % 86_400]}"
            yield f'{{\n  "dateTime" : "{stamp}",\n  "value" : {{\n    "bpm" : {bpm},\n    "confidence" : {confidence}\n  }}\n}}'


def _hours(number: int) -> tuple[int, list[int]]:
    """When a local day begins, seconds since 1970, and the UTC offset of each of its 23, 24 or 25 hours."""
    begins, ends = (midnight(n) for n in (number, number + 1))
    moments = (datetime.fromtimestamp(at, ZoneInfo(ZONE)) for at in range(begins, ends, 3_600))
    return begins, [int((moment.utcoffset() or timedelta()).total_seconds()) for moment in moments]


def _resting(number: int) -> str:
    day = f"{day_of(number):%m/%d/%y}"
    value = f'"date" : "{day}",\n    "value" : {57 + number % 9}.42077255249,\n    "error" : 6.787134170532227'
    return f'{{\n  "dateTime" : "{day} 00:00:00",\n  "value" : {{\n    {value}\n  }}\n}}'


def _asleep(number: int) -> str:
    day, minutes = day_of(number).isoformat(), 380 + number % 61
    told = (
        f'"logId" : {26_000_000_000 + number},\n  "dateOfSleep" : "{day}",\n  "startTime" : "{day}T00:{number % 60:02}:30.000",\n'
    )
    told += f'  "duration" : {(minutes + 40) * 60_000},\n  "minutesAsleep" : {minutes},\n  "minutesAwake" : 40,\n'
    stages = {"deep": 70, "wake": 40, "light": minutes - 150, "rem": 80}
    summary = ",".join(f'\n      "{name}" : {{ "count" : 9, "minutes" : {n} }}' for name, n in stages.items())
    return (
        f'{{\n  {told}  "type" : "stages",\n  "levels" : {{\n    "summary" : {{{summary}\n    }}\n  }},\n  "mainSleep" : true\n}}'
    )
