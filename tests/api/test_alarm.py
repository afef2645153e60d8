"""A timer that looks whether its time has come, on both loops."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator

import pytest

from app.api.alarm import Alarm

pytestmark = pytest.mark.anyio
SECONDS = 0.2


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: uvicorn takes uvloop where it is there."""
    return "asyncio", {"use_uvloop": request.param}


class Owner:
    """What has an alarm, and is called by it."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.alarm = Alarm(self.loop, SECONDS, self.called)
        self.called_at: list[float] = []

    def called(self) -> None:
        self.called_at.append(self.loop.time())


@pytest.fixture
async def owner() -> AsyncIterator[Owner]:
    owner = Owner()
    yield owner
    owner.alarm.end()


async def test_it_calls_once_and_can_be_set_again(owner: Owner) -> None:
    for number in (1, 2):
        began = owner.loop.time()
        owner.alarm.set()
        await asyncio.sleep(2.5 * SECONDS)

        assert len(owner.called_at) == number
        assert owner.called_at[-1] - began > 0.95 * SECONDS
        assert not owner.alarm.is_set


@pytest.mark.parametrize("is_unset_between", [False, True])
async def test_set_anew_it_counts_anew(owner: Owner, is_unset_between: bool) -> None:
    owner.alarm.set()
    await asyncio.sleep(SECONDS / 2)
    if is_unset_between:
        owner.alarm.unset()
    began = owner.loop.time()
    owner.alarm.set()
    await asyncio.sleep(3 * SECONDS)

    [called_at] = owner.called_at
    assert called_at - began > 0.95 * SECONDS


async def test_unset_it_does_not_call(owner: Owner) -> None:
    owner.alarm.set()
    owner.alarm.unset()
    await asyncio.sleep(2 * SECONDS)

    assert owner.called_at == []


async def test_what_has_ended_does_not_call_even_if_it_is_set_again(owner: Owner) -> None:
    owner.alarm.set()
    owner.alarm.end()
    owner.alarm.set()
    await asyncio.sleep(2 * SECONDS)

    assert (owner.called_at, owner.alarm.is_set) == ([], False)


async def test_after_its_end_it_holds_nothing() -> None:
    owner = Owner()
    owner.alarm.set()
    gone = weakref.ref(owner)
    gc.disable()
    try:
        owner.alarm.end()
        del owner
        assert gone() is None
    finally:
        gc.enable()
