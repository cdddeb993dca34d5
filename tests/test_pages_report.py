"""The report for the doctor: its figures are those of the protocol, its page runs nothing, fetches nothing and escapes everything."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from html.parser import HTMLParser
from pathlib import Path

import duckdb
import pytest

from config.home_protocols import PRESETS
from processing.aggregators.home_protocol import PROTOCOL
from serving.charts.protocol import PROTOCOLS, REASONS
from serving.gold import Gold, demo, open_file
from serving.report import week as report
from serving.report.drawing import thresholds
from serving.report.page import document


@pytest.fixture(scope="module")
def gold() -> Iterator[Gold]:
    with demo() as opened:
        yield opened


class Reader(HTMLParser):
    """The tags, attributes and text of a document."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += f" {data} " if data.strip() else ""


def test_the_readings_said_to_be_averaged_are_those_the_protocol_averaged(gold: Gold) -> None:
    weeks = report.weeks(gold)
    assert len(weeks) > 40
    for facts in weeks.to_dict("records"):
        told = report.week(gold, facts["start"].date())
        assert told is not None
        assert len(told.counted) == facts["n_readings"], facts["start"]
        assert len(told.readings) == facts["n_readings"] + facts["n_discarded"]
        for metric in ("systolic", "diastolic", "pulse"):
            if facts[metric] == facts[metric]:
                assert told.counted[metric].mean() == pytest.approx(facts[metric], abs=0.00501)


def test_the_page_tells_the_weeks_figures_exactly(gold: Gold) -> None:
    told = report.week(gold, date(2025, 1, 1))
    assert told is not None
    text = " ".join(Reader(document(told)).text.split())
    assert "1 to 7 January 2025 Protocol: ESH 2021" in text
    assert "144/91 mmHg, pulse 66" in text
    assert "Hypertension range by ESC 2024, home, from 135 systolic or 85 diastolic mmHg." in text
    assert "Valid by this protocol: 20 readings on 6 days, 4 of them with morning and evening; 4 readings left out." in text
    assert "All averaged readings 143.5 91.2 66.0 20" in text
    for reading in told.readings.to_dict("records"):
        assert f"{reading['systolic']:.0f}/{reading['diastolic']:.0f}" in text
        assert f"{reading['local_start']:%H:%M}" in text
    assert text.count("first day") == 4 + 1  # each reading of it, and the rule
    assert "Not medical advice" in text
    assert "Name:" in text
    assert "Synthetic example" in text


def test_a_week_that_is_not_valid_says_why_and_has_no_category(tmp_path: Path) -> None:
    with invented(tmp_path, label="x", valid=False) as gold:
        told = report.week(gold, date(2025, 3, 1))
        assert told is not None
        text = Reader(document(told)).text
    assert "Not valid by this protocol: too few readings (3 readings on 3 days" in text
    assert "No category: the week is not valid." in text
    assert "Synthetic" not in text


HOSTILE = "</style></main><script>alert(1)</script><img src=x onerror=alert(1)>\"'&"


def test_a_hostile_label_stays_text(tmp_path: Path) -> None:
    with invented(tmp_path, label=HOSTILE) as gold:
        told = report.week(gold, date(2025, 3, 1))
        assert told is not None
        read = Reader(document(told))
    assert HOSTILE in read.text
    assert not {"script", "img", "link", "iframe", "object", "form", "a"} & set(read.tags)
    assert not [name for name, _ in read.attributes if name.startswith("on") or name in {"src", "href"}]


def test_the_page_names_no_place_outside_itself(gold: Gold) -> None:
    told = report.week(gold, date(2025, 1, 1))
    assert told is not None
    text = document(told)
    assert "default-src 'none'" in text
    assert not re.findall(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)


def test_the_page_is_made_for_paper(gold: Gold) -> None:
    told = report.week(gold, date(2025, 1, 1))
    assert told is not None
    text = document(told)
    assert "@page{size:A4" in text
    assert "@media print" in text
    assert "break-inside:avoid" in text


def test_every_reading_stands_on_the_chart_inside_its_edges(gold: Gold) -> None:
    told = report.week(gold, date(2025, 1, 1))
    assert told is not None
    text = document(told)
    circles = [tuple(map(float, found)) for found in re.findall(r'<circle cx="([\d.]+)" cy="([\d.]+)"', text)]
    assert len(circles) == len(told.readings)
    assert all(40 <= x <= 720 - 92 and 14 <= y <= 230 - 30 for x, y in circles)
    assert thresholds("esc_2024_home") == (135, 85)
    assert thresholds("aha_2017") == (140, 90)


