"""The four roles of the bronze database: what each can do, what it cannot, and how they come to be, without superuser.

On the embedded server and, where it is installed, on the system's PostgreSQL 15, whose rules for granting roles differ.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from bench.bronze_servers import MissingError, Server, running
from config.errors import WarehouseError
from config.sources import SOURCES
from main import main
from tests.postgres_bench import ROOT, START, letter, record
from tests.roles_bench import PEOPLE, Place, documented, held, place
from tests.roles_statements import CAN, CANNOT
from warehouse.bronze import schema
from warehouse.bronze.access.initialise import Made
from warehouse.bronze.access.roles import ROLES, script
from warehouse.bronze.checking.reconcile import reconcile
from warehouse.bronze.checking.status import status, verify
from warehouse.bronze.letter_lookup import find


@pytest.fixture(scope="module", params=["embedded", "system"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    try:
        with running(request.param, tmp_path_factory.mktemp(request.param)) as found:
            yield found
    except MissingError as missing:
        pytest.skip(f"NOT TESTED on PostgreSQL 15: {missing}")


@pytest.fixture(scope="module")
def without_roles(server: Server, tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Made]:
    """A database of a login that may not make roles, on a server that has none yet."""
    found = place(server, "plain", tmp_path_factory.mktemp("plain"), "plain")
    return found, found.init("plain")


@pytest.fixture(scope="module")
def first(without_roles: tuple[Place, Made], tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Made]:
    """A database of a login that may make roles and is no superuser; in it people, and rows one of them has loaded."""
    found = place(without_roles[0].server, "pdp", tmp_path_factory.mktemp("pdp"), "keeper", "CREATEROLE")
    made = found.init("keeper")
    for login, role in PEOPLE.items():
        found.run(f"CREATE ROLE {login} LOGIN; GRANT {role} TO {login}", "keeper")
    rows = [record(n) for n in range(40)]
    found.load("worker", [*rows, record(40, source_timestamp=None), record(41, '{"a": "\\u0000"}')], [letter(60)])
    found.load("worker", [*rows, record(0, {"n": "changed"}, revision=1)], [letter(60), letter(61)])
    return found, made


@pytest.fixture(scope="module")
def shared(first: tuple[Place, Made]) -> Place:
    return first[0]


@pytest.mark.parametrize(("login", "statement"), CAN)
def test_a_role_can(shared: Place, login: str, statement: str) -> None:
    with psycopg.connect(shared.dsn(login)) as session:
        session.execute(statement)
        session.rollback()


def test_an_analyst_sees_the_status_verifies_and_reconciles(shared: Place) -> None:
    assert status(shared.settings("ann"))["rows"] == status(shared.settings("keeper"))["rows"] == 42
    assert verify(shared.settings("ann"), {}) == []
    assert [outcome.differences for outcome in reconcile(shared.settings("ann"), {}, ["demo"])] == [[]]
    assert find(shared.settings("ann"), source="demo") != []


def test_the_latest_version_of_each_record_is_what_the_dashboard_reads(shared: Place) -> None:
    rows = shared.run(
        "SELECT raw_id, version FROM bronze_demo_current WHERE raw_id IN ('reading:0', 'reading:1') ORDER BY 1", "board"
    )
    assert rows == [("reading:0", 2), ("reading:1", 1)]


@pytest.mark.parametrize(("login", "statement"), CANNOT)
def test_a_role_cannot(shared: Place, login: str, statement: str) -> None:
    with psycopg.connect(shared.dsn(login), autocommit=True) as session, pytest.raises(psycopg.errors.InsufficientPrivilege):
        session.execute(statement)


@pytest.mark.parametrize(
    "statement", ["UPDATE bronze_demo SET raw_id = 'x'", "DELETE FROM bronze_demo", "TRUNCATE bronze_demo, bronze_revisions"]
)
def test_even_the_owner_changes_no_row_while_the_triggers_stand(shared: Place, statement: str) -> None:
    with psycopg.connect(shared.dsn("chief")) as session:
        with pytest.raises(psycopg.errors.RestrictViolation):
            session.execute(statement)
        session.rollback()


@pytest.mark.parametrize("login", ["worker", "ann", "board"])
def test_what_a_role_has_it_cannot_pass_on(shared: Place, login: str) -> None:
    before = [row[:4] for row in shared.objects()], shared.around()
    for what in ("SELECT ON bronze_demo", "SELECT ON bronze_demo_current", "EXECUTE ON FUNCTION create_partition_if_not_exists"):
        try:
            shared.run(f"GRANT {what} TO PUBLIC", login)  # PostgreSQL only warns whoever has the privilege himself
        except psycopg.errors.InsufficientPrivilege:
            continue
    assert ([row[:4] for row in shared.objects()], shared.around()) == before


def test_names_of_ones_own_do_not_come_before_those_the_owners_functions_use(shared: Place) -> None:
    trap = "$$ BEGIN EXECUTE 'GRANT bronze_owner TO worker'; END $$"
    with psycopg.connect(shared.dsn("worker")) as session:
        session.execute("CREATE TEMP TABLE bronze_demo (LIKE bronze_demo); CREATE TEMP TABLE bronze_demo_default (id BIGINT)")
        session.execute("CREATE TEMP TABLE pg_class (relname TEXT); CREATE TYPE pg_temp.date AS (x INT)")
        for name in (
            "bronze_month_table(TEXT, DATE, TEXT)",
            "bronze_attach_month(TEXT, DATE, TEXT)",
            "date_trunc(TEXT, TIMESTAMP)",
        ):
            session.execute(f"CREATE FUNCTION pg_temp.{name} RETURNS VOID LANGUAGE plpgsql AS {trap}")
        session.execute("SET search_path = pg_temp, public")
        session.execute("SELECT public.create_partition_if_not_exists('demo', '2032-01-01'::pg_catalog.date)")
        session.execute("SELECT public.bronze_date_rows('demo', '{1}', '{2032-01-02}')")
    made = "SELECT relowner::regrole::text FROM pg_class WHERE oid = 'public.bronze_demo_y2032m01'::regclass"
    assert shared.run(made) == [("bronze_owner",)]
    assert shared.run("SELECT pg_has_role('worker', 'bronze_owner', 'MEMBER')") == [(False,)]


def test_no_function_runs_with_its_owners_rights_and_a_search_path_of_the_callers(shared: Place) -> None:
    query = "SELECT proname, proconfig FROM pg_proc WHERE pronamespace = 'public'::regnamespace AND prosecdef"
    functions = dict(shared.run(query))
    assert functions.keys() >= {"create_partition_if_not_exists", "bronze_date_rows", "bronze_settle_letters"}
    assert all("search_path=public, pg_temp" in config for config in functions.values())


def test_the_database_grants_what_the_document_lists_and_nothing_else(shared: Place) -> None:
    listed = documented()
    assert len(listed) >= 18
    assert held(shared.objects(), ["demo", "other"]) == listed
    assert shared.owners() == {"bronze_owner"}


def test_a_login_with_createrole_makes_the_roles(first: tuple[Place, Made]) -> None:
    assert first[1].roles.made == list(ROLES)
    assert first[1].roles.complete
    assert first[1].tables_made == ["bronze_demo", "bronze_other"]
    assert first[0].run("SELECT bool_or(rolsuper OR rolcanlogin) FROM pg_roles WHERE starts_with(rolname, 'bronze_')") == [
        (False,)
    ]


def test_the_command_tells_what_it_made_and_what_to_do_next(
    shared: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = place(shared.server, "told", tmp_path, "teller")
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("DATABASE_URL", found.dsn("teller"))
    assert main(["bronze", "init"]) == 0
    left_out = capsys.readouterr().out
    assert f"tables      made: {', '.join(f'bronze_{source}' for source in sorted(SOURCES))}\n" in left_out
    assert "The roles were left as they are: this login may not hand them this database.\n" in left_out
    assert "python main.py bronze init --sql | psql THE_DATABASE\n" in left_out
    shared.run("GRANT bronze_owner TO teller", "keeper")
    assert main(["bronze", "init"]) == 0
    complete = capsys.readouterr().out
    assert f"roles       there already: {', '.join(ROLES)}\n" in complete
    assert "GRANT bronze_ingest TO your_login;" in complete
    assert main(["bronze", "init", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["tables"] == {
        "made": [],
        "upgraded": [],
        "present": [f"bronze_{source}" for source in sorted(SOURCES)],
    }
    assert said["migrations"] == {"applied": [], "present": list(schema.migrations())}
    assert said["roles"] == {"made": [], "present": list(ROLES), "complete": True}
    assert said["database"] == "configured"


def test_made_three_times_nothing_is_written_again(shared: Place) -> None:
    before = shared.objects(), shared.around()
    for login in ("keeper", "keeper", "chief"):
        again = shared.init(login)
        assert (again.migrations_applied, again.tables_made, again.tables_upgraded, again.roles.made) == ([], [], [], [])
        assert again.roles.complete
    assert (shared.objects(), shared.around()) == before


def test_privileges_that_were_changed_by_hand_are_put_right(shared: Place) -> None:
    shared.run(
        "GRANT UPDATE, DELETE ON bronze_demo TO bronze_ingest; GRANT SELECT ON bronze_demo_default TO bronze_dashboard", "chief"
    )
    shared.run(
        "GRANT EXECUTE ON FUNCTION bronze_date_rows TO PUBLIC; REVOKE SELECT ON bronze_demo_current FROM bronze_dashboard",
        "chief",
    )
    shared.run("CREATE ROLE visitors; GRANT bronze_analyst TO visitors", "keeper")
    shared.run("GRANT SELECT ON bronze_loads TO visitors", "chief")
    shared.init("keeper")
    assert shared.run("SELECT has_table_privilege('visitors', 'bronze_loads', 'SELECT')") == [(True,)]
    shared.run("REVOKE SELECT ON bronze_loads FROM visitors", "chief")
    assert held(shared.objects(), ["demo", "other"]) == documented()


def test_a_source_the_loader_makes_later_is_the_owners_with_the_same_privileges(shared: Place) -> None:
    rows = [record(n, source_timestamp=START + timedelta(minutes=n)) for n in range(24_000)]
    shared.load("chief", rows, source="late")  # large: a new month is filled aside by a further session
    shared.load("worker", [*rows[:10], record(24_000)], source="late")
    assert shared.run("SELECT count(*) FROM bronze_late") == [(24_001,)]
    assert held(shared.objects(), ["demo", "other", "late"]) == documented()
    assert shared.owners() == {"bronze_owner"}


def test_two_at_once_make_one_database(first: tuple[Place, Made], tmp_path: Path) -> None:
    found = place(first[0].server, "twice", tmp_path, "twin", "CREATEROLE")
    if first[0].run("SHOW server_version_num")[0][0] >= "160000":
        first[0].run("GRANT bronze_owner TO twin", "keeper")
    with ThreadPoolExecutor(2) as pool:
        done = list(pool.map(found.init, ["twin", "twin"]))
    assert [made.roles.complete for made in done] == [True, True]
    assert held(found.objects(), ["demo", "other"]) == documented()


def test_a_database_of_the_first_version_is_brought_to_todays_shape(shared: Place, tmp_path: Path) -> None:
    found = place(shared.server, "old", tmp_path, "elder")
    shared.run("GRANT bronze_owner TO elder", "keeper")
    with psycopg.connect(found.dsn("elder"), autocommit=True) as session:
        session.execute("CREATE TABLE bronze_migrations (name TEXT PRIMARY KEY, sha256 TEXT, applied_at TIMESTAMP DEFAULT now())")
        session.execute("INSERT INTO bronze_migrations (name, sha256) VALUES ('0001_common.sql', '')")
        session.execute(psycopg.sql.SQL(schema.migrations()["0001_common.sql"]))
        table = psycopg.sql.SQL(schema.source_migrations()["0001_table.sql"])
        session.execute(table.format(**schema._identifiers("bronze_demo")))
        session.execute("SELECT create_partition_if_not_exists('demo', '2024-02-01')")
        session.execute(
            "INSERT INTO bronze_demo (source, raw_data, raw_id, version, source_timestamp, partition_key, content_hash) SELECT 'demo', "
            "to_jsonb(v), 'a', v, at, COALESCE(at::date, '0001-01-01'), sha256(to_jsonb(v)::text::bytea) "
            "FROM (VALUES (1, NULL), (2, timestamp '2024-02-03')) AS w (v, at)"
        )
    made = found.init("elder", ["demo"])
    assert "0001_common.sql" in made.migrations_present
    assert "0002_months_and_revisions.sql" in made.migrations_applied
    assert (made.tables_made, made.tables_upgraded, made.roles.complete) == ([], ["bronze_demo"], True)
    assert held(found.objects(), ["demo"]) == documented()
    assert found.owners() == {"bronze_owner"}
    assert found.run("SELECT version FROM bronze_demo_current", "board") == [(2,)]
    found.load("worker", [record(n) for n in range(5)])
    assert found.run("SELECT count(*) FROM bronze_demo", "ann") == [(7,)]


def test_without_createrole_the_tables_are_made_and_an_administrators_script_does_the_rest(
    without_roles: tuple[Place, Made], shared: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    found, made = without_roles
    assert made.roles == ([], [], False)
    assert made.tables_made == ["bronze_demo", "bronze_other"]
    assert found.owners() == {"plain"}
    found.load("plain", [record(n) for n in range(5)])
    assert main(["bronze", "init", "--sql"]) == 0
    psql = [str(found.server.programs / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", found.dsn()]
    done = subprocess.run(psql, input=capsys.readouterr().out, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert held(found.objects(), ["demo", "other"]) == documented()
    assert found.owners() == {"bronze_owner"}
    again = found.init("plain")
    assert (again.roles.made, again.roles.complete) == ([], True)
    found.load("plain", [record(n) for n in range(9)])
    assert found.run("SELECT count(*) FROM bronze_demo", "ann") == [(9,)]


def test_an_administrator_may_prepare_a_database_before_there_is_a_table_in_it(shared: Place, tmp_path: Path) -> None:
    found = place(shared.server, "prepared", tmp_path, "landlord")
    found.run(script())
    shared.run("CREATE ROLE lodger LOGIN NOINHERIT; GRANT bronze_owner TO lodger", "keeper")  # may act as the owner, no more
    found.load("lodger", [record(0)])
    found.load("worker", [record(1)])
    assert found.owners() == {"bronze_owner"}
    assert held(found.objects(), ["demo"]) == documented()


def test_whoever_may_not_grant_on_the_database_leaves_the_roles_alone(shared: Place, tmp_path: Path) -> None:
    found = place(shared.server, "borrowed", tmp_path, "lender")
    found.run(
        "CREATE ROLE guest LOGIN CREATEROLE; GRANT CREATE ON SCHEMA public TO guest; GRANT CREATE ON DATABASE borrowed TO guest"
    )
    shared.run("GRANT bronze_owner TO guest", "keeper")
    made = found.init("guest")
    assert (made.tables_made, made.roles.complete) == (["bronze_demo", "bronze_other"], False)
    assert found.owners() == {"guest"}
    found.run("GRANT ALL ON SCHEMA public TO guest WITH GRANT OPTION", "lender")
    assert found.init("guest").roles.complete
    assert held(found.objects(), ["demo", "other"]) == documented()


def test_a_schema_everybody_may_create_in_is_closed_or_the_roles_are_left_out(shared: Place, tmp_path: Path) -> None:
    found = place(shared.server, "open", tmp_path, "host")
    found.run("GRANT CREATE ON SCHEMA public TO PUBLIC; CREATE ROLE tenant LOGIN")
    shared.run("GRANT bronze_owner TO host, tenant", "keeper")
    assert not found.init("tenant").roles.complete
    found.run("GRANT bronze_owner TO tenant", "keeper")
    found.run("REASSIGN OWNED BY tenant TO host")
    assert found.init("host").roles.complete
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        found.run("CREATE TABLE public.mine ()", "ann")


def test_what_a_stranger_gave_such_a_name_stays_the_strangers(shared: Place, tmp_path: Path) -> None:
    found = place(shared.server, "visited", tmp_path, "visited")
    found.run("CREATE ROLE stranger LOGIN; GRANT CREATE ON SCHEMA public TO stranger")
    found.run("CREATE TABLE bronze_trap (x INT); GRANT SELECT ON bronze_trap TO PUBLIC", "stranger")
    found.run("CREATE FUNCTION bronze_trap() RETURNS INT LANGUAGE sql SECURITY DEFINER AS 'SELECT 1'", "stranger")
    found.init("visited")
    found.run(script())
    owners = {row[0]: row[2] for row in found.objects()}
    assert {name for name, owner in owners.items() if owner != "bronze_owner"} == {"bronze_trap", "bronze_trap()"}
    assert found.run("SELECT pg_has_role('stranger', 'bronze_owner', 'MEMBER')") == [(False,)]


def test_a_loader_that_may_only_insert_asks_for_init_where_the_database_is_behind(shared: Place, tmp_path: Path) -> None:
    for behind in ("DELETE FROM bronze_migrations WHERE name = '0004_dead_letters.sql'", "SELECT 1"):
        source = "demo" if behind.startswith("DELETE") else "unheard_of"
        found = place(shared.server, f"behind_{source}", tmp_path, f"owner_{source}")
        shared.run(f"GRANT bronze_owner TO owner_{source}", "keeper")
        found.init(f"owner_{source}", ["demo"])
        found.run(behind)
        before = found.objects()
        with pytest.raises(WarehouseError) as told:
            found.load("worker", [record(0)], source=source)
        assert told.value.mend == "Run `python main.py bronze init` as the owner, then run again."
        assert found.objects() == before


def test_where_there_is_nothing_yet_it_asks_for_init_too(shared: Place, tmp_path: Path) -> None:
    found = place(shared.server, "empty", tmp_path, "nobody_yet")
    with pytest.raises(WarehouseError) as told:
        found.load("worker", [record(0)])
    assert "bronze init" in told.value.mend
    assert found.objects() == []


def test_a_loader_that_may_only_insert_makes_months_and_changes_no_other_table(shared: Place) -> None:
    rows = [record(n, source_timestamp=None if n == 500 else record(n)["source_timestamp"]) for n in range(480, 1800)]
    before = {row[0] for row in shared.objects()}
    shared.load("worker", rows, source="other")
    shared.load("worker", [record(n) for n in range(480, 1800)], source="other")  # what was undated is dated now
    new = {row[0] for row in shared.objects()} - before
    assert new == {"bronze_other_y2024m02", "bronze_other_y2024m03", "bronze_other_y2024m04"}
    assert shared.run("SELECT count(*), count(source_timestamp) FROM bronze_other", "ann") == [(1320, 1320)]
    assert verify(shared.settings("ann"), {}) == []


def test_examples_give_way_to_real_rows_when_an_owner_loads(shared: Place, tmp_path: Path) -> None:
    found = place(shared.server, "sample", tmp_path, "sampler")
    shared.run("GRANT bronze_owner TO sampler", "keeper")
    found.init("sampler")
    for source in ("demo", "other"):
        found.load("worker", [record(0)], source=source, environment="example")
    with pytest.raises(WarehouseError, match="Example records"):
        found.load("worker", [record(1)])
    found.load("sampler", [record(1)])
    assert held(found.objects(), ["demo", "other"]) == documented()
    found.load("worker", [record(2)])


def test_the_documents_statements_restrict_further(shared: Place, tmp_path: Path) -> None:
    found = place(shared.server, "strict", tmp_path, "steward", "CREATEROLE")
    shared.run("GRANT bronze_owner TO steward", "keeper")
    found.init("steward", ["mi_fitness"])
    found.load("worker", [record(0)], source="mi_fitness")
    found.load("worker", [record(1)], source="mi_fitness", environment="production")
    giving_access, *restricting = re.findall(r"```sql\n(.*?)```", (ROOT / "docs/bronze_roles.md").read_text(), re.DOTALL)
    found.run(giving_access, "keeper")
    for statements in restricting:
        found.run(statements.replace("pdp", "strict"), "steward")
    found.run("CREATE ROLE reader LOGIN IN ROLE study_reader")
    assert found.run("SELECT environment FROM bronze_mi_fitness", "reader") == [("production",)]
    assert found.run("SELECT count(*) FROM bronze_mi_fitness", "worker") == [(2,)]
    found.load("worker", [record(n) for n in range(3)], source="mi_fitness")
    assert found.run("SELECT count(*) FROM bronze_mi_fitness", "worker") == [(3,)]
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        found.run("CREATE TEMP TABLE mine (x INT)", "board")
