from __future__ import annotations

from collections.abc import Callable
from math import isnan

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

pytestmark = pytest.mark.anyio


def figures(text: str) -> dict[tuple[str, ...], float]:
    """Name and label values of each sample -> its value."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name, *sample.labels.values()): sample.value for sample in samples}


async def test_before_the_first_generation_it_lives_and_is_not_ready(ops: httpx.AsyncClient) -> None:
    ready = await ops.get("/health/ready")
    page = await ops.post("/recommend", json={"user_id": "u1"})

    assert (await ops.get("/health/live")).json() == {"status": "live"}
    assert (ready.status_code, ready.json()["missing"]) == (503, ["generation"])
    assert (page.status_code, page.json()["type"]) == (503, "urn:tuwen:problem:unavailable")
    assert "retry-after" in ready.headers
    assert "retry-after" in page.headers


async def test_with_a_generation_it_is_ready(ops: httpx.AsyncClient, generation: str) -> None:
    assert (await ops.get("/health/ready")).json() == {"status": "ready", "degraded": []}


async def test_without_the_database_it_is_degraded_and_still_ready(
    ops: httpx.AsyncClient, admin: httpx.AsyncClient, generation: str, cut_off: Callable[[], None]
) -> None:
    await ops.get("/generations")
    await admin.get("/health")  # the keys are known
    cut_off()

    ready = await ops.get("/health/ready")
    health = await admin.get("/health")

    assert (ready.status_code, ready.json()) == (200, {"status": "degraded", "degraded": ["database"]})
    assert health.json()["stores"]["database"]["answers"] is False
    assert health.json()["counts"] is None


async def test_an_admin_sees_stores_counts_jobs_and_versions(admin: httpx.AsyncClient, generation: str) -> None:
    found = (await admin.get("/health")).json()

    assert found["status"] == "ready"
    assert found["generation"]["generation"] == generation
    assert found["generation"]["candidates"] == found["counts"]["posts"] == 5
    assert found["jobs"][0]["state"] == "done"
    assert found["versions"]["torch"]


async def test_metrics_count_requests_posts_items_and_the_generation(ops: httpx.AsyncClient, generation: str) -> None:
    await ops.post("/recommend", json={"user_id": "u1", "k": 2})
    await ops.post("/exposures", json={"exposures": [{"user_id": "u1", "post_id": "p0", "shown_at": 1772337600}]})
    await ops.get("/posts/some-secret-id")

    text = (await ops.get("/metrics")).text

    found = figures(text)
    assert found["tuwen_http_requests_total", "POST", "/recommend", "200"] == 1
    assert found["tuwen_http_requests_total", "GET", "/posts/{post_id}", "404"] == 1
    assert found["tuwen_recommended_posts_total", "fresh"] == 2
    assert found["tuwen_items_total", "exposure", "accepted"] == 1
    assert found["tuwen_generation_info", generation, "start"] == 1
    assert found["tuwen_candidates",] == 5
    assert found["process_resident_memory_bytes",] > 0
    assert "some-secret-id" not in text


async def test_metrics_tell_of_the_log_the_jobs_the_stores_and_the_disk(
    ops: httpx.AsyncClient, generation: str
) -> None:
    before = figures((await ops.get("/metrics")).text)
    shown = [{"user_id": "u1", "post_id": post_id, "shown_at": 1772337600} for post_id in ("p0", "nowhere")]
    await ops.post("/exposures", json={"exposures": shown})
    after = figures((await ops.get("/metrics")).text)

    assert isnan(before["tuwen_log_age_seconds",])
    assert 0 <= after["tuwen_log_age_seconds",] < 30
    assert isnan(after["tuwen_learnt_age_seconds",])  # nothing was trained
    assert 0 <= after["tuwen_job_age_seconds", "reindex", "done"] < 30
    assert after["tuwen_job_seconds", "reindex"] > 0
    assert after["tuwen_jobs_under_way", "train"] == 0
    assert (after["tuwen_store_up", "database"], after["tuwen_store_up", "cache"]) == (1, 1)
    assert abs(after["tuwen_database_clock_ahead_seconds",]) < 5
    assert after["tuwen_home_free_bytes",] > 0
    assert (before["tuwen_dead_letters",], after["tuwen_dead_letters",]) == (0, 1)
    assert after["tuwen_training_rejected",] == 0


async def test_without_the_database_metrics_say_so_and_the_rest_goes_on(
    ops: httpx.AsyncClient, generation: str, cut_off: Callable[[], None]
) -> None:
    await ops.get("/metrics")  # the key is known
    cut_off()

    found = figures((await ops.get("/metrics")).text)

    assert (found["tuwen_store_up", "database"], found["tuwen_store_up", "cache"]) == (0, 1)
    assert isnan(found["tuwen_log_age_seconds",])
    assert found["tuwen_candidates",] == 5
