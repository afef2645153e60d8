"""A world and a phone -> a log that grows: first the past, replayed fast with its own dates, then live, gently.

The first days of the past stand for the feed the app had before: its pages are random. Then every page comes from
`POST /recommend`. The last days are random again: what people do there judges every network alike, whereas pages that
one network has chosen would flatter it. A person never gets two pages in one batch, so what he did is known before he
asks again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from demo.phone import Page, Phone
from demo.visits import Visit
from demo.world import World

POSTS_ASKED = 16
POSTS_SHOWN = 12
VISITS_PER_BATCH = 32
REQUESTS_AT_ONCE = 4
LIVE_PAUSE_SECONDS = 4.0

RANDOM = "random pages"
Report = Callable[[datetime], None]  # everything up to this moment has been told


@dataclass(frozen=True, slots=True)
class Shown:
    """A page that a visit brought, as it is reported to the service."""

    exposures: list[dict[str, Any]]
    behaviours: list[dict[str, Any]]


def batches(visits: Sequence[Visit]) -> Iterator[list[Visit]]:
    """Visits in the order of time, cut so that no batch holds a person twice."""
    batch: list[Visit] = []
    present: set[str] = set()
    for visit in visits:
        if len(batch) == VISITS_PER_BATCH or visit.person.user_id in present:
            yield batch
            batch, present = [], set()
        batch.append(visit)
        present.add(visit.person.user_id)
    if batch:
        yield batch


def show(world: World, visit: Visit, page: Page, *, scene: str) -> Shown:
    """Let the person see the page; ids are made from visit and place, so that reporting twice is harmless."""
    dice = random.Random(f"{visit.person.user_id}:{visit.at.isoformat()}")  # noqa: S311 (a simulation)
    user_id = visit.person.user_id
    stem = f"sim-{user_id}-{int(visit.at.timestamp() * 1000)}"
    exposures = [
        {
            "exposure_id": f"{stem}-{place}",
            "user_id": user_id,
            "post_id": post_id,
            "shown_at": visit.at.isoformat(),
            "position": place,
            "scene": scene,
            "recommendation_id": page.recommendation_id,
        }
        for place, post_id in enumerate(page.post_ids)
    ]
    behaviours = [
        {
            "behaviour_id": f"{stem}-{doing.place}-{doing.kind}",
            "exposure_id": f"{stem}-{doing.place}",
            "user_id": user_id,
            "post_id": page.post_ids[doing.place],
            "kind": str(doing.kind),
            "at": (visit.at + timedelta(seconds=doing.seconds_after_shown)).isoformat(),
        }
        for doing in world.visit(visit.person, page.post_ids, moment=visit.at, dice=dice)
    ]
    return Shown(exposures, behaviours)


class Simulator:
    """Plays the people of a world through a phone; `served` is the part of the past whose pages the service gives."""

    def __init__(self, world: World, phone: Phone, *, served: tuple[datetime, datetime]) -> None:
        self._world = world
        self._served = served
        self._phone = phone
        self._slots = asyncio.Semaphore(REQUESTS_AT_ONCE)
        self.rates: dict[str, list[float]] = {}  # generation -> true click rate of each of its pages

    async def replay(self, visits: Sequence[Visit], report: Report) -> None:
        """Visits of the past, in order."""
        for batch in batches(visits):
            pages = await asyncio.gather(*(self._page(visit) for visit in batch))
            await self._phone.report_exposures([one for page in pages for one in page.exposures])
            await self._phone.report_behaviours([one for page in pages for one in page.behaviours])
            report(batch[-1].at)

    async def live(self, now: Callable[[], datetime]) -> None:
        """One visit every few seconds, for ever. What a person does later is reported when its time has come."""
        dice = random.Random()  # noqa: S311 (a simulation)
        waiting: list[dict[str, Any]] = []
        while True:
            visit = Visit(now(), dice.choice(self._world.people))
            page = self._as_of(visit.at, await self._phone.recommend(visit.person.user_id, count=POSTS_SHOWN))
            if page.post_ids:
                self._measure(visit, page)
                shown = show(self._world, visit, page, scene="home")
                await self._phone.report_exposures(shown.exposures)
                waiting.extend(shown.behaviours)
            due = [one for one in waiting if datetime.fromisoformat(one["at"]) <= now()]
            await self._phone.report_behaviours(due)
            waiting = [one for one in waiting if one not in due]
            await asyncio.sleep(LIVE_PAUSE_SECONDS)

    async def _page(self, visit: Visit) -> Shown:
        """What a visit of the past shows, at random or by the service."""
        if self._served[0] <= visit.at < self._served[1]:
            async with self._slots:
                page = await self._phone.recommend(visit.person.user_id, count=POSTS_ASKED)
            page = self._as_of(visit.at, page)
        else:
            page = self._random_page(visit)
        self._measure(visit, page)
        return show(self._world, visit, page, scene="home" if page.recommendation_id else RANDOM)

    def _random_page(self, visit: Visit) -> Page:
        """Any posts there were."""
        dice = random.Random(f"random page:{visit.person.user_id}:{visit.at.isoformat()}")  # noqa: S311 (a simulation)
        rows = dice.sample([int(row) for row in self._world.published_rows(visit.at)], POSTS_SHOWN)
        return Page(None, [self._world.posts[row].post_id for row in rows], RANDOM)

    def _as_of(self, moment: datetime, page: Page) -> Page:
        """The page without what was published after `moment`: the service knows today's posts."""
        row_of, posts = self._world.row_of, self._world.posts
        known = [one for one in page.post_ids if one in row_of and posts[row_of[one]].published_at <= moment]
        return replace(page, post_ids=known[:POSTS_SHOWN])

    def _measure(self, visit: Visit, page: Page) -> None:
        if page.post_ids and page.generation is not None:
            rate = self._world.true_click_rate(visit.person.user_id, page.post_ids, visit.at)
            self.rates.setdefault(page.generation, []).append(rate)
