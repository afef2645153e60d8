"""The files in monitoring/ against /metrics and the runbook: they parse, and everything they name exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from app.metrics import Metrics
from tests.test_docs import headings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "monitoring"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
FROM_PROMETHEUS = {"up"}
FROM_THE_CLIENT_LIBRARY = {"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}


def samples() -> dict[str, set[str]]:
    """Every sample that /metrics can have -> its labels."""
    found: dict[str, set[str]] = {}
    for family in Metrics().registry.collect():
        ending = {"counter": ["_total"], "histogram": ["_bucket", "_count", "_sum"]}.get(family.type, [""])
        found |= {f"{family.name}{end}": set() for end in ending}
    for collector in vars(Metrics()).values():
        labels = set(getattr(collector, "_labelnames", ()))
        for name in found:
            if name.startswith(getattr(collector, "_name", "no name")):
                found[name] |= labels
    return found


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Name and labels of every vector that an expression selects; the expression must parse."""
    promql_parser.parse(expression)
    for name, matchers in re.findall(r"\b((?:tuwen|process)_\w+|up)\b(?:\{([^}]*)\})?", expression):
        yield name, set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers))


def expressions() -> Iterator[tuple[str, str]]:
    """Where each expression stands, and the expression as Prometheus gets it."""
    for rule in RULES:
        yield rule["alert"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            yield panel["title"], target["expr"].replace("$__rate_interval", "1m").replace("$instance", ".*")


@pytest.mark.parametrize(("where", "expression"), expressions())
def test_every_expression_parses_and_every_metric_and_label_in_it_exists(where, expression):
    known = samples()

    for name, labels in selectors(expression):
        assert name in known.keys() | FROM_PROMETHEUS | FROM_THE_CLIENT_LIBRARY
        if name in known:
            assert labels <= known[name] | {"instance", "job", "le"}


def test_every_metric_is_shown_or_watched():
    used = {name for _, expression in expressions() for name, _ in selectors(expression)}
    families = {re.sub(r"_(bucket|count|sum)$", "", name) for name in samples() if name.startswith("tuwen_")}

    unused = families - {re.sub(r"_bucket$", "", name) for name in used}
    assert unused == {
        "tuwen_generation_info",
        "tuwen_reindex_jobs_total",
    }  # the first is a name, the second an older one


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_every_alert_says_what_is_wrong_and_where_to_read_on(rule: dict[str, Any]):
    document, _, heading = rule["annotations"]["runbook"].partition("#")

    assert rule["labels"]["severity"] in ("page", "ticket")
    assert len(rule["annotations"]["summary"]) > 20
    assert heading == rule["alert"].lower()
    assert heading in headings(ROOT / document)


def test_every_alert_of_the_runbook_exists():
    written = re.findall(r"^### (Tuwen\w+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)

    assert sorted(written) == sorted(rule["alert"] for rule in RULES)


def test_every_alert_is_tried_out():
    tried = re.findall(r'alertname="(\w+)"', (FOLDER / "alerts_test.yml").read_text())

    assert sorted(tried) == sorted(rule["alert"] for rule in RULES)


def test_the_dashboard_can_be_imported():
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    taken = {
        (x, y)
        for panel in DASHBOARD["panels"]
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    }

    assert len(ids) == len(set(ids))
    assert len(taken) == sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in DASHBOARD["panels"])
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert {one["name"] for one in DASHBOARD["templating"]["list"]} == {"datasource", "instance"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (of Prometheus) is not on the PATH")
def test_prometheus_own_tool_accepts_the_rules_and_they_fire(tmp_path):
    for file in FOLDER.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "tuwen-ops-key").write_text("a key")

    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr
