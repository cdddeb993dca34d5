"""`/data` over a real PostgreSQL: every row once and in order, whatever ties, whatever has no time; sessions that cannot write."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from config.errors import WarehouseError
from serving.api import bronze_pages
from serving.api.bronze import Bronze, as_json
from serving.api.errors import Refused
from serving.api.parameters import DataQuestion
from tests.postgres_bench import START, Artifacts, record, served, settings, sql
from tests.stage_bench import StageBench
from warehouse.bronze.access.initialise import initialise
from warehouse.bronze.embedded import server
from warehouse.bronze.load import load

ROWS = 330
SOURCES = ("google_sheets", "mi_fitness")


def rows_of(source: str) -> list[dict[str, Any]]:
    """Months apart, many at the very same moment, some without a time; words that are special to LIKE."""
    found = []
    for number in range(ROWS):
        at = None if number % 11 == 0 else START + timedelta(hours=(number // 7) * 41)
        content: Any = {"n": number, "by": source}
        if number % 50 == 3:
            content = {"note": '100%_sure \\ "quoted" \' ; DROP TABLE x; --', "n": number}
        if number == 5:
            content = '{"huge": 1e400, "long": 123456789012345678901234567890, "text": "\\ud83d\\ude00 é"}'
        found.append(record(number, content, source_timestamp=at, raw_id=f"{source}:{number:04}"))
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Two sources loaded by the real loader; some records changed since, so they have two versions."""
    folder = tmp_path_factory.mktemp("pages")
    with served(folder / "data") as data:
        for source in SOURCES:
            made = Artifacts(folder / source, source)
            rows = rows_of(source)
            changed = [row | {"raw": json.dumps({"n": "changed"}), "revision": 1} for row in rows[100:120]]
            for number, batch in enumerate((rows[:200], rows[200:] + changed)):
                out = folder / f"{source}{number}"
                out.mkdir()
                StageBench(out).run(load, made.inputs(batch), settings(data))
        yield data


@pytest.fixture(scope="module")
def bronze(place: Path) -> Iterator[Bronze]:
    opened = Bronze(settings(place))
    yield opened
    opened.close()


def ask(bronze: Bronze, **asked: Any) -> dict[str, Any]:
    question = DataQuestion.model_validate(asked)
    return dict(json.loads(as_json(bronze.page(question), question.page_size)))


def walked(bronze: Bronze, **asked: Any) -> list[dict[str, Any]]:
    """All rows, by cursor from page to page."""
    found: list[dict[str, Any]] = []
    more: dict[str, Any] = {}
    while True:
        page = ask(bronze, **asked, **more)
        assert page["has_more"] is (page["next"] is not None)
        found += page["rows"]
        if not page["has_more"]:
            return found
        assert len(page["rows"]) == page["page_size"]
        more = {"cursor": page["next"]}


def numbered(bronze: Bronze, **asked: Any) -> list[dict[str, Any]]:
    """All rows, by number from page to page."""
    found: list[dict[str, Any]] = []
    for number in range(1, 1000):
        page = ask(bronze, **asked, page=number)
        found += page["rows"]
        if not page["has_more"]:
            return found
    raise AssertionError("the pages never end")


def key(row: dict[str, Any]) -> tuple[Any, ...]:
    return (row["source_timestamp"], row["source"], row["id"])


def expected(place: Path, sort: str, sources: tuple[str, ...] = SOURCES, where: str = "true") -> list[tuple[Any, ...]]:
    """The same by Python's own sorting of everything there is."""
    rows = []
    for source in sources:
        query = f'SELECT to_char(source_timestamp, \'YYYY-MM-DD"T"HH24:MI:SS"Z"\'), id FROM bronze_{source} WHERE {where}'
        rows += [(stamp, source, number) for stamp, number in sql(place, query)]
    if sort.endswith("id"):
        return sorted(rows, key=lambda r: r[2], reverse=sort.startswith("-"))
    dated = sorted((r for r in rows if r[0]), reverse=sort.startswith("-"))
    return dated + sorted((r for r in rows if not r[0]), key=lambda r: r[1:])


