"""A traced request: its span, those of the stores, the match and the rank inside, and nothing of people in them."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.api.log_lines import JsonLines
from app.settings import Settings
from app.tracing import current_trace_id, span, tracing

pytestmark = pytest.mark.anyio
OUTER = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    yield exporter
    exporter.clear()


async def test_a_request_is_one_trace_with_its_stores_its_match_and_its_rank(
    client: httpx.AsyncClient, generation: str, settings: Settings, exporter: InMemorySpanExporter
) -> None:
    events = {"exposures": [{"user_id": "Zq9-person", "post_id": "p0", "shown_at": 1772337600}]}
    acts = {"behaviours": [{"user_id": "Zq9-person", "post_id": "p0", "kind": "like", "at": 1772337601}]}
    await client.post("/exposures", json=events)
    await client.post("/behaviours", json=acts)

    with tracing(settings, process="api", exporter=exporter):
        headers = {"traceparent": f"00-{OUTER}-b7ad6b7169203331-01", "X-Request-Id": "r-1"}
        await client.post("/recommend", json={"user_id": "Zq9-person", "k": 2}, headers=headers)

    spans = {one.name: one for one in exporter.get_finished_spans()}
    request = spans["POST /recommend"]
    assert {"postgresql", "redis", "match", "rank"} <= spans.keys()
    assert {f"{one.context.trace_id:032x}" for one in spans.values()} == {OUTER}
    assert all(one.start_time >= request.start_time for one in spans.values())
    assert request.attributes == {
        "http.route": "/recommend",
        "http.response.status_code": 200,
        "tuwen.request_id": "r-1",
    }
    assert request.resource.attributes["service.name"] == "tuwen-api"
    assert "Zq9" not in json.dumps([json.loads(one.to_json()) for one in spans.values()])


async def test_a_failing_block_tells_the_kind_of_its_error_only(
    settings: Settings, exporter: InMemorySpanExporter
) -> None:
    with tracing(settings, process="api", exporter=exporter), pytest.raises(KeyError), span("work"):
        raise KeyError("Zq9-person")

    (work,) = exporter.get_finished_spans()
    assert (work.status.description, work.events) == ("KeyError", ())


async def test_log_lines_name_the_trace_while_there_is_one(settings: Settings, exporter: InMemorySpanExporter) -> None:
    record = logging.LogRecord("app", logging.INFO, "file", 1, "words", None, None)

    with tracing(settings, process="api", exporter=exporter), span("work"):
        traced = json.loads(JsonLines().format(record))

    assert len(traced["trace_id"]) == 32
    assert "trace_id" not in json.loads(JsonLines().format(record))
    assert current_trace_id() is None


async def test_without_an_endpoint_nothing_is_traced(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)

    with tracing(settings, process="api"), span("work"):
        assert current_trace_id() is None
