"""What ships for Prometheus and Grafana, and the document about it, speak of metrics, labels, rules and defaults that exist."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from config.alerting import Alerts, Email
from config.settings import Settings
from serving.alerts.rules import RULES
from serving.metrics.catalog import CATALOG

REPO = Path(__file__).resolve().parent.parent
INFRA = REPO / "infra/monitoring"
DOCUMENT = (REPO / "docs/monitoring.md").read_text()
SERIES = {
    name: metric
    for metric in CATALOG.values()
    for name in ({metric.name} if metric.kind != "summary" else {metric.name + "_count", metric.name + "_sum"})
}
OUTSIDE = {"instance", "environment"}
"""Labels Prometheus itself gives."""
WORDS = {"by", "on", "and", "sum", "max", "min", "abs", "time", "topk", "increase", "absent"}


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load((INFRA / "pdp.rules.yml").read_text())["groups"]
    return list(group["rules"])


def panels() -> list[dict[str, Any]]:
    return [p for p in json.loads((INFRA / "grafana/dashboards/pdp.json").read_text())["panels"] if p["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for rule in rules():
        yield rule["alert"], rule["expr"]
    for panel in panels():
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$instance", ".*")


@pytest.mark.parametrize(("who", "expression"), list(expressions()))
def test_an_expression_speaks_of_series_and_labels_that_exist(who: str, expression: str) -> None:
    bare = re.sub(r'"[^"]*"', '""', expression)
    for opening, closing in ("()", "{}", "[]"):
        assert bare.count(opening) == bare.count(closing)
    named = re.findall(r"\bpdp_\w+", bare)
    assert named
    assert set(named) <= set(SERIES)
    for name, selector in re.findall(r"(pdp_\w+)\{([^}]*)\}", bare):
        assert set(re.findall(r"(\w+)\s*(?:=~|!=|=)", selector)) <= {*SERIES[name].labels, *OUTSIDE}
    for group in re.findall(r"\b(?:by|on) \(([^)]*)\)", bare):
        labels = {label for name in named for label in SERIES[name].labels}
        assert {label.strip() for label in group.split(",")} <= labels | OUTSIDE
    rest = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\b(?:by|on) \([^)]*\)|pdp_\w+", " ", bare)
    assert set(re.findall(r"[a-z_]+", rest)) <= WORDS


def test_a_counter_is_only_told_as_a_rate_or_a_sum_of_its_kind() -> None:
    for who, expression in expressions():
        for name in re.findall(r"pdp_\w+_total\b", expression):
            assert re.search(rf"increase\({name}|sum by \(node\) \({name}", expression), who


def test_every_series_is_used_somewhere_or_is_plain_to_ask_for() -> None:
    used = {name for _, expression in expressions() for name in re.findall(r"pdp_\w+", expression)}
    asked = {"pdp_last_run_timestamp_seconds", "pdp_node_duration_seconds_count", "pdp_node_duration_seconds_sum"}
    assert set(SERIES) - used == asked


def test_legends_and_texts_name_labels_their_expression_has() -> None:
    for panel in panels():
        for target in panel["targets"]:
            kept = re.findall(r"by \(([^)]*)\)", target["expr"])
            labels = {part.strip() for part in ",".join(kept).split(",")} if kept else set()
            labels |= {label for n in re.findall(r"pdp_\w+", target["expr"]) for label in SERIES[n].labels} if not kept else set()
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels, panel["title"]
    for rule in rules():
        grouped = re.findall(r"by \(([^)]*)\)", rule["expr"])
        names = re.findall(r"pdp_\w+", rule["expr"])
        labels = {p.strip() for p in ",".join(grouped).split(",")} if grouped else {la for n in names for la in SERIES[n].labels}
        for label in re.findall(r"\$labels\.(\w+)", str(rule["annotations"])):
            assert label in labels, rule["alert"]


def test_the_rules_are_those_of_the_setting_with_its_defaults() -> None:
    found = {rule["labels"]["rule"]: rule["expr"] for rule in rules() if "rule" in rule["labels"]}
    assert list(found) == list(RULES)
    wanted = Alerts()
    assert f">= {wanted.error_rate.records}" in found["error_rate"]
    assert found["error_rate"].rstrip().endswith(f"> {wanted.error_rate.share}")
    assert f"> {wanted.freshness.hours:g} * 3600" in found["freshness"]
    assert f'measure=~"{"|".join(wanted.quality.measures)}"' in found["quality"]
    assert found["storage"].endswith(f"< {wanted.storage.free_share}")
    assert f"< {wanted.rate_limit.remaining_share}" in found["rate_limit"]
    assert f"<= {wanted.rate_limit.hours:g} * 3600" in found["rate_limit"]
    assert f"> {wanted.row_counts.change} *" in found["row_counts"]
    assert f"<= {wanted.row_counts.hours:g} * 3600" in found["row_counts"]


def test_every_rule_has_a_severity_a_sentence_and_a_mend() -> None:
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["alert"].startswith("Pdp")
        assert rule["labels"]["severity"] in {"critical", "warning"}
        assert set(rule["annotations"]) == {"summary", "description"}
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}


def test_promtool_agrees_where_it_is_installed() -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not installed")
    for arguments in (["check", "rules", "pdp.rules.yml"], ["test", "rules", "pdp.rules.test.yml"]):
        done = subprocess.run([promtool, *arguments], cwd=INFRA, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_tests_cover_every_rule() -> None:
    text = (INFRA / "pdp.rules.test.yml").read_text()
    assert {rule["alert"] for rule in rules()} <= set(re.findall(r"Pdp\w+", text))
    for series in re.findall(r"\bpdp_\w+", text):
        assert series in SERIES or series == "pdp_rules"


def test_prometheus_reads_the_rules_and_the_three_ways() -> None:
    found = yaml.safe_load((INFRA / "prometheus.yml").read_text())
    assert [(INFRA / name).exists() for name in found["rule_files"]] == [True]
    jobs = {job["job_name"]: job for job in found["scrape_configs"]}
    assert set(jobs) == {"pdp", "node", "pushgateway"}
    assert jobs["pushgateway"]["honor_labels"] is True
    assert jobs["pdp"].get("metrics_path", "/metrics") == "/metrics"
    port = Settings.model_fields["api_port"].default
    assert jobs["pdp"]["static_configs"][0]["targets"] == [f"localhost:{port}"]
    assert "secret" not in str(found).lower()


def test_alertmanager_sends_to_a_receiver_it_has() -> None:
    found = yaml.safe_load((INFRA / "alertmanager.yml").read_text())
    assert found["route"]["receiver"] in {receiver["name"] for receiver in found["receivers"]}


def test_the_dashboard_is_one_grafana_loads() -> None:
    board = json.loads((INFRA / "grafana/dashboards/pdp.json").read_text())
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= set(board)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken, f"{panel['title']} lies on another panel"
        assert max(x for x, _ in cells) < 24
        taken |= cells
    variables = {variable["name"] for variable in board["templating"]["list"]}
    assert set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"]))) <= variables
    for panel in panels():
        assert panel["description"].endswith(".")
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_the_dashboards_source_is_the_one_that_is_provided() -> None:
    (source,) = yaml.safe_load((INFRA / "grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"]
    assert (source["type"], source["isDefault"]) == ("prometheus", True)
    (provider,) = yaml.safe_load((INFRA / "grafana/provisioning/dashboards/pdp.yml").read_text())["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"] in DOCUMENT


def test_the_document_tells_every_metric_as_the_code_does() -> None:
    told = re.findall(r"(?m)^\| `(pdp_\w+)` \| (\w+) \| (.*?) \| (.*) \|$", DOCUMENT)
    code = [(m.name, m.kind, ", ".join(f"`{label}`" for label in m.labels) or "–", m.meaning) for m in CATALOG.values()]
    assert told == code
    assert set(re.findall(r"pdp_\w+", DOCUMENT)) <= {*CATALOG}


def test_the_document_tells_every_rule_and_setting_with_its_default() -> None:
    for name, rule in ((name, getattr(Alerts(), name)) for name in RULES):
        (row,) = re.findall(rf"(?m)^\| `{name}` \| .*$", DOCUMENT)
        for part, default in rule.model_dump(mode="json").items():
            shown = json.dumps(default).replace('"', "") if not isinstance(default, float) else f"{default:g}"
            assert f"`{part}: {shown}`" in row or part == "enabled", (name, part)
    for name in (
        "metrics_textfile",
        "metrics_push_url",
        "alerts",
        "alert_webhook_url",
        "alert_webhook_header",
        "alert_email_password",
    ):
        assert name in Settings.model_fields
        assert f"`{name}`" in DOCUMENT
    assert {field for field in Settings.model_fields if field.startswith(("alert", "metrics_"))} - {"metrics_open"} == {
        name for name in Settings.model_fields if f"`{name}`" in DOCUMENT and name.startswith(("alert", "metrics_"))
    }
    for part in Email.model_fields:
        assert f"`{part}`" in DOCUMENT or f"`{part}:" in DOCUMENT, part
    assert f"`repeat_hours` ({Alerts().repeat_hours:g})" in DOCUMENT


def test_the_yaml_of_the_settings_shows_the_defaults() -> None:
    text = (REPO / "config/settings.yaml").read_text()
    block = text[text.index("# alerts:") :].partition("\n\n")[0]
    shown = yaml.safe_load("\n".join(line[2:] for line in block.splitlines() if line.startswith("# ")))["alerts"]
    parsed = Alerts(**shown)
    assert parsed.model_copy(update={"email": None, "freshness": Alerts().freshness}) == Alerts()
    assert parsed.freshness.hours == Alerts().freshness.hours