@pytest.mark.parametrize("sort", ["-source_timestamp", "source_timestamp"])
@pytest.mark.parametrize(("size", "source"), [(1, "mi_fitness"), (7, None), (7, "mi_fitness"), (100, None), (100, "mi_fitness")])
def test_every_row_comes_once_and_in_order_by_cursor_and_by_number(
    place: Path, bronze: Bronze, sort: str, size: int, source: str | None
) -> None:
    wanted = expected(place, sort, (source,) if source else SOURCES)
    asked: dict[str, Any] = {"sort": sort, "page_size": size} | ({"source": source} if source else {})
    assert [key(row) for row in walked(bronze, **asked)] == wanted
    if size > 1:
        assert [key(row) for row in numbered(bronze, **asked)] == wanted


@pytest.mark.parametrize("sort", ["-id", "id"])
def test_rows_of_a_source_come_in_the_order_they_arrived(place: Path, bronze: Bronze, sort: str) -> None:
    asked = {"sort": sort, "page_size": 64, "source": "mi_fitness"}
    wanted = expected(place, sort, ("mi_fitness",))
    assert [key(row) for row in walked(bronze, **asked)] == wanted
    assert [key(row) for row in numbered(bronze, **asked)] == wanted
    with pytest.raises(Refused, match="parameter"):
        ask(bronze, sort=sort)


@pytest.mark.parametrize("sort", ["-source_timestamp", "source_timestamp"])
@pytest.mark.parametrize(
    ("first", "last"),
    [
        (date(2024, 2, 10), date(2024, 3, 20)),
        (date(2024, 2, 1), date(2024, 2, 29)),
        (date(2024, 3, 7), date(2024, 3, 7)),
        (date(2024, 3, 1), None),
        (None, date(2024, 2, 28)),
        (None, date(9999, 12, 31)),
        (date(1, 1, 1), None),
        (date(2030, 1, 1), None),
    ],
)
def test_a_span_of_days_is_counted_exactly_and_holds_no_row_without_a_time(
    place: Path, bronze: Bronze, sort: str, first: date | None, last: date | None
) -> None:
    asked: dict[str, Any] = {"sort": sort, "page_size": 17}
    asked |= {name: day.isoformat() for name, day in (("from", first), ("to", last)) if day}
    low, high = first or date(1, 1, 1), last or date(9999, 12, 31)
    wanted = expected(place, sort, where=f"source_timestamp::date BETWEEN '{low}' AND '{high}'")
    assert [key(row) for row in walked(bronze, **asked)] == wanted
    assert [key(row) for row in numbered(bronze, **asked)] == wanted
    page = ask(bronze, **asked)
    assert (page["total"], page["total_is_estimate"]) == (len(wanted), False)


def test_the_total_is_exact_without_counting_a_row(place: Path, bronze: Bronze) -> None:
    for source in (None, *SOURCES):
        page = ask(bronze, **({"source": source} if source else {}))
        assert (page["total"], page["total_is_estimate"]) == (len(expected(place, "id", (source,) if source else SOURCES)), False)


def test_a_ledger_that_says_too_much_hides_no_row(tmp_path: Path) -> None:
    with served(tmp_path / "data") as data:
        made = Artifacts(tmp_path / "artifacts", "bp_csv")
        (tmp_path / "out").mkdir()
        rows = [record(n, source_timestamp=None if n % 9 == 0 else START + timedelta(days=n)) for n in range(200)]
        StageBench(tmp_path / "out").run(load, made.inputs(rows), settings(data))
        sql(data, "UPDATE bronze_loaded_months SET rows = rows + 500")
        opened = Bronze(settings(data))
        for sort in ("-source_timestamp", "source_timestamp"):
            assert [key(row) for row in walked(opened, sort=sort, page_size=10)] == expected(data, sort, ("bp_csv",))
        with pytest.raises(Refused, match="database"):
            ask(opened, page=30, page_size=10)
        opened.close()


def test_a_page_beyond_the_last_is_empty(bronze: Bronze) -> None:
    page = ask(bronze, page=1_000_000_000)
    assert (page["rows"], page["has_more"], page["next"], page["page"]) == ([], False, None, 1_000_000_000)


