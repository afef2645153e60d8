"""A load that goes on while something breaks, is mended and settles, and the judging of what was answered meanwhile.

What a page may and must lack is that of docs/api.md, "When a store is down".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import count

from tests.trust.figures import Row
from tests.trust.load import Answer, Answers, Client, percentile_ms
from tests.trust.world import WORLD, Broken

DEADLINE_MS = 300
GOOD_PERCENT = 99.9
BEFORE_SECONDS = 1.0
WHOLE_SECONDS = 10  # from when it is mended
POSTGRES, VALKEY = "postgres", "valkey"
CACHE, HISTORY, EXPOSURES = "cache", "history", "exposures"
MAY_LACK = {VALKEY: {CACHE}, POSTGRES: {HISTORY, "peers", "changes", EXPOSURES}}
NEWCOMERS_EVERY, RECORDED_EVERY = 4, 8
newcomers = count(1)


def page_for(client: Client, number: int, *, records: bool = False) -> bytes:
    """Three of four requests are of known people, one is of somebody whom nobody has asked for before; every second of
    these may want the page recorded as shown."""
    is_newcomer = number % NEWCOMERS_EVERY == 0
    user = f"new-{next(newcomers)}" if is_newcomer else f"u{number % WORLD.users_count}"
    wants_record = records and number % RECORDED_EVERY == 0
    return client.post("/recommend", {"user_id": user, "k": 10, "record_exposures": wants_record})


@dataclass(frozen=True)
class Ordeal:
    """The answers to a load, by the numbers of their requests, and when what happened (monotonic seconds)."""

    answers: Answers
    broken_at: float
    healing_at: float
    healed_at: float
    whole_at: float  # an answer lacked nothing again

    @property
    def fault(self) -> Answers:
        """Those that were due until the mending began."""
        return self.answers.after(self.broken_at, self.healing_at)

    @property
    def comeback(self) -> Answers:
        """Those that were due from then on."""
        return self.answers.after(self.healing_at)

    @property
    def settled(self) -> Answers:
        """Those that were due once an answer had lacked nothing."""
        return self.answers.after(self.whole_at)


async def under_load(
    world: Broken,
    per_second: float,
    *,
    seconds: float,
    settling: float,
    broken: Callable[[], None],
    healed: Callable[[], None],
) -> Ordeal:
    """Break something a second after the load has begun, and mend it after so many seconds, in a thread; the load goes
    on through that, and for as long as it is to settle from the first answer that lacks nothing."""
    client, is_over = world.client(), asyncio.Event()
    pages = partial(page_for, client, records=True)
    loading = asyncio.create_task(client.open_loop(per_second, pages, until=is_over.is_set))
    try:
        await asyncio.sleep(BEFORE_SECONDS)
        broken_at = time.monotonic()
        broken()
        await asyncio.sleep(seconds)
        healing_at = time.monotonic()
        await asyncio.to_thread(healed)
        healed_at = time.monotonic()
        await until_whole(client)
        whole_at = time.monotonic()
        await asyncio.sleep(settling)
    finally:
        is_over.set()
        answers = await loading
    client.close()
    return Ordeal(answers, broken_at, healing_at, healed_at, whole_at)


async def until_whole(client: Client) -> float:
    """Seconds until an answer lacks nothing, and was recorded."""
    began = time.monotonic()
    while True:
        answer = await client.ask(page_for(client, 0, records=True))
        if answer.is_good and not answer.json()["degraded"]:
            return time.monotonic() - began
        assert time.monotonic() - began < 30, answer
        await asyncio.sleep(0.1)


def judge(row: Row, ordeal: Ordeal, *away: str, is_full: bool, is_steady: bool = True) -> None:
    """The same for every fault, with the names of the stores that it took away. On a busy machine of a CI latency says
    nothing: it is judged at full counts. What a second try makes good need not be felt in any answer (not steady)."""
    limit_ms = DEADLINE_MS if is_full else 5_000
    good = ordeal.fault.of(200)
    row.at_least(GOOD_PERCENT, "good", ordeal.fault.good_percent, "%")
    row.at_most(limit_ms, "p99", percentile_ms(ordeal.fault.all, 0.99), "ms")
    row.saw("degraded", 100 * sum(bool(lacking(one)) for one in good) / max(1, len(good)), "%")
    row.at_least(GOOD_PERCENT, "good at the return", ordeal.comeback.good_percent, "%")
    row.at_most(limit_ms, "p99 at the return", percentile_ms(ordeal.comeback.all, 0.99), "ms")
    row.at_most(WHOLE_SECONDS, "whole again after", ordeal.whole_at - ordeal.healed_at, "s")
    row.none(not_whole_after_it_was=sum(not one.is_good or bool(lacking(one)) for one in ordeal.settled.all))
    judge_names(row, ordeal, away, is_full=is_full, is_steady=is_steady)
    assert all(one.json()["items"] for one in ordeal.answers.of(200))
    assert ordeal.settled.all


def judge_names(row: Row, ordeal: Ordeal, away: tuple[str, ...], *, is_full: bool, is_steady: bool) -> None:
    """Whether `degraded` names all that a page lacks, and nothing that these stores do not hold. On a busy machine the
    other store may be too slow as well."""
    may_lack = set().union(*(MAY_LACK[store] for store in away))
    unnamed = beyond = owed = 0
    for number, answer in enumerate(ordeal.answers.all):
        if answer.due_at < ordeal.broken_at or not answer.is_good:
            continue
        is_meanwhile = answer.due_at + answer.seconds < ordeal.healing_at
        must_lack = what_must_be_lacking(number, away) if is_steady and is_meanwhile else set()
        unnamed += not must_lack | unrecorded(number, answer) <= lacking(answer)
        beyond += not lacking(answer) <= may_lack - ({EXPOSURES} - unrecorded(number, answer))
        owed += bool(must_lack)
        assert CACHE not in must_lack or answer.json()["cursor"] is None
    row.none(lacking_and_not_named=unnamed)
    row.at_most(0 if is_full else len(ordeal.answers.all), "named and not taken away", beyond)
    assert owed or not is_steady


def lacking(answer: Answer) -> set[str]:
    """What a page says that it had to go without."""
    return set(answer.json()["degraded"])


def what_must_be_lacking(number: int, away: tuple[str, ...]) -> set[str]:
    """What the page of this number cannot have while these stores are away; a known person's history is in either."""
    names = {CACHE} if VALKEY in away else set()
    if POSTGRES in away and (VALKEY in away or number % NEWCOMERS_EVERY == 0):
        names.add(HISTORY)
    if POSTGRES in away and number % RECORDED_EVERY == 0:
        names.add(EXPOSURES)
    return names


def unrecorded(number: int, answer: Answer) -> set[str]:
    """The name of a record that was asked for and did not happen."""
    is_recorded = all(item["exposure_id"] is not None for item in answer.json()["items"])
    return {EXPOSURES} if number % RECORDED_EVERY == 0 and not is_recorded else set()
