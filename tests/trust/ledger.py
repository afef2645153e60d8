"""What an honest client sent and was told <-> what is in PostgreSQL: nothing lost, kept twice or made up."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import compress
from operator import not_
from typing import NamedTuple

import psycopg

from app.domain import NOT_INTERESTED
from app.intake.status import ACCEPTED, DUPLICATE
from tests.trust.children import PATIENCE_SECONDS, database_url
from tests.trust.figures import Row
from tests.trust.load import Answer, Client
from tests.trust.world import WORLD, Broken

BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
PARCEL_SECONDS = 0.02  # from one parcel to the next, of which each is two requests
SHOWN = "shown"
_LOGGED = f"""
    SELECT '{SHOWN}', exposure_id, user_id, post_id, shown_at, NULL FROM exposures
    UNION ALL SELECT kind, behaviour_id, user_id, post_id, at, exposure_id FROM behaviours
    UNION ALL SELECT '{NOT_INTERESTED}', behaviour_id, user_id, post_id, at, exposure_id FROM rejections"""


class Event(NamedTuple):
    """A showing or an act, with the ids that the client chose; None for those that it left to the service."""

    kind: str
    event_id: str | None
    user_id: str
    post_id: str
    at: datetime
    exposure_id: str | None  # of the showing that an act answers


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a batch and the events that it stands for."""

    content: dict[str, object]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One batch of one call."""

    name: str  # exposures, behaviours
    items: Sequence[Item]


def act(event: Event) -> dict[str, object]:
    """An act as it is written inside its showing; without an id where the client chose none."""
    return {"kind": event.kind, "at": event.at.isoformat()} | _chosen(behaviour_id=event.event_id)


def _chosen(**ids: str | None) -> dict[str, object]:
    return {name: one for name, one in ids.items() if one is not None}


def parcels_of(user_id: str) -> tuple[Parcel, Parcel]:
    """Three showings with acts inside, four acts by themselves, to be sent in any order; no two events are alike."""
    posts = [post.post_id for post in WORLD.posts[:3]]
    shown = [
        Event(SHOWN, chosen, user_id, post_id, BEGAN + timedelta(minutes=number), None)
        for number, (chosen, post_id) in enumerate(zip((f"{user_id}-0", None, f"{user_id}-2"), posts, strict=True))
    ]

    def of(showing: Event, kind: str, second: int, *, chosen: bool) -> Event:
        event_id = f"{user_id}-act-{second}" if chosen else None
        at = showing.at + timedelta(seconds=second)
        return showing._replace(kind=kind, event_id=event_id, at=at, exposure_id=showing.event_id)

    first, second, third = shown
    inside = {
        first: (of(first, "click", 1, chosen=True), of(first, "like", 2, chosen=False)),
        second: (of(second, "click", 3, chosen=False),),
        third: (),
    }
    alone = [
        of(first, "share", 4, chosen=True),
        of(third, "click", 5, chosen=False),
        of(third, "favourite", 6, chosen=False)._replace(exposure_id=None),  # at whichever showing
        of(third, NOT_INTERESTED, 7, chosen=True),
    ]
    return (
        Parcel("exposures", [Item(_showing(one, acts), (one, *acts)) for one, acts in inside.items()]),
        Parcel("behaviours", [Item(_alone(one), (one,)) for one in alone]),
    )


def _showing(event: Event, acts: Sequence[Event]) -> dict[str, object]:
    shown = {"user_id": event.user_id, "post_id": event.post_id, "shown_at": event.at.isoformat()}
    return shown | _chosen(exposure_id=event.event_id) | {"behaviours": [act(one) for one in acts]}


def _alone(event: Event) -> dict[str, object]:
    owner = _chosen(exposure_id=event.exposure_id, user_id=event.user_id, post_id=event.post_id)
    return act(event) | owner


class Ledger:
    """Sends events, sends those again for which it has no acknowledgement, and keeps account of all."""

    def __init__(self, world: Broken, name: str) -> None:
        self._world = world
        self._name = name
        self._before = self._logged()
        self._users = 0
        self._open: list[Parcel] = []
        self._answers: list[Answer] = []
        self._batches: list[frozenset[Event]] = []  # each of them is one transaction
        self._acknowledged: dict[Event, float] = {}  # when (monotonic seconds)
        self._at_once = 0
        self._kept_unacknowledged = 0

    async def send(self, client: Client, *, seconds: float) -> None:
        """Send parcels for so long; wait for all answers, such as they are, and hold the last two to be lost."""
        ends_at, asked, before = time.monotonic() + seconds, [], len(self._acknowledged)
        while time.monotonic() < ends_at:
            self._users += 1
            for parcel in parcels_of(f"{self._name}-{self._users}"):
                self._batches.append(frozenset(event for item in parcel.items for event in item.events))
                asked.append((parcel, asyncio.create_task(self._ask(client, parcel))))
            await asyncio.sleep(PARCEL_SECONDS)
        for parcel, task in asked:
            self._take(parcel, await task)
        self._at_once += len(self._acknowledged) - before
        self._open += [parcel for parcel, _ in asked[-2:]]

    async def send_again(self, client: Client) -> None:
        """Send what was not acknowledged, as it was, until all of it is."""
        began = time.monotonic()
        while self._open:
            parcel = self._open.pop(0)
            is_new = {event for item in parcel.items for event in item.events}.isdisjoint(self._acknowledged)
            answer = await self._ask(client, parcel)
            if self._take(parcel, answer):
                self._kept_unacknowledged += is_new * answer.json()["duplicate"]
            else:
                assert time.monotonic() - began < PATIENCE_SECONDS, answer
                await asyncio.sleep(0.1)

    async def _ask(self, client: Client, parcel: Parcel) -> Answer:
        content = {parcel.name: [item.content for item in parcel.items]}
        answer = await client.ask(client.post(f"/{parcel.name}", content))
        self._answers.append(answer)
        return answer

    def _take(self, parcel: Parcel, answer: Answer) -> bool:
        """Whether the answer acknowledges anything; what it does not acknowledge stays open."""
        statuses = [one["status"] for one in answer.json()["items"]] if answer.is_good else [""] * len(parcel.items)
        taken = [status in (ACCEPTED, DUPLICATE) for status in statuses]
        for event in (event for item in compress(parcel.items, taken) for event in item.events):
            self._acknowledged.setdefault(event, answer.due_at + answer.seconds)
        if not all(taken):
            self._open.append(Parcel(parcel.name, list(compress(parcel.items, map(not_, taken)))))
        return any(taken)

    def judge_answers(self, row: Row, *, within_seconds: float) -> None:
        """Each batch was answered in time: taken, or refused with the time of another try."""
        refused = [one for one in self._answers if one.status == 503 and b"retry-after:" in one.head.lower()]
        taken = [one for one in self._answers if one.is_good]
        row.saw("batches refused with Retry-After", len(refused))
        row.none(batches_neither_taken_nor_refused=len(self._answers) - len(taken) - len(refused))
        row.at_most(within_seconds, "longest answer to a batch", max(one.seconds for one in self._answers), "s")

    @property
    def _sent(self) -> frozenset[Event]:
        return frozenset().union(*self._batches)

    def acknowledged(self, began: float, ended: float) -> int:
        """How many events were acknowledged between two moments (monotonic seconds)."""
        return sum(began <= moment < ended for moment in self._acknowledged.values())

    def flaws_of_copy(self, address: str, *, begun_at: float) -> dict[str, int]:
        """Compare a copy of the database that was begun at this moment (monotonic seconds), while events came in."""
        copied = self._logged(address)
        new, sent = copied - self._before, self._sent
        due = self._before + Counter(event for event, moment in self._acknowledged.items() if moment < begun_at)
        there = [len(events & new.keys()) for events in self._batches]
        return {
            "lost": (due - copied).total(),
            "duplicated": sum(new[event] > 1 for event in sent),
            "phantom": len(new.keys() - sent),
            "half_batches": sum(0 < n < len(events) for n, events in zip(there, self._batches, strict=True)),
        }

    def judge(self, row: Row) -> None:
        """Compare with the whole log, with what was there before, too."""
        now, sent, due = self._logged(), self._sent, self._before + Counter(self._acknowledged.keys())
        new = now - self._before
        row.saw("events acknowledged", len(self._acknowledged))
        row.saw("of them at once", 100 * self._at_once / len(self._acknowledged), "%")
        row.saw("items kept though not acknowledged, known when sent again", self._kept_unacknowledged)
        row.none(lost=(due - now).total(), duplicated=sum(new[event] > 1 for event in sent))
        row.none(phantom=len(new.keys() - sent))
        assert self._at_once
        assert self._acknowledged.keys() == sent

    def _logged(self, address: str | None = None) -> Counter[Event]:
        with psycopg.connect(address or database_url(self._world.postgres.port)) as connection:
            rows = connection.execute(_LOGGED).fetchall()
        return Counter(
            Event(kind, _unless_derived(one), user_id, post_id, at.astimezone(UTC), _unless_derived(exposure_id))
            for kind, one, user_id, post_id, at, exposure_id in rows
        )


def _unless_derived(event_id: str | None) -> str | None:
    return None if event_id is None or event_id.startswith("derived-") else event_id