def test_the_rows_for_a_spreadsheet_say_of_each_reading_whether_it_is_averaged(gold: Gold) -> None:
    told = report.week(gold, date(2025, 1, 1))
    assert told is not None
    rows = report.rows(told)
    assert rows["Averaged"].value_counts().to_dict() == {"yes": 20, "no": 4}
    assert set(rows.loc[rows["Averaged"] == "no", "Left out because"]) == {"first day"}
    assert rows["Date"].iloc[0] == "2025-01-01"


def test_there_are_words_for_every_protocol_and_every_reason() -> None:
    source = Path("processing/aggregators/home_protocol.py").read_text(encoding="utf-8")
    assert set(PROTOCOLS) == set(PRESETS)
    assert set(REASONS) == set(re.findall(r'"(too_few_\w+)"', source))


@pytest.mark.parametrize(
    ("protocol", "said"),
    [
        ("esh_2021", "The first day is left out; so are"),
        ("aha_2020", "No day is left out; but readings"),
        ("jabfm", "Of 3 or more readings in one sitting the first is left out."),
    ],
)
def test_the_rules_of_a_protocol_are_said_in_words(protocol: str, said: str) -> None:
    words = report.rules_in_words(PRESETS[protocol])
    assert said in words
    assert "from 12 readings on" in words


def test_the_first_of_a_sitting_is_left_out_where_the_protocol_says_so(tmp_path: Path) -> None:
    with invented(tmp_path, label="x", protocol="jabfm", minutes=(0, 2, 4)) as gold:
        told = report.week(gold, date(2025, 3, 1))
        assert told is not None
        third_day = told.readings[told.readings["date"].dt.date == date(2025, 3, 3)]
    assert third_day["left_out"].tolist() == ["first of a sitting", "", "", "first of a sitting", "", ""]
    assert set(told.readings.loc[told.readings["date"].dt.date == date(2025, 3, 2), "left_out"]) == {"first 2 days"}


def invented(
    folder: Path, label: str, *, valid: bool = True, protocol: str = "esh_2021", minutes: tuple[int, ...] = (0,)
) -> Gold:
    """Four days from 1 March 2025 with a sitting each morning and evening, and one medication event."""
    path = folder / "gold.duckdb"
    kinds: dict[str, Callable[[str], str]] = {}
    kinds |= {"string": lambda n: f"{n} VARCHAR", "date32[day]": lambda n: f"{n} DATE", "int64": lambda n: f"{n} BIGINT"}
    kinds |= {"double": lambda n: f"{n} DOUBLE", "bool": lambda n: f"{n} BOOLEAN"}
    columns = ", ".join(kinds[str(field.type)](f'"{field.name}"') for field in PROTOCOL)
    with duckdb.connect(str(path)) as database:
        database.execute("SET TimeZone = 'UTC'")
        database.execute("CREATE TABLE meta AS SELECT false AS synthetic")
        database.execute(f"CREATE TABLE protocol_weeks ({columns})")
        facts = [protocol, date(2025, 3, 1), date(2025, 3, 4), 3, 3, 3, 3, 3, *[120.5] * 12]
        facts += ["elevated", True, None] if valid else [None, False, "too_few_readings"]
        database.execute(f"INSERT INTO protocol_weeks VALUES ({', '.join('?' * len(facts))})", facts)
        database.execute("CREATE TABLE events AS SELECT DATE '2025-02-01' AS date, ? AS label, 'medication' AS kind", [label])
        database.execute(
            "CREATE TABLE bp_readings (start TIMESTAMPTZ, local_start TIMESTAMP, date DATE, systolic DOUBLE, diastolic DOUBLE, "
            "pulse DOUBLE, part VARCHAR, source VARCHAR, raw_id VARCHAR, used BOOLEAN)"
        )
        for day in range(4):
            for part, hour in (("morning", 7), ("evening", 20)):
                for minute in minutes:
                    at = datetime(2025, 3, 1, hour, minute) + timedelta(days=day)
                    row = [at, at, at.date(), 121.0, 78.0, None, part, "cuff", f"{at}", True]
                    database.execute("INSERT INTO bp_readings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
    return open_file(str(path))


def test_a_week_with_medication_prints_on_one_page_of_a4(gold: Gold) -> None:
    from playwright.sync_api import sync_playwright

    pages = set()
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        for start in (date(2025, 1, 1), date(2025, 12, 28)):
            told = report.week(gold, start)
            assert told is not None
            page.set_content(document(told))
            pdf = page.pdf(prefer_css_page_size=True)
            pages.add(len(re.findall(rb"/Type\s*/Page[^s]", pdf)))
            sizes = {tuple(round(float(n)) for n in found) for found in re.findall(rb"/MediaBox \[0 0 ([\d.]+) ([\d.]+)\]", pdf)}
            assert sizes == {(595, 842)} or sizes == {(596, 842)}
        browser.close()
    assert pages == {1}
    assert asked == []
