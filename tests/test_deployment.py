"""What ships for containers, Fly and GitHub: linted, pinned, with no rights it does not need, true to settings and roles."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.settings import Settings
from scripts.cron import Cron

REPO = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent
WORKFLOWS = sorted((REPO / ".github/workflows").glob("*.yml"))
ENTRYPOINT = (REPO / "entrypoint.sh").read_text()
ROLES = {"job", "worker", "web", "api"}
SETTINGS = {name.upper() for name in Settings.model_fields}
OURS = set(re.findall(r"\b(?:PDP_[A-Z_]+|PORT|RETENTION|DASHBOARD_SECRETS_TOML)\b", ENTRYPOINT))
OTHERS = {"FLY_APP", "FLY_API_TOKEN"}
COMPOSE = yaml.safe_load((REPO / "docker-compose.yml").read_text())
FLY = tomllib.loads((REPO / "fly.toml").read_text())


def checked(*command: str | Path, **more: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run([TOOLS / command[0], *command[1:]], cwd=REPO, capture_output=True, text=True, check=False, **more)


@pytest.mark.parametrize(
    "command",
    [
        ("hadolint", "Dockerfile"),
        ("shellcheck", "entrypoint.sh", ".ci/run"),
        ("zizmor", "--offline", "--no-progress", "--quiet", ".github"),
        ("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker-compose.yml", "docker-compose.dev.yml"),
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *map(str, WORKFLOWS)),
        ("check-jsonschema", "--builtin-schema", "vendor.dependabot", ".github/dependabot.yml"),
        ("check-jsonschema", "--schemafile", "tests/schemas/fly.json", "fly.toml"),
    ],
    ids=lambda command: f"{command[0]} {command[-1]}",
)
def test_a_linter_has_nothing_to_say(command: tuple[str, ...]) -> None:
    done = checked(*command)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('kill_timeout = "120s"', "kill_timeout = 120"),
        ("force_https = true", "force_http = true"),
        ('[[restart]]\n  policy = "always"', '[[restart]]\n  policy = "sometimes"'),
        ("[env]", '[schedules]\n  job = "hourly"\n\n[env]'),
        ('memory = "512mb"', 'memory = "half"'),
    ],
)
def test_the_schema_of_fly_toml_finds_what_flyctl_would_refuse(tmp_path: Path, before: str, after: str) -> None:
    text = (REPO / "fly.toml").read_text()
    assert before in text
    (tmp_path / "fly.toml").write_text(text.replace(before, after))
    assert checked("check-jsonschema", "--schemafile", "tests/schemas/fly.json", str(tmp_path / "fly.toml")).returncode == 1


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in yaml.safe_load(path.read_text())["jobs"].items():
            yield f"{path.name}: {name}", job


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_a_workflow_reads_the_code_and_may_do_no_more(path: Path) -> None:
    flow = yaml.safe_load(path.read_text())
    assert flow["permissions"] == {"contents": "read"}
    assert not {"pull_request_target", "workflow_run"} & set(flow[True])  # YAML reads `on` as true
    assert flow["concurrency"]["group"]


@pytest.mark.parametrize(("name", "job"), list(jobs()), ids=lambda value: value if isinstance(value, str) else "")
def test_a_job_is_pinned_and_ends_in_time(name: str, job: dict[str, Any]) -> None:
    assert job["timeout-minutes"] <= 60
    assert "permissions" not in job
    for step in job["steps"]:
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", step.get("uses", "a/b@" + "0" * 40)), name
        if "checkout" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False
        if "run" in step:
            assert "${{" not in step["run"], "an expression in a script is an injection"


def test_every_pin_says_which_version_it_is_and_always_the_same() -> None:
    found: dict[str, set[str]] = {}
    for path in WORKFLOWS:
        for action, pin in re.findall(r"uses: ([\w./-]+)@(.+)", path.read_text()):
            found.setdefault(action, set()).add(pin)
    assert found
    assert all(len(pins) == 1 and re.fullmatch(r"[0-9a-f]{40} # v?\d[\d.]*", *pins) for pins in found.values()), found


def test_the_schedule_avoids_the_full_hour_and_two_runs_at_once() -> None:
    flow = yaml.safe_load((REPO / ".github/workflows/scheduled.yml").read_text())
    crons = [entry["cron"] for entry in flow[True]["schedule"]]
    for cron in crons:
        assert Cron(cron, UTC).after(datetime(2026, 1, 1, tzinfo=UTC)).minute not in {0, 15, 30, 45}
    assert flow["concurrency"] == {"group": "pdp-state", "cancel-in-progress": False}
    assert "workflow_dispatch" in flow[True]
    guard = flow["jobs"]["freshness"]
    assert all(any(f"'{cron}'" in job["if"] for job in flow["jobs"].values()) for cron in crons[1:])
    assert "scripts.last_success" in guard["steps"][-1]["run"]
    for job in flow["jobs"].values():
        assert job["if"].startswith("vars.PDP_SCHEDULED == 'yes'")
        assert job["steps"][-1]["env"]["PDP_SYNC"] == "required"


def names() -> Iterator[tuple[str, str]]:
    """(where, name) of every variable that is set somewhere for our program."""
    for name, job in jobs():
        for step in job["steps"]:
            yield from ((name, variable) for variable in step.get("env", {}))
    yield from (("fly.toml", variable) for variable in FLY["env"])
    for service in ("worker", "api", "dashboard"):
        yield from ((service, variable) for variable in COMPOSE["services"][service]["environment"])


def test_every_variable_is_a_setting_or_one_the_entrypoint_knows() -> None:
    assert {f"{where}: {name}" for where, name in names() if name not in SETTINGS | OURS | OTHERS} == set()


def test_every_variable_of_the_entrypoint_is_documented() -> None:
    text = (REPO / "docs/deploy.md").read_text()
    assert [name for name in OURS if f"`{name}`" not in text] == []


def test_fly_runs_roles_of_the_entrypoint_and_lets_a_push_finish() -> None:
    groups = FLY["processes"]
    assert {command.split()[0] for command in groups.values()} <= ROLES
    assert int(FLY["kill_timeout"].removesuffix("s")) >= 60
    parts = [FLY["http_service"], *FLY["services"], *FLY["mounts"], *FLY["restart"], *FLY["vm"]]
    assert {group for part in parts for group in part["processes"]} == set(groups)
    assert {group for vm in FLY["vm"] for group in vm["processes"]} == set(groups)
    assert FLY["http_service"]["internal_port"] == 8501
    assert FLY["services"][0]["internal_port"] == Settings.model_fields["api_port"].default
    assert json.loads(FLY["env"]["API_ALLOWED_HOSTS"]) == [f"{FLY['app']}.fly.dev"]
    assert not {"STATE_KEY", "STATE_URL", "API_KEY", "DATABASE_URL"} & set(FLY["env"]), "secrets go by fly secrets set"


def test_containers_of_compose_have_no_rights_and_no_door_to_the_network() -> None:
    services = COMPOSE["services"]
    for name in ("worker", "api", "dashboard"):
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert set(service["command"]) <= ROLES
        assert service["depends_on"]["db"]["condition"] == "service_healthy"
    for name, service in services.items():
        assert all(str(port).startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert ("build" in service) or "healthcheck" in service, name
    assert int(re.findall(r"postgres:(\d+)", services["db"]["image"])[0]) >= 15
    assert {name for name, service in services.items() if "profiles" in service} == {"prometheus", "grafana", "moto"}
    dev = yaml.safe_load((REPO / "docker-compose.dev.yml").read_text())["services"]
    assert {watch["path"] for watch in dev["api"]["develop"]["watch"]} <= {path.name for path in REPO.iterdir()}


def test_the_monitoring_of_compose_asks_the_api_by_a_name_it_knows() -> None:
    prometheus = yaml.safe_load(COMPOSE["configs"]["prometheus"]["content"])
    (job,) = prometheus["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["api:8000"]}]
    assert '\\"api\\"' in COMPOSE["services"]["api"]["environment"]["API_ALLOWED_HOSTS"].replace('"api"', '\\"api\\"')
    (secret,) = COMPOSE["services"]["prometheus"]["secrets"]
    assert job["authorization"]["credentials_file"] == secret["target"]
    own = yaml.safe_load((REPO / "infra/monitoring/prometheus.yml").read_text())
    assert own["rule_files"] == prometheus["rule_files"]


def test_the_image_runs_as_nobody_in_particular_and_takes_only_what_is_named() -> None:
    text = (REPO / "Dockerfile").read_text()
    assert re.findall(r"(?m)^USER (.*)", text) == ["10001:10001"]
    assert re.search(r'(?m)^ENTRYPOINT \["tini", "--", "/app/entrypoint.sh"\]', text)
    assert "HEALTHCHECK" in text
    assert "--require-hashes" in text
    ignored = [line for line in (REPO / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert ignored[0] == "*"
    taken = {line[1:] for line in ignored if line.startswith("!")}
    packages = {path.parent.name for path in REPO.glob("*/__init__.py")} - {"bench", "tests"}
    assert packages | {"main.py", "dashboard.py", "entrypoint.sh", "pyproject.toml", "examples", ".streamlit"} <= taken
    assert not taken & {"data", ".env", ".git", ".secrets", "tests", "bench", "docs"}
    assert ignored.index(".streamlit/secrets.toml") > ignored.index("!.streamlit")
    assert all((REPO / name).exists() for name in taken)


@pytest.mark.parametrize(
    "name", [".env", ".env.local", ".secrets/x", ".streamlit/secrets.toml", "service-account-1.json", "data/x"]
)
def test_git_never_takes_what_is_secret(name: str) -> None:
    done = subprocess.run(["git", "check-ignore", "--quiet", "--no-index", name], cwd=REPO, check=False)
    assert done.returncode == 0


def test_a_key_that_is_about_to_be_committed_is_found(tmp_path: Path) -> None:
    assert checked("detect-secrets-hook", "--baseline", ".secrets.baseline", "Makefile").returncode == 0
    key = tmp_path / "settings.py"
    key.write_text(
        f'AWS = "AKIA{"QWERTYUIOPASDFGH"}"\n-----BEGIN RSA {"PRIVATE"} KEY-----\n'
    )  # put together here: no scan finds it
    done = checked("detect-secrets-hook", "--baseline", ".secrets.baseline", str(key))
    assert (done.returncode, "AWS Access Key" in done.stdout, "Private Key" in done.stdout) == (1, True, True)