def test_a_page_too_deep_to_be_counted_to_names_the_cursor(bronze: Bronze) -> None:
    for asked in (
        {"search": "n", "page": 2_000_000} | {"search": "by"},
        {"sort": "id", "source": "mi_fitness", "page": 2_000_000},
    ):
        with pytest.raises(Refused) as refused:
            ask(bronze, **asked)
        assert refused.value.status == 422
        assert "cursor" in refused.value.mend


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("100%_sure", 7),
        ("100%", 7),
        ("0%_s", 7),
        ("%%", 0),
        ("__", 0),
        ("1_0", 0),
        ('\\"quoted\\"', 7),
        ("' ; DROP TABLE x; --", 7),
        ("DROP table X", 7),
        ("mi_fitness:0003", 1),
        ("MI_FITNESS:0003", 1),
        ("nothing has this", 0),
        ("'; SELECT pg_sleep(60); --", 0),
        ("$1", 0),
        ("%(like)s", 0),
    ],
)
def test_a_search_finds_its_text_and_takes_nothing_of_it_for_a_command(bronze: Bronze, text: str, numbers: int) -> None:
    asked = {"search": text, "source": "mi_fitness", "page_size": 3}
    found = walked(bronze, **asked)
    assert len(found) == numbers
    assert [key(row) for row in numbered(bronze, **asked)] == [key(row) for row in found]
    page = ask(bronze, **asked)
    assert (page["total"], page["total_is_estimate"]) == (numbers, False)


def test_a_search_with_more_matches_than_are_counted_says_so(bronze: Bronze, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bronze_pages, "COUNTED", 20)
    page = ask(bronze, search="mi_fitness", page_size=5)
    assert (page["total"], page["total_is_estimate"]) == (20, True)


@pytest.mark.parametrize("sort", ["-source_timestamp", "source_timestamp"])
def test_a_search_walks_past_rows_without_a_time(place: Path, bronze: Bronze, sort: str) -> None:
    asked = {"search": "google_sheets:", "page_size": 9, "sort": sort}
    wanted = expected(place, sort, ("google_sheets",))
    assert [key(row) for row in walked(bronze, **asked)] == wanted
    assert [key(row) for row in numbered(bronze, **asked)] == wanted


