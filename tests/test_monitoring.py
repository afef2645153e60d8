"""The files in monitoring/ against /metrics and the runbook: they parse, and everything they name exists."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import promql_parser
import pytest
import yaml

from app.candidates.reindex import run_reindex
from app.domain import Role
from app.intake.posts import save_posts
from app.metrics import Metrics
from app.settings import Settings
from app.storage.keys import create_key
from app.storage.servers import free_port
from app.storage.stores import Stores
from tests.api.conftest import CATALOGUE
from tests.api.test_serve import serving
from tests.test_docs import headings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "monitoring"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"] for rule in group["rules"]]
DASHBOARD = json.loads((FOLDER / "dashboard.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
FROM_PROMETHEUS = {"up"}
FROM_THE_CLIENT_LIBRARY = {"process_start_time_seconds", "process_resident_memory_bytes", "process_cpu_seconds_total"}
PATIENCE_SECONDS = 60


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
            yield panel["title"], filled_in(target["expr"])


def filled_in(expression: str, instance: str = ".*") -> str:
    """What Grafana sends for an expression of a panel; `instance` is a pattern."""
    quoted = instance.replace("\\", r"\\")
    return expression.replace("$__rate_interval", "1m").replace("$instance", quoted)


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
    for panel in PANELS:
        asked = {target["refId"] for target in panel["targets"]}
        assert {override["matcher"]["options"] for override in panel["fieldConfig"]["overrides"]} <= asked
        used = set(re.findall(r"\$(\w+)", " ".join(target["expr"] for target in panel["targets"])))
        assert used <= {"instance", "__rate_interval"}


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool (of Prometheus) is not on the PATH")
def test_prometheus_own_tool_accepts_the_rules_and_they_fire(tmp_path):
    for file in FOLDER.iterdir():
        shutil.copy(file, tmp_path)
    (tmp_path / "tuwen-ops-key").write_text("a key")

    for command in (["check", "config", "prometheus.yml"], ["test", "rules", "alerts_test.yml"]):
        done = subprocess.run(["promtool", *command], cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Settings:
    return settings.model_copy(update={"plan": small_plan, "port": free_port(None)})


Ask = Callable[..., Any]


def rules_of(ask: Ask) -> list[dict[str, Any]]:
    return [rule for group in ask("rules")["groups"] for rule in group["rules"]]


@contextmanager
def prometheus(folder: Path, *, scrapes: int, key: str) -> Iterator[Ask]:
    """A real Prometheus with the files of monitoring/, in a hurry -> what asks its API, once it has scraped twice."""
    for file in FOLDER.iterdir():
        shutil.copy(file, folder)
    config = yaml.safe_load((folder / "prometheus.yml").read_text())
    config["global"] = dict.fromkeys(config["global"], "2s")
    config["scrape_configs"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{scrapes}"]
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    (folder / "tuwen-ops-key").write_text(key)
    address = f"127.0.0.1:{free_port(None)}"
    api = httpx.Client(base_url=f"http://{address}/api/v1/", timeout=PATIENCE_SECONDS)

    def ask(what: str, **parameters: str) -> Any:
        return api.get(what, params=parameters).raise_for_status().json()["data"]

    def has_scraped() -> bool:
        with suppress(httpx.HTTPError):
            scraped = ask("query", query="sum_over_time(up[1m]) >= 2")["result"]
            return bool(scraped) and all(rule["health"] != "unknown" for rule in rules_of(ask))
        return False

    data = folder / "data"
    options = ["--config.file=prometheus.yml", f"--storage.tsdb.path={data}", f"--web.listen-address={address}"]
    with (folder / "prometheus.log").open("wb") as log:
        process = subprocess.Popen(["prometheus", *options], cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not has_scraped():
            assert process.poll() is None, (folder / "prometheus.log").read_text()
            assert time.monotonic() < deadline, ask("targets")
            time.sleep(0.2)
        yield ask
    finally:
        process.kill()
        process.wait()


@pytest.mark.anyio
@pytest.mark.slow
@pytest.mark.skipif(shutil.which("prometheus") is None, reason="prometheus is not on the PATH")
async def test_a_real_prometheus_has_something_of_a_real_service_for_every_panel_and_rule(
    stores: Stores, settings: Settings, tmp_path: Path
) -> None:
    await save_posts(stores, CATALOGUE)
    await run_reindex(stores, requested_by="test")
    key = (await create_key(stores.database, role=Role.OPS, name="prometheus")).secret
    variables = {one["name"]: one["query"] for one in DASHBOARD["templating"]["list"]}
    metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variables["instance"]["query"]).groups()

    with serving(settings):
        service = httpx.Client(
            base_url=f"http://127.0.0.1:{settings.port}",
            headers={"Authorization": f"Bearer {key}"},
            timeout=PATIENCE_SECONDS,
        )
        asked = {"user_id": "u1", "k": 2}
        answers = [service.post("/recommend", json=asked).is_success for _ in range(5)]
        assert any(answers), "a busy machine may refuse some"
        shown = {"user_id": "u1", "post_id": "p0", "shown_at": 1772337600}
        assert service.post("/exposures", json={"exposures": [shown]}).is_success
        with prometheus(tmp_path, scrapes=settings.port, key=key) as ask:
            instances = ask(f"label/{label}/values", **{"match[]": metric})
            empty = set()
            for panel in PANELS:
                for target in panel["targets"]:
                    found = ask("query", query=filled_in(target["expr"], re.escape(instances[0])))["result"]
                    in_legend = set(re.findall(r"{{(\w+)}}", target["legendFormat"]))
                    assert all(in_legend <= series["metric"].keys() for series in found), panel["title"]
                    if not found:
                        empty.add((panel["title"], target["refId"]))
            rules = rules_of(ask)

    assert instances == [f"127.0.0.1:{settings.port}"]
    assert empty <= {("Poorer answers", "A")}  # one count for each thing that was missing; here nothing need be
    assert {(rule["name"], rule["health"]) for rule in rules} == {(rule["alert"], "ok") for rule in RULES}
