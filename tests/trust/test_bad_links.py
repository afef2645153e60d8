"""Row 7: the link to a store is slow, keeps being cut, or leads nowhere; answers go on in time, and then are whole."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial

import pytest
from pydantic import SecretStr

from app.storage.servers import free_port
from tests.trust.children import ApiChild, database_url, ended, redis_url
from tests.trust.figures import Row
from tests.trust.ordeal import POSTGRES, VALKEY, Ordeal, judge, lacking, under_load
from tests.trust.proxy import CUT_WITHIN_SECONDS, DELAY_SECONDS, Link, link_to
from tests.trust.world import KEYS, Broken

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
BREAKER_SECONDS = 1.0
QUICK_SECONDS = 0.05  # an answer that waited for no store
WORDS = {
    "slow": f"{1000 * DELAY_SECONDS:.0f} ms late in both directions",
    "cut": f"every connection reset within {1000 * CUT_WITHIN_SECONDS:.0f} ms",
    "half-open": "connections that stay and pass nothing on, those that were there for ever",
}


@dataclass(frozen=True)
class Linked:
    """A second API on the same stores, behind a link to each."""

    world: Broken
    postgres: Link
    valkey: Link


@pytest.fixture(scope="module")
def linked(world: Broken) -> Iterator[Linked]:
    with ExitStack() as stack:
        postgres, valkey = (stack.enter_context(link_to(store.port)) for store in (world.postgres, world.valkey))
        update = {
            "database_url": SecretStr(database_url(postgres.port)),
            "redis_url": SecretStr(redis_url(valkey.port)),
            "port": free_port(None),
        }
        api = ApiChild(world.api.settings.model_copy(update=update), KEYS)
        stack.enter_context(ended(api))
        api.start()
        yield Linked(replace(world, api=api), postgres, valkey)


def until_quick(ordeal: Ordeal) -> float:
    """Seconds until somebody was answered without what the store knows and without a wait for it."""
    answers = ordeal.fault
    quick = [one for one in answers.of(200) if one.seconds < QUICK_SECONDS and lacking(one)]
    return min((one.due_at + one.seconds for one in quick), default=answers.all[-1].due_at) - ordeal.broken_at


@pytest.mark.trust(7)
@pytest.mark.parametrize("state", ["slow", "cut", "half-open"])
@pytest.mark.parametrize("store", [POSTGRES, VALKEY])
async def test_recommendations_go_on_over_a_bad_link(linked: Linked, row: Row, at_full, store, state):
    link: Link = getattr(linked, store)
    per_second, seconds, settling = at_full(8, 50), at_full(2, 15), at_full(1, 5)

    ordeal = await under_load(
        linked.world,
        per_second,
        seconds=seconds,
        settling=settling,
        broken=partial(link.become, state),
        healed=partial(link.become, "whole"),
    )

    row.done = (
        f"{store} {WORDS[state]}, for {seconds} s, then {settling} s whole, all at {per_second} requests/s, an eighth "
        "recorded"
    )
    judge(row, ordeal, store, is_full=at_full(False, True), is_steady=state != "cut")
    if state == "cut":  # which is found out at once
        assert link.cuts
    else:
        row.at_most(at_full(5, BREAKER_SECONDS), "quick again after", until_quick(ordeal), "s")
