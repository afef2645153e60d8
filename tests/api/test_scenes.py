"""Scenes and experiments, changed while the service runs."""

from __future__ import annotations

from typing import Any

import anyio
import httpx
import pytest
from sqlalchemy import text

from app.api.state import STATE, ApiState
from app.intake.posts import PostRecord, save_posts
from app.main import create_app
from app.storage.postgres import transaction
from app.storage.scene_book import FRESH_SECONDS
from app.storage.stores import Stores
from tests.intake.records import rows

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("generation")]
ONE_OF_AN_AUTHOR = {"author_posts_at_most": 1}
ARMS = [
    {"name": "plain", "share": 0.5, "parameters": {}},
    {"name": "short", "share": 0.5, "parameters": {"category_posts_at_most": 1}},
]


async def page(client: httpx.AsyncClient, **body: Any) -> dict[str, Any]:
    answer = await client.post("/recommend", json={"user_id": "u1", "include_seen": True} | body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def categories(found: dict[str, Any]) -> list[str]:
    return [item["category"] for item in found["items"]]


async def test_a_scenes_parameters_count_from_the_next_request_on_and_requests_come_first(
    client: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    before = await page(client, scene="home")
    stored = await ops.put("/scenes/home", json={"category_posts_at_most": 1})

    assert stored.json()["parameters"] == {"category_posts_at_most": 1}
    assert len(before["items"]) == 5
    assert sorted(categories(await page(client, scene="home"))) == ["food", "leisure", "travel"]
    assert len((await page(client, scene="home", category_posts_at_most=2))["items"]) == 5
    assert len((await page(client, scene="elsewhere"))["items"]) == 5
    assert len((await page(client))["items"]) == 5


async def test_requests_without_a_scene_are_of_the_default_one(
    client: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    await ops.put("/scenes/default", json={"category_posts_at_most": 1})

    assert len((await page(client))["items"]) == 3
    assert "wait for the next page" in (await page(client))["shortfall"]


async def test_a_scene_can_be_read_listed_and_forgotten(client: httpx.AsyncClient, ops: httpx.AsyncClient) -> None:
    weights = {"behaviour_weights": {"click": 1.0, "like": 2.5}, "diversity": 0.0}
    await ops.put("/scenes/a/b", json=weights)

    assert (await ops.get("/scenes/a%2Fb")).json()["parameters"] == weights
    assert [one["scene"] for one in (await ops.get("/scenes")).json()["scenes"]] == ["a/b"]
    assert (await page(client, scene="a/b"))["items"]

    assert [(await ops.delete("/scenes/a%2Fb")).status_code for _ in range(2)] == [204, 204]
    assert (await ops.get("/scenes/a%2Fb")).status_code == 404


@pytest.mark.parametrize(
    "wrong", [{"diversity": 2}, {"k": 3}, {"exploration_share": 0.5}, {"behaviour_weights": {"not_interested": 1}}]
)
async def test_parameters_that_cannot_be_are_refused(ops: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    assert (await ops.put("/scenes/home", json=wrong)).status_code == 422


async def test_another_process_knows_within_two_seconds(ops: httpx.AsyncClient, stores: Stores) -> None:
    other: ApiState = getattr(create_app(stores).state, STATE)
    await other.scenes.current()

    await ops.put("/scenes/home", json=ONE_OF_AN_AUTHOR)

    with anyio.fail_after(2):
        while not (await other.scenes.current()).parameters("home"):
            await anyio.sleep(FRESH_SECONDS / 5)


async def test_a_service_knows_the_scenes_from_its_first_request_on_though_the_database_is_slow(
    ops: httpx.AsyncClient, stores: Stores
) -> None:
    await ops.put("/scenes/home", json=ONE_OF_AN_AUTHOR)
    other = create_app(stores)

    async with other.router.lifespan_context(other), transaction(stores.database) as connection:
        await connection.execute(text("LOCK TABLE scenes"))
        await anyio.sleep(2 * FRESH_SECONDS)
        state: ApiState = getattr(other.state, STATE)
        assert (await state.scenes.current()).parameters("home") == ONE_OF_AN_AUTHOR


async def start(ops: httpx.AsyncClient, name: str = "e1", **body: Any) -> httpx.Response:
    return await ops.put(f"/experiments/{name}", json={"scene": "home", "arms": ARMS} | body)


async def test_a_user_gets_the_pages_of_his_arm_over_those_of_the_scene(
    client: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    await ops.put("/scenes/home", json={"category_posts_at_most": 2})
    assert (await start(ops)).status_code == 200

    for number in range(12):
        found = await page(client, user_id=f"u{number}", scene="home")
        assert found["experiment"] == "e1"
        assert len(found["items"]) == (5 if found["arm"] == "plain" else 3)
    assert (await page(client, scene="elsewhere"))["experiment"] is None


async def test_the_arm_is_in_the_log_whoever_reports_the_showing(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, stores: Stores
) -> None:
    await start(ops)
    arms = {}
    for number in range(6):
        user, recorded = f"u{number}", number % 2 == 0
        found = await page(client, user_id=user, scene="home", record_exposures=recorded)
        arms[user] = found["arm"]
        if not recorded:
            shown = {"user_id": user, "shown_at": 1772337600, "recommendation_id": found["recommendation_id"]}
            showings = [shown | {"post_id": item["post_id"]} for item in found["items"]]
            await client.post("/exposures", json={"exposures": showings})

    logged = await rows(stores, "user_id, experiment, arm FROM exposures")

    assert set(logged) == {(user, "e1", arm) for user, arm in arms.items()}


async def test_rates_per_arm_count_showings_that_were_acted_on(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await start(ops)
    shown, clicked = {"plain": 0, "short": 0}, {"plain": 0, "short": 0}
    for number in range(8):
        found = await page(client, user_id=f"u{number}", scene="home", record_exposures=True)
        shown[found["arm"]] += len(found["items"])
        first, second = found["items"][:2]
        acts = [{"kind": "click", "exposure_id": first["exposure_id"]}] * 2  # twice on one showing counts once
        acts += [{"kind": "click", "user_id": f"u{number}", "post_id": second["post_id"]}]
        await client.post("/behaviours", json={"behaviours": acts})
        clicked[found["arm"]] += 2

    figures = {one["name"]: one for one in (await admin.get("/experiments/e1")).json()["figures"]}

    for arm in ("plain", "short"):
        click = figures[arm]["behaviours"]["click"]
        assert (figures[arm]["showings"], click["acted"]) == (shown[arm], clicked[arm])
        assert click["low"] < click["rate"] < click["high"]
        assert figures[arm]["behaviours"]["like"]["acted"] == 0


async def test_an_experiment_is_not_changed_while_it_runs_and_a_scene_has_one(ops: httpx.AsyncClient) -> None:
    answers = [
        await start(ops),
        await start(ops),
        await start(ops, arms=[ARMS[0]]),
        await start(ops, "e2"),
        await start(ops, "e2", scene="elsewhere"),
    ]

    assert [one.status_code for one in answers] == [200, 200, 409, 409, 200]


async def test_an_ended_experiment_keeps_its_figures_and_leaves_the_scene_to_another(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await start(ops)
    await page(client, scene="home", record_exposures=True)

    assert (await ops.delete("/experiments/e1")).status_code == 204

    assert (await page(client, scene="home"))["experiment"] is None
    ended = (await admin.get("/experiments/e1")).json()
    assert ended["ended_at"] is not None
    assert sum(one["showings"] for one in ended["figures"]) > 0
    assert [(await start(ops)).status_code, (await start(ops, "e2")).status_code] == [409, 200]
    assert [one["experiment"] for one in (await ops.get("/experiments")).json()["experiments"]] == ["e2", "e1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"arms": []},
        {"arms": [ARMS[0] | {"share": 0.6}, ARMS[1]]},
        {"arms": [ARMS[0], ARMS[0]]},
        {"arms": [ARMS[0] | {"name": "has~a~tilde"}]},
        {"arms": [ARMS[0] | {"parameters": {"k": 3}}]},
    ],
)
async def test_arms_that_cannot_be_are_refused(ops: httpx.AsyncClient, wrong: dict[str, Any]) -> None:
    assert (await start(ops, **wrong)).status_code == 422
    assert (await ops.delete("/experiments/e1")).status_code == 404


async def test_chance_and_its_probability_are_in_the_log(client: httpx.AsyncClient, stores: Stores) -> None:
    news = [PostRecord(post_id=f"n{number}", title=f"新 {number}", published_at=1) for number in range(3)]
    await save_posts(stores, news)
    async with transaction(stores.database) as connection:
        await connection.exec_driver_sql("UPDATE posts SET published_at = now(), changed_at = clock_timestamp()")

    with anyio.fail_after(20):
        while not await rows(stores, "post_id FROM exposures WHERE propensity < 0.5"):
            await page(client, k=2, exploration_share=0.1, record_exposures=True)

    for post_id, propensity in await rows(stores, "post_id, propensity FROM exposures WHERE propensity IS NOT NULL"):
        assert propensity == pytest.approx(0.9) or propensity <= 0.1, post_id
