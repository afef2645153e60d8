from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from app.errors import Unavailable
from demo.phone import Page, Phone
from demo.simulator import POSTS_SHOWN, RANDOM, Simulator, batches, show
from demo.visits import Visit, past_visits
from demo.world import World, demo_world

pytestmark = pytest.mark.anyio
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
SERVED = (BEGAN + timedelta(days=4), BEGAN + timedelta(days=7))


class Service:
    """Answers like the API, with the first posts of the catalogue, and keeps what it is told."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: dict[str, list[dict[str, Any]]] = {"/exposures": [], "/behaviours": []}
        self.busy_answers = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        assert request.headers["Authorization"] == "Bearer key"
        if self.busy_answers:
            self.busy_answers -= 1
            return httpx.Response(503, headers={"Retry-After": "0"})
        body = json.loads(request.content)
        if request.url.path == "/recommend":
            items = [{"post_id": post.post_id} for post in self.world.posts[: body["k"]]]
            return httpx.Response(200, json={"recommendation_id": "r", "generation": "g", "items": items})
        self.told[request.url.path].extend(body[request.url.path[1:]])
        return httpx.Response(200, json={"items": []})


@pytest.fixture(scope="module")
def world() -> World:
    return demo_world(1, BEGAN)


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def _phone(service: Service) -> Phone:
    return Phone("http://service", key="key", transport=httpx.MockTransport(service))


def test_no_batch_holds_a_person_twice_and_none_is_lost(world: World) -> None:
    visits = past_visits(world, seed=1, until=BEGAN + timedelta(days=13), visits_per_person=3)

    cut = list(batches(visits))

    assert [visit for batch in cut for visit in batch] == visits
    assert all(len({visit.person.user_id for visit in batch}) == len(batch) for batch in cut)


def test_a_visit_shown_twice_reports_the_same_ids(world: World) -> None:
    visit = Visit(BEGAN + timedelta(days=6), world.people[0])
    page = Page("r", [post.post_id for post in world.posts[:12]], "g")

    assert show(world, visit, page, scene="home") == show(world, visit, page, scene="home")


async def test_the_past_is_told_with_its_own_dates_and_nothing_is_shown_before_it_was_published(world: World) -> None:
    service = Service(world)
    visits = past_visits(world, seed=1, until=BEGAN + timedelta(days=8), visits_per_person=2)[:300]
    reached: list[datetime] = []

    await Simulator(world, _phone(service), served=SERVED).replay(visits, reached.append)

    exposures = service.told["/exposures"]
    published = {post.post_id: post.published_at for post in world.posts}
    assert reached[-1] == visits[-1].at
    assert {datetime.fromisoformat(one["shown_at"]) for one in exposures} <= {visit.at for visit in visits}
    assert all(published[one["post_id"]] <= datetime.fromisoformat(one["shown_at"]) for one in exposures)


async def test_every_behaviour_names_an_exposure_that_was_told_and_comes_after_it(world: World) -> None:
    service = Service(world)
    visits = past_visits(world, seed=1, until=BEGAN + timedelta(days=8), visits_per_person=2)[:200]

    await Simulator(world, _phone(service), served=SERVED).replay(visits, lambda until: None)

    shown = {one["exposure_id"]: one for one in service.told["/exposures"]}
    assert len(service.told["/behaviours"]) > 50
    for act in service.told["/behaviours"]:
        exposure = shown[act["exposure_id"]]
        assert (act["user_id"], act["post_id"]) == (exposure["user_id"], exposure["post_id"])
        assert act["at"] > exposure["shown_at"]


async def test_pages_are_random_before_and_after_the_time_that_the_service_serves(world: World) -> None:
    service = Service(world)
    simulator = Simulator(world, _phone(service), served=SERVED)
    visits = past_visits(world, seed=1, until=BEGAN + timedelta(days=8), visits_per_person=2)

    await simulator.replay(visits, lambda until: None)

    first, last = (moment.isoformat() for moment in SERVED)
    scenes = {(one["scene"], first <= one["shown_at"] < last) for one in service.told["/exposures"]}
    assert scenes == {(RANDOM, False), ("home", True)}
    assert set(simulator.rates) == {RANDOM, "g"}
    assert max(Counter((one["user_id"], one["shown_at"]) for one in service.told["/exposures"]).values()) == POSTS_SHOWN


async def test_a_busy_service_is_asked_again(world: World) -> None:
    service = Service(world)
    service.busy_answers = 2

    page = await _phone(service).recommend("person-001", count=3)

    assert page.post_ids == [post.post_id for post in world.posts[:3]]


async def test_a_refusal_is_told_with_what_the_service_said() -> None:
    refusing = httpx.MockTransport(lambda request: httpx.Response(422, text="k: a whole number"))

    with pytest.raises(Unavailable, match="/recommend of the API answered: 422 k: a whole number"):
        await Phone("http://service", key="key", transport=refusing).recommend("person-001", count=3)
