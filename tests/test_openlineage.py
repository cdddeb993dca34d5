"""OpenLineage: what a run tells is valid, whole, in order and says nothing it should not; delivery survives a bad server."""

from __future__ import annotations

import json
import os
import platform
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from config.addresses import web_address
from config.errors import LineageError
from pipeline.answers.openlineage import events
from pipeline.registry import Registry
from scripts.lineage_server import LineageServer
from tests.engine_bench import REPO, Project

NODES: list[dict[str, Any]] = [
    {"name": "in.read", "stage": "in", "run": "stage:read", "files": {"text": "inbox/**"}, "outputs": {"rows": "rows.txt"}},
    {"name": "out.count", "stage": "out", "run": "stage:count", "inputs": {"rows": "rows.txt"}, "outputs": {"n": "n.txt"}},
    {"name": "out.load", "stage": "out", "run": "stage:load", "inputs": {"rows": "rows.txt"}, "sink": "stage:holds"},
    {"name": "out.bad", "stage": "out", "run": "stage:bad", "inputs": {"rows": "rows.txt"}, "outputs": {"b": "b.txt"}},
]
STAGE = """
import os, signal
def read(inputs, outputs, settings):
    texts = [open(f.path).read() for f in inputs.many("text")]
    with outputs.open("rows") as out:
        out.write("".join(texts).encode())
    balance = {"unit": "row", "came": 3, "fates": {"accepted": 2, "rejected:too_high": 1}}
    return {"rows": {"rows": 2}, "balance": balance, "refused": {"half": 1}}
def count(inputs, outputs, settings):
    with outputs.open("n") as out:
        out.write(open(inputs.one("rows").path, "rb").read()[:1])
    return {"rows": {"n": 1}}
def load(inputs, outputs, settings):
    return {"rows": {"table_of_rows": 2}}
def holds(*_):
    return True
def bad(inputs, outputs, settings):
    raise ValueError(open(inputs.one("rows").path).read())
def killed(inputs, outputs, settings):
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    found = Project(tmp_path, NODES)
    found.write({"stage.py": STAGE, "data/inbox/my log.csv": "q18\n76\n"})
    return found


def runs(project: Project) -> list[str]:
    with sqlite3.connect(project.data / "registry.db") as db:
        ids = [run for (run,) in db.execute("SELECT id FROM run ORDER BY started_at")]
    db.close()
    return ids


def told(project: Project, run: int = -1) -> list[dict[str, Any]]:
    registry = Registry.read(str(project.data))
    assert registry is not None
    try:
        return events(registry, runs(project)[run], "home", "postgres")
    finally:
        registry.close()


def validator() -> Any:
    facets = json.loads((REPO / "docs/openlineage_facets.json").read_text())
    ours = json.loads((REPO / "tests/schemas/openlineage_event.json").read_text())
    registry = jsonschema_rs.Registry([(facets["$id"], facets)])
    return jsonschema_rs.Draft202012Validator(ours, validate_formats=True, registry=registry)


def wrong(found: list[dict[str, Any]]) -> list[str]:
    check = validator()
    return [
        f"{event['job']['name']} {error.instance_path}: {error.message}" for event in found for error in check.iter_errors(event)
    ]


def test_every_run_and_attempt_begins_once_and_ends_once_in_order(project: Project) -> None:
    project.call(jobs=2)
    found = told(project)
    assert wrong(found) == []
    first, *middle, last = found
    assert (first["job"]["name"], last["job"]["name"], last["eventType"]) == ("pipeline", "pipeline", "FAIL")
    assert last["run"]["facets"]["errorMessage"]["message"] == "Not all nodes succeeded; failed: out.bad."
    times = [event["eventTime"] for event in found]
    assert times == sorted(times)
    kinds: dict[str, list[str]] = {}
    for event in found:
        kinds.setdefault(event["job"]["name"] + " " + event["run"]["runId"], []).append(event["eventType"])
    assert sorted((name.split()[0], kind) for name, kind in kinds.items()) == [
        ("in.read", ["START", "COMPLETE"]),
        ("out.bad", ["START", "FAIL"]),
        ("out.count", ["START", "COMPLETE"]),
        ("out.load", ["START", "COMPLETE"]),
        ("pipeline", ["START", "FAIL"]),
    ]
    parents = {event["run"]["facets"]["parent"]["run"]["runId"] for event in middle}
    assert parents == {first["run"]["runId"]}
    assert "parent" not in first["run"]["facets"]


def end(project: Project, node: str, run: int = -1) -> dict[str, Any]:
    return next(e for e in reversed(told(project, run)) if e["job"]["name"] == node)


def test_an_attempt_tells_what_it_read_and_made_with_versions_and_counts(project: Project) -> None:
    project.run()
    read = end(project, "in.read")
    assert [(d["namespace"], d["name"]) for d in read["inputs"]] == [("file://home", "inbox/my log.csv")]
    assert [(d["namespace"], d["name"]) for d in read["outputs"]] == [("file://home", "rows.txt")]
    version = read["outputs"][0]["facets"]["version"]["datasetVersion"]
    assert version.startswith("v1-")
    statistics = read["outputs"][0]["outputFacets"]["outputStatistics"]
    assert (statistics["rowCount"], statistics["size"]) == (2, 7)
    balance = read["run"]["facets"]["pdp_balance"]
    assert (balance["came"], balance["fates"]) == (3, {"accepted": 2, "rejected:too_high": 1})
    count = end(project, "out.count")
    assert count["inputs"][0]["facets"]["version"]["datasetVersion"] == version
    assert count["inputs"][0]["inputFacets"]["inputStatistics"]["rowCount"] == 2
    load = end(project, "out.load")
    assert [(d["namespace"], d["name"]) for d in load["outputs"]] == [("postgres://home", "table_of_rows")]
    with sqlite3.connect(project.data / "registry.db") as db:
        key, code = db.execute("SELECT input_hash, code_id FROM attempt WHERE node = 'in.read'").fetchone()
    db.close()
    identity = read["run"]["facets"]["pdp_identity"]
    assert (identity["inputHash"], identity["codeId"], identity["how"], identity["reasons"]) == (key, code, "computed", ["new"])


def test_events_show_no_value_no_path_no_host_and_no_traceback(project: Project) -> None:
    project.run()
    text = json.dumps(told(project))
    assert "ValueError in stage.py" in text
    for secret in ("q18", "76\\n", str(project.root), platform.node(), "Traceback", os.sep + "stage.py"):
        assert secret not in text


def test_the_same_run_is_told_alike_each_time(project: Project) -> None:
    project.run()
    before = told(project)
    project.write({"data/inbox/my log.csv": "90\n"})
    project.run()
    assert told(project, 0) == before
    assert told(project, 1) != before


def test_a_restored_node_tells_that_its_earlier_version_counts_again(project: Project) -> None:
    project.nodes = NODES[:2]
    project.run()
    project.write({"data/inbox/my log.csv": "90\n"})
    project.run()
    project.write({"data/inbox/my log.csv": "q18\n76\n"})
    assert project.run() == {"in.read": "restored", "out.count": "restored"}
    assert wrong(told(project)) == []
    again, before = end(project, "in.read"), end(project, "in.read", 0)
    assert again["outputs"] == before["outputs"]
    assert again["run"]["runId"] != before["run"]["runId"]
    assert again["run"]["facets"]["pdp_identity"]["how"] == "restored"


def test_an_accepted_node_tells_that_nothing_was_computed(project: Project) -> None:
    project.nodes = NODES[:1]
    project.run()
    with sqlite3.connect(project.data / "registry.db") as db:  # what `accept` leaves
        db.execute("UPDATE attempt SET state = 'accepted', seconds = NULL")
    db.close()
    assert wrong(told(project)) == []
    assert end(project, "in.read")["run"]["facets"]["pdp_identity"]["how"] == "accepted"
    assert told(project)[2]["eventType"] == "COMPLETE"


def test_a_killed_run_has_no_end_until_the_next_one_aborts_it(project: Project) -> None:
    project.nodes = [{"name": "n", "stage": "s", "run": "stage:killed", "files": {"in": "inbox/**"}, "outputs": {"o": "o.txt"}}]
    with pytest.raises(AssertionError):  # it says nothing any more
        project.call()
    assert [event["eventType"] for event in told(project)] == ["START", "START"]
    project.nodes = NODES[:1]
    project.run()
    found = told(project, 0)
    assert wrong(found) == []
    assert [event["eventType"] for event in found] == ["START", "START", "ABORT", "ABORT"]


def test_a_run_in_which_nothing_ran_tells_nothing(project: Project) -> None:
    project.run()
    registry = Registry.read(str(project.data))
    assert registry is not None
    assert events(registry, "0" * 32) == []
    registry.close()


class LineageFake(ThreadingHTTPServer):
    """A lineage server over a socket: keeps what it is sent, answers as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str]]] = []
        """What to answer next; 201 when there is nothing more. Status 0 drops the connection."""
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.taken: list[dict[str, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LineageFake

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((self.path, dict(self.headers)))
        status, headers = self.server.answers.pop(0) if self.server.answers else (201, {})
        if status == 0:
            self.close_connection = True
            return
        if status == 201:
            self.server.taken.append(json.loads(body))
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        answer = b"CANARY of the server" * (status != 201)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def server() -> Iterator[LineageFake]:
    fake = LineageFake()
    thread = threading.Thread(target=fake.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield fake
    fake.shutdown()
    thread.join()
    fake.server_close()


EVENTS = [{"n": n} for n in range(4)]


def test_a_busy_server_is_asked_again_until_it_has_all_events_in_order(server: LineageFake) -> None:
    server.answers = [(503, {"Retry-After": "0"}), (201, {}), (0, {}), (429, {"Retry-After": "1"})]
    began = time.monotonic()
    LineageServer(server.url, "KEY").send(EVENTS)
    assert server.taken == EVENTS
    assert time.monotonic() - began > 1.2
    assert {path for path, _ in server.asked} == {"/api/v1/lineage"}
    assert {headers["Authorization"] for _, headers in server.asked} == {"Bearer KEY"}


@pytest.mark.parametrize(("status", "mend"), [(401, "OPENLINEAGE_API_KEY"), (404, "OPENLINEAGE_URL"), (422, "log")])
def test_an_event_refused_for_good_is_not_sent_again_and_only_its_status_is_told(
    server: LineageFake, status: int, mend: str
) -> None:
    server.answers = [(201, {}), (status, {})]
    with pytest.raises(LineageError, match=f"refused event 2 of 4 with status {status}") as caught:
        LineageServer(server.url, "CANARY-KEY").send(EVENTS)
    assert len(server.asked) == 2
    assert mend in caught.value.mend
    assert "CANARY" not in str(caught.value)


def test_a_server_that_stays_busy_is_given_up(server: LineageFake) -> None:
    server.answers = [(503, {})] * 9
    with pytest.raises(LineageError, match="status 503"):
        LineageServer(server.url).send(EVENTS)
    assert len(server.asked) == 4


def test_a_server_that_keeps_asking_to_wait_holds_up_no_run_for_long(
    server: LineageFake, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept: list[float] = []
    monkeypatch.setattr("scripts.lineage_server.time.sleep", slept.append)
    server.answers = [(503, {"Retry-After": "3600"}), (503, {"Retry-After": "3600"}), (201, {})] * 4
    with pytest.raises(LineageError, match="event 2 of 4 with status 503"):
        LineageServer(server.url).send(EVENTS)
    assert slept == [10.0, 10.0]


def test_the_token_follows_no_redirect(server: LineageFake) -> None:
    server.answers = [(307, {"Location": f"{server.url}/elsewhere"})]
    with pytest.raises(LineageError, match="status 307"):
        LineageServer(server.url, "KEY").send(EVENTS)
    assert [path for path, _ in server.asked] == ["/api/v1/lineage"]


def test_an_address_with_a_path_is_taken_as_it_is(server: LineageFake) -> None:
    LineageServer(f"{server.url}/my/lineage?tenant=1").send(EVENTS[:1])
    assert server.asked[0][0] == "/my/lineage?tenant=1"


def test_no_server_and_no_such_host_are_one_sentence() -> None:
    fake = LineageFake()
    fake.server_close()
    for url in (fake.url, f"http://{'a' * 80}.invalid"):
        with pytest.raises(LineageError, match="cannot be reached"):
            LineageServer(url).send(EVENTS)


def test_a_key_that_cannot_be_sent_is_not_shown() -> None:
    for key in ("CANARY\r\nX: y", "CANARY\u2026"):
        with pytest.raises(LineageError) as caught:
            LineageServer("http://localhost", key)
        assert "CANARY" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    ["ftp://h", "localhost:5000", "http://", "http://u:CANARY@h", "http://u@h", "http://h:port", "http://h/a b", "http://h\n"],
)
def test_an_address_that_is_none_or_holds_a_password_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(ValueError, match="it ") as caught:
        web_address(text)
    assert "CANARY" not in str(caught.value)


SHEET = "Date,Heart rate,Systolic,Diastolic,Comments\n2025-03-03 06:27:47,56,121,79,\n"


class Cli:
    """The commands on a small inbox, with a lineage server."""

    def __init__(self, data: Path) -> None:
        self.data = data
        path = data / "inbox/bp_csv/bp.csv"
        path.parent.mkdir(parents=True)
        path.write_text(SHEET)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith("OPENLINEAGE")}
        self.env |= {"DATA_DIR": str(data), "TIMEZONE": "Europe/Warsaw", "PYTHONDONTWRITEBYTECODE": "1"}

    def __call__(self, *arguments: str, flags: tuple[str, ...] = (), **env: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, *flags, "main.py", *arguments]
        return subprocess.run(command, cwd=REPO, env={**self.env, **env}, capture_output=True, text=True, check=False)


RUN = ("--until-stage", "normalization")


def test_a_run_tells_the_server_and_the_file_by_itself_and_a_run_with_nothing_to_do_is_silent(
    tmp_path: Path, server: LineageFake
) -> None:
    cli = Cli(tmp_path / "data")
    env = {"OPENLINEAGE_URL": server.url, "OPENLINEAGE_API_KEY": "CANARY-KEY", "OPENLINEAGE_FILE": "lineage.ndjson"}
    first = cli(*RUN, **env)
    assert first.returncode == 0, first.stderr
    assert wrong(server.taken) == []
    assert [event["eventType"] for event in server.taken][0::7] == ["START", "COMPLETE"]
    assert {event["job"]["name"] for event in server.taken} == {
        "pipeline",
        "ingestion.bp_csv.extract",
        "ingestion.bp_csv.records",
        "normalization.bp_csv",
    }
    assert {headers["Authorization"] for _, headers in server.asked} == {"Bearer CANARY-KEY"}
    file = cli.data / "lineage.ndjson"
    assert [json.loads(line) for line in file.read_text().splitlines()] == server.taken
    assert file.stat().st_mode & 0o777 == 0o600
    second = cli(*RUN, flags=("-X", "importtime"), **env)
    assert second.stdout.startswith("Nothing to do")
    assert len(server.asked) == 8
    assert "openlineage" not in second.stderr
    assert "lineage_server" not in second.stderr
    kept = b"".join(path.read_bytes() for path in cli.data.rglob("*") if path.is_file())
    assert "CANARY" not in first.stdout + first.stderr + second.stdout + second.stderr
    assert b"CANARY" not in kept


def test_a_failing_server_never_fails_the_run_and_the_command_tells_it_later(tmp_path: Path, server: LineageFake) -> None:
    cli = Cli(tmp_path / "data")
    server.answers = [(401, {})]
    done = cli(*RUN, OPENLINEAGE_URL=server.url, OPENLINEAGE_API_KEY="CANARY-KEY")
    assert done.returncode == 0
    warnings = [line for line in done.stderr.splitlines() if "Lineage was not told" in line]
    assert len(warnings) == 1
    assert "status 401" in warnings[0]
    assert "CANARY" not in done.stdout + done.stderr
    run = warnings[0].split()[-1]
    again = cli("openlineage", run[:8], OPENLINEAGE_URL=server.url)
    assert again.stdout.strip() == f"8 events of run {run} sent."
    assert len(server.taken) == 8


def test_the_command_prints_appends_and_sends(tmp_path: Path, server: LineageFake) -> None:
    cli = Cli(tmp_path / "data")
    cli(*RUN)
    printed = [json.loads(line) for line in cli("openlineage").stdout.splitlines()]
    assert len(printed) == 8
    assert json.loads(cli("openlineage", "--json").stdout)["events"] == printed
    out = tmp_path / "events.ndjson"
    for times in (1, 2):
        done = cli("openlineage", "--out", str(out), "--url", server.url)
        assert "appended" in done.stdout
        assert "sent" in done.stdout
        assert [json.loads(line) for line in out.read_text().splitlines()] == printed * times
        assert server.taken == printed * times
    assert out.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_told_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    cli = Cli(tmp_path / "data")
    cli("--only-stage", "ingestion")
    for arguments, words in [
        (("ffff",), "There is no run 'ffff'"),
        (("--out", "/nowhere/at/all"), "could not be written: No such file"),
        (("--url", "http://me:CANARY@localhost"), "it holds a user or a password"),
    ]:
        done = cli("openlineage", *arguments)
        assert done.returncode == 2
        assert words in done.stderr
        assert "CANARY" not in done.stderr


def test_a_wrong_address_in_the_settings_is_named_without_its_password(tmp_path: Path) -> None:
    done = Cli(tmp_path / "data")("plan", OPENLINEAGE_URL="http://me:CANARY@localhost")
    assert done.returncode == 2
    assert "openlineage_url" in done.stderr
    assert "CANARY" not in done.stderr
    assert Cli(tmp_path / "other")("plan", OPENLINEAGE_URL="").returncode == 0


def test_no_node_depends_on_who_is_told() -> None:
    from config.sources import SOURCES
    from pipeline.nodes import nodes

    for node in nodes(SOURCES, [s for s in SOURCES if SOURCES[s].live]):
        assert not [name for name in (*node.settings, *node.secrets) if name.startswith("openlineage")]


def test_openlineages_own_client_reads_every_event(project: Project) -> None:
    """The client's classes are generated from the specification; each checks that its required fields are there and nothing else."""
    python = Path(os.environ.get("PDP_AIRFLOW_PYTHON", REPO / ".venv-airflow/bin/python"))
    if (
        not python.exists()
        or subprocess.run([python, "-c", "import openlineage.client"], capture_output=True, check=False).returncode
    ):
        pytest.skip("OpenLineage's own client is NOT THERE, so nothing was checked against it: make airflow")
    project.call(jobs=2)
    found = told(project)
    done = subprocess.run(
        [python, REPO / "tests/openlineage_client_bench.py"],
        input="\n".join(map(json.dumps, found)),
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "OPENLINEAGE_DISABLED": "true"},
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["events"] == len(found)
    assert set(seen["facets"]) >= {"ParentRunFacet", "ErrorMessageRunFacet", "JobTypeJobFacet", "DatasetVersionDatasetFacet"}


def test_events_are_valid_by_the_specifications_own_schemas(project: Project) -> None:
    """`PDP_OPENLINEAGE_SPEC` is the `spec` folder of an OpenLineage checkout: its schemas are looked at, not shipped."""
    spec = os.environ.get("PDP_OPENLINEAGE_SPEC")
    if not spec:
        pytest.skip("OpenLineage's schema files are NOT THERE: set PDP_OPENLINEAGE_SPEC to the spec folder of a checkout")
    texts = [path.read_text() for path in (Path(spec) / "OpenLineage.json", *sorted(Path(spec).glob("facets/*.json")))]
    core, *facets = [json.loads(text) for text in texts]
    older = set(re.findall(r"https://openlineage\.io/spec/[\d-]+/OpenLineage\.json", "".join(texts)))
    registry = jsonschema_rs.Registry(
        [(url, {**core, "$id": url}) for url in older | {core["$id"]}] + [(schema["$id"], schema) for schema in facets]
    )
    where = {name: schema["$id"] for schema in (core, *facets) for name in schema["$defs"]}
    project.call(jobs=2)
    checked = set()
    for event in told(project):
        for pointer, value in [(event["schemaURL"], event), *_facets(event)]:
            name = pointer.rpartition("/")[2]
            if pointer.startswith("urn:pdp:"):
                continue
            schema = {"$schema": core["$schema"], "$ref": f"{where[name]}#/$defs/{name}"}
            check = jsonschema_rs.Draft202012Validator(schema, validate_formats=True, registry=registry)
            assert [error.message for error in check.iter_errors(value)] == []
            checked.add(name)
    assert {"RunEvent", "ParentRunFacet", "OutputStatisticsOutputDatasetFacet"} <= checked


def _facets(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        if "_schemaURL" in value:
            yield value["_schemaURL"], value
        for part in value.values():
            yield from _facets(part)
    elif isinstance(value, list):
        for part in value:
            yield from _facets(part)