@pytest.mark.parametrize(
    "asked",
    [
        {"sort": "id; DROP TABLE bronze_mi_fitness"},
        {"sort": "raw_data"},
        {"source": "mi_fitness; --"},
        {"source": "loads"},
        {"source": "nokia"},
        {"search": "a"},
        {"search": "x" * 101},
        {"search": "a\0b"},
        {"page": 0},
        {"page_size": 0},
        {"page_size": 101},
        {"cursor": ""},
        {"cursor": "a b"},
        {"from": "2024-02-30"},
        {"from": "1735689600"},
        {"from": "2024-03-02", "to": "2024-03-01"},
        {"table": "bronze_loads"},
    ],
)
def test_what_cannot_be_meant_is_no_question(asked: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        DataQuestion.model_validate(asked)


def test_a_cursor_that_is_none_or_of_another_order_is_refused(bronze: Bronze) -> None:
    mine = ask(bronze, page_size=1)["next"]
    made = [cursor(part) for part in (1, [], ["data -source_timestamp"], ["data -source_timestamp", "soon", "a", 1])]
    made += [
        cursor(["data -source_timestamp", stamp, "a", 1]) for stamp in ("0001-01-01T00:00:00", "2024-01-01T00:00:00+01:00", 5)
    ]
    made += [cursor(["data -source_timestamp", None, "a", number]) for number in (True, 2**64, "1", None, 1.5)]
    made += [
        cursor(["data -source_timestamp", None, "\0", 1]),
        base64.urlsafe_b64encode(b"[" * 700).decode().rstrip("="),
        "A",
        "____",
        mine[:-3],
    ]
    for text in made:
        with pytest.raises(Refused) as refused:
            ask(bronze, cursor=text)
        assert refused.value.status == 422, text
    with pytest.raises(Refused, match="parameter"):
        ask(bronze, cursor=mine, sort="source_timestamp")
    with pytest.raises(Refused, match="parameter"):
        ask(bronze, cursor=mine, page=2)
    strange = cursor(["data -source_timestamp", "2024-03-01T00:00:00", "'; DROP TABLE x; --", 1])
    assert ask(bronze, cursor=strange)["rows"]


def cursor(place: Any) -> str:
    """Text that was made by hand."""
    return base64.urlsafe_b64encode(json.dumps(place).encode()).rstrip(b"=").decode()


def test_rows_that_arrive_meanwhile_shift_no_page_of_a_walk(tmp_path: Path) -> None:
    with served(tmp_path / "data") as data:
        made = Artifacts(tmp_path / "artifacts", "bp_csv")

        def more(name: str, rows: list[dict[str, Any]]) -> None:
            (tmp_path / name).mkdir()
            StageBench(tmp_path / name).run(load, made.inputs(rows), settings(data))

        more("first", [record(n) for n in range(30)])
        opened = Bronze(settings(data))
        first = ask(opened, page_size=10)
        more("then", [record(n, source_timestamp=datetime.fromisoformat("2025-05-05T00:00:00+00:00")) for n in range(100, 130)])
        second = ask(opened, page_size=10, cursor=first["next"])
        assert [row["raw_id"] for row in first["rows"] + second["rows"]] == [f"reading:{n}" for n in range(29, 9, -1)]
        assert second["total"] == 60
        opened.close()


def test_a_raw_record_goes_through_as_it_is(bronze: Bronze) -> None:
    page = bronze.page(DataQuestion(search="mi_fitness:0005", source="mi_fitness"))
    text = as_json(page, 50).decode()
    assert '"long": 123456789012345678901234567890' in text
    assert '"huge": 1' + "0" * 400 in text
    row = json.loads(text)["rows"][0]
    assert row["raw"]["text"] == "\U0001f600 é"
    assert row["file_path"] == "raw/demo/export.csv" or row["file_path"].endswith("export.csv")


@contextmanager
def changed(session: Any, read_only: str = "on", timeout: str = "20s") -> Iterator[None]:
    """A session of the pool with other settings, for the block."""

    def put(read_only: str, timeout: str) -> None:
        session.execute("SELECT set_config('default_transaction_read_only', %s, false)", (read_only,))
        session.execute("SELECT set_config('statement_timeout', %s, false)", (timeout,))

    put(read_only, timeout)
    try:
        yield
    finally:
        put("on", "20s")


@pytest.mark.parametrize("role", ["pg_read_all_data", "bronze_analyst"])
def test_the_sessions_cannot_write_even_when_they_say_they_may(place: Path, role: str, request: pytest.FixtureRequest) -> None:
    if role == "bronze_analyst":  # what `bronze init` makes
        initialise(settings(place), SOURCES)
    bronze = Bronze(settings(place))
    request.addfinalizer(bronze.close)
    assert ask(bronze)["rows"]
    with bronze.session() as session:
        assert session.execute("SELECT current_user").fetchall() == [(role,)]
    for statement in (
        "DELETE FROM bronze_mi_fitness",
        "UPDATE bronze_loads SET environment = 'x'",
        "INSERT INTO bronze_revisions VALUES ('a', 'b', 2)",
        "CREATE TABLE mine (a INT)",
        "DROP TABLE bronze_mi_fitness",
        "TRUNCATE bronze_loads",
        "ALTER TABLE bronze_mi_fitness DISABLE TRIGGER ALL",
    ):
        with pytest.raises(WarehouseError, match="25006"), bronze.session() as session:
            session.execute(statement.encode())
        with pytest.raises(WarehouseError, match="42501"), bronze.session() as session, changed(session, read_only="off"):
            session.execute(statement.encode())
    assert sql(place, "SELECT count(*) FROM bronze_mi_fitness")[0][0] > ROWS


def test_a_question_that_takes_too_long_is_ended_and_named(bronze: Bronze) -> None:
    with pytest.raises(Refused) as refused, bronze.session() as session, changed(session, timeout="50ms"):
        session.execute("SELECT pg_sleep(30)")
    assert (refused.value.status, refused.value.code) == (503, "too_slow")
    assert ask(bronze)["rows"]


def test_a_database_that_was_stopped_and_came_back_answers_again(tmp_path: Path) -> None:
    with served(tmp_path / "data") as data:
        made = Artifacts(tmp_path / "artifacts", "bp_csv")
        (tmp_path / "out").mkdir()
        StageBench(tmp_path / "out").run(load, made.inputs([record(1)]), settings(data))
        opened = Bronze(settings(data))
        assert len(ask(opened)["rows"]) == 1
        with server.embedded(str(data)) as dsn, psycopg.connect(dsn, autocommit=True) as session:
            session.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pdp api'")
        assert len(ask(opened)["rows"]) == 1
        opened.close()


def test_an_unknown_database_error_names_no_value() -> None:
    opened = Bronze(settings("/nonexistent/data", "postgresql://somebody:canary@127.0.0.1:1/nothing?connect_timeout=1"))
    with pytest.raises(WarehouseError) as error:
        ask(opened)
    assert "canary" not in str(error.value)
    with pytest.raises(WarehouseError):  # at once: it has just been tried
        ask(opened)
    opened.close()
