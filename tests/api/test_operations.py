from __future__ import annotations

import asyncio
import hashlib
import json

import httpx
import pytest

from app.api.state import ApiState
from app.candidates.reindex import run_reindex
from app.intake.posts import save_posts
from app.storage.jobs import JobKind, JobState, create_job, get_job
from app.storage.stores import Stores
from tests.api.conftest import CATALOGUE

pytestmark = pytest.mark.anyio


async def test_a_reindex_runs_beside_the_service_and_then_serves(ops: httpx.AsyncClient, stores: Stores) -> None:
    await save_posts(stores, CATALOGUE)
    assert (await ops.get("/health/ready")).status_code == 503

    started = await ops.post("/reindex")
    second = await ops.post("/reindex")

    assert started.status_code == 202
    assert started.json()["state"] == "queued"
    assert second.status_code == 409
    assert second.json()["job"]["job_id"] == started.json()["job_id"]
    assert second.headers["location"] == started.headers["location"]
    async with asyncio.timeout(60):
        while (job := (await ops.get(started.headers["location"])).json())["state"] in ("queued", "running"):
            await asyncio.sleep(0.1)
        while (await ops.get("/health/ready")).status_code != 200:
            await asyncio.sleep(0.05)
    assert (job["state"], job["error"]) == ("done", None)
    page = (await ops.post("/recommend", json={"user_id": "u1"})).json()
    assert page["generation"] == job["generation"]
    assert len(page["items"]) == len(CATALOGUE)


async def test_a_reindex_that_dies_is_marked_failed_and_makes_way(
    ops: httpx.AsyncClient, stores: Stores, state: ApiState
) -> None:
    stores.settings.plan.write_text("[no such section]")  # type: ignore[union-attr]
    await save_posts(stores, CATALOGUE)

    started = (await ops.post("/reindex")).json()
    async with asyncio.timeout(60):
        while (job := (await ops.get(f"/reindex/{started['job_id']}")).json())["state"] in ("queued", "running"):
            await asyncio.sleep(0.1)

    assert job["state"] == "failed"
    assert job["error"]
    assert (await ops.post("/reindex")).status_code == 202


async def test_stopping_the_service_stops_its_reindex_and_says_so(stores: Stores, state: ApiState) -> None:
    job = await state.children.start(requested_by="test")
    await asyncio.sleep(0.2)

    await state.children.close()

    found = await get_job(stores.database, job.job_id)
    assert found.state is JobState.FAILED
    assert "stopped" in str(found.error)


async def test_an_unknown_job_is_not_found(ops: httpx.AsyncClient, stores: Stores) -> None:
    assert (await ops.get("/reindex/never")).status_code == 404
    await create_job(stores.database, JobKind.REINDEX, requested_by="tuwen reindex")
    assert (await ops.post("/reindex")).status_code == 409  # whoever runs it


async def test_an_earlier_generation_serves_again_with_the_next_request(
    ops: httpx.AsyncClient, stores: Stores, state: ApiState, generation: str
) -> None:
    newer = await run_reindex(stores, requested_by="test")

    listed = (await ops.get("/generations")).json()
    promoted = (await ops.post(f"/generations/{generation}/promote")).json()

    assert [one["generation"] for one in listed["generations"]] == [newer, generation]
    assert promoted == {"serving": generation, "before": newer}
    assert (await ops.post("/recommend", json={"user_id": "u1"})).json()["generation"] == generation


async def test_a_damaged_generation_is_refused_and_the_old_one_serves_on(
    ops: httpx.AsyncClient, stores: Stores, generation: str
) -> None:
    newer = await run_reindex(stores, requested_by="test")
    await ops.post(f"/generations/{generation}/promote")
    file = stores.settings.generations / newer / "vectors.npy"
    file.write_bytes(file.read_bytes()[:-1] + b"\xff")

    refused = await ops.post(f"/generations/{newer}/promote")

    assert refused.status_code == 409
    assert refused.json()["type"] == "urn:tuwen:problem:bad-artefact"
    assert (await ops.get("/generations")).json()["serving"] == generation


@pytest.mark.parametrize("name", ["never", "..", "%2e%2e%2f..", "current", "a%2fb"])
async def test_only_generations_can_be_promoted(ops: httpx.AsyncClient, name: str) -> None:
    answer = await ops.post(f"/generations/{name}/promote")

    assert answer.status_code == 404


async def test_a_generation_that_cannot_be_loaded_gives_way_to_the_one_before(
    ops: httpx.AsyncClient, stores: Stores, generation: str
) -> None:
    newer = await run_reindex(stores, requested_by="test")
    await ops.post(f"/generations/{generation}/promote")
    folder = stores.settings.generations / newer
    (folder / "popular.json").write_text("no list")  # of another program, with a manifest to fit
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"]["popular.json"] = hashlib.sha256(b"no list").hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))

    refused = await ops.post(f"/generations/{newer}/promote")

    assert refused.status_code == 409
    assert (await ops.get("/generations")).json()["serving"] == generation
    assert (await ops.post("/recommend", json={"user_id": "u1"})).json()["generation"] == generation
