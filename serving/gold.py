"""One person's gold tables, read only: SQL in, a pandas table out; what is opened here can read no other file and write none.

The dashboard and the API ask every question through `Gold`. It knows no settings and no secrets: `demo` opens the invented year
that is shipped beside it, `open_file` the file it is handed, and `serving.sealed` what it has decrypted in memory.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from config.errors import StoreError

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection
    from pandas import DataFrame
    from pyarrow import Table

DEMO = Path(__file__).resolve().parent / "demo"
"""Folder of the shipped tables: one `<table>.parquet` each."""

_SMALL = 100_000
"""Bytes of a Parquet file up to which its table is held in memory, where a question takes a third of the time."""

MEMORY = "256MB"
"""What one opened gold may hold in memory; it spills nothing to disk."""


class Gold:
    """One person's tables; never shared between sessions of different people. Any thread may ask, several at once."""

    synthetic: bool
    """Whether this is the invented person."""

    def __init__(self, database: DuckDBPyConnection) -> None:
        """Takes over a connection whose catalog `gold` holds the tables; `shut` it before. Raises StoreError if it is no gold."""
        self._database: DuckDBPyConnection | None = database
        self._door = threading.Lock()
        try:
            self.synthetic = bool(self.table("SELECT synthetic FROM meta")["synthetic"].iloc[0])
        except Exception as error:
            self.close()
            if _is_duckdbs(error) or isinstance(error, IndexError):
                raise StoreError("This is no gold of ours: it has no table meta.", "Build it with: python main.py") from None
            raise

    def table(self, query: str, parameters: Mapping[str, object] | None = None) -> DataFrame:
        """The result of ONE query (DuckDB's SQL, `$name` for parameters; those it does not name are left out).

        Days and local times come as datetime64 without zone, instants in UTC, sums and decimals as float. Raises ValueError for
        anything but one query, and duckdb.Error for a query that is wrong.
        """
        with self._cursor() as cursor:
            return frame(_answer(cursor, query, parameters or {}))

    def rows(self, query: str, parameters: Mapping[str, object] | None = None) -> list[dict[str, Any]]:
        """Like `table`, as plain Python rows and without pandas; a query that casts its times to text is answered soonest."""
        with self._cursor() as cursor:
            return list(_answer(cursor, query, parameters or {}).to_pylist())

    def close(self) -> None:
        """Forget everything; a later question is a StoreError. Closing twice is fine."""
        with self._door:
            database, self._database = self._database, None
        if database is not None:
            database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _cursor(self) -> DuckDBPyConnection:
        with self._door:
            if self._database is None:
                raise StoreError("These tables are closed.", "Open them again.")
            cursor = self._database.cursor()
        cursor.execute("USE gold")
        return cursor


def demo(folder: Path = DEMO) -> Gold:
    """The invented year, from the Parquet files in the folder. Raises StoreError when they are not there."""
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise StoreError("The synthetic example tables are missing.", "Make them again with: make examples")
    database = connection()
    database.execute("ATTACH ':memory:' AS gold")
    large = [file for file in files if file.stat().st_size > _SMALL]
    for file in files:  # a view cannot take parameters; the names are those of our own files
        kind = "VIEW" if file in large else "TABLE"
        database.execute(f"CREATE {kind} gold.{name_of(file.stem)} AS FROM read_parquet({quoted(str(file))})")
    shut(database, large)
    return Gold(database)


def open_file(path: str) -> Gold:
    """The tables in a `gold.duckdb`, read only. Raises StoreError for a file that is not there or is none."""
    database = connection()
    try:
        database.execute("ATTACH $path AS gold (READ_ONLY)", {"path": str(path)})
    except Exception as error:
        database.close()
        if not _is_duckdbs(error):
            raise
        raise StoreError(
            "The gold tables cannot be opened: the file is missing, unreadable or not a DuckDB file.",
            "Build them with: python main.py",
        ) from None
    shut(database)
    return Gold(database)


def connection(memory: str = MEMORY) -> DuckDBPyConnection:
    """An empty DuckDB in memory that fetches no extension and spills nothing to disk."""
    import duckdb

    database = duckdb.connect(config={"autoinstall_known_extensions": False, "autoload_known_extensions": False, "threads": 2})
    database.execute("SET GLOBAL python_enable_replacements = false")  # a table is never a variable of ours
    for setting, value in (("memory_limit", memory), ("temp_directory", ""), ("TimeZone", "UTC")):
        database.execute(f"SET GLOBAL {setting} = {quoted(value)}")
    return database


def shut(database: DuckDBPyConnection, files: list[Path] | None = None) -> None:
    """From here on it reads no file but these, for good."""
    allowed = ", ".join(quoted(str(file)) for file in files or [])
    database.execute(f"SET GLOBAL allowed_paths = [{allowed}]")
    database.execute("SET GLOBAL enable_external_access = false")
    database.execute("SET GLOBAL lock_configuration = true")


def frame(table: Table) -> DataFrame:
    """An Arrow table as pandas: days become datetime64, exact decimals, which pandas would hold as objects, floats."""
    import pyarrow as pa

    def plain(kind: Any) -> Any:
        return pa.float64() if pa.types.is_decimal(kind) else pa.timestamp("us") if pa.types.is_date(kind) else kind

    rows: DataFrame = table.cast(pa.schema([field.with_type(plain(field.type)) for field in table.schema])).to_pandas()
    return rows


def _answer(cursor: DuckDBPyConnection, query: str, parameters: Mapping[str, object]) -> Table:
    import duckdb

    statements = cursor.extract_statements(query)
    if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
        raise ValueError("Gold answers one query at a time, and changes nothing.")
    named: dict[str, Any] = {name: parameters[name] for name in statements[0].named_parameters if name in parameters}
    return cursor.sql(statements[0], params=named).to_arrow_table()


def _is_duckdbs(error: Exception) -> bool:
    import duckdb

    return isinstance(error, duckdb.Error)


def quoted(value: str) -> str:
    """A text in SQL, where no parameter may stand."""
    return "'" + value.replace("'", "''") + "'"


def name_of(value: str) -> str:
    """An identifier in SQL."""
    return '"' + value.replace('"', '""') + '"'
