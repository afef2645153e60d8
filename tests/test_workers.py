"""Places of workers, with small processes in the place of an API's."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from asyncio import Event
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from app.workers import RETRY_SECONDS, ROOT, Place, Worker

pytestmark = pytest.mark.anyio
SERVES = "import os, signal; os.write(0, b'\\n'); signal.pause()"
SERVES_AND_DIES = "import os, sys; os.write(0, b'\\n'); sys.exit(7)"
LEAVES_SLOWLY = (
    "import os, signal, sys, time; signal.signal(signal.SIGHUP, lambda *_: (time.sleep(1), sys.exit(0)));"
    "os.write(0, b'\\n'); signal.pause()"
)
CANNOT_START = "import sys; sys.exit(3)"
NO_PROCESS = ""
PARENT = """
import asyncio, socket, sys
from app.settings import Settings
from app.workers import Workers

async def serve(listener):
    workers = Workers(Settings(workers=2), listener)
    workers.heed_hangups()
    print("opens its stores", flush=True)
    while listener.fileno() >= 0:
        await asyncio.sleep(0.01)
    return await workers.run()

sys.exit(asyncio.run(serve(socket.create_server(("127.0.0.1", 0)))))
"""


class Beginnings:
    """Begins one worker after another, each by the next of these programs, the last again and again."""

    def __init__(self, *programs: str) -> None:
        self._programs = programs
        self.process_ids: list[int] = []
        self.tries = 0

    async def __call__(self) -> Worker:
        program = self._programs[min(self.tries, len(self._programs) - 1)]
        self.tries += 1
        if program == NO_PROCESS:
            raise BlockingIOError("no process can be had")
        channel, theirs = socket.socketpair()
        channel.setblocking(False)
        with theirs:
            process = await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=theirs.fileno())
        self.process_ids.append(process.pid)
        return Worker(process, channel, stop_seconds=5)


@asynccontextmanager
async def kept(begin: Callable[[], Awaitable[Worker]]) -> AsyncIterator[tuple[Place, Event]]:
    """A place with somebody in it, until the block ends; the event says that somebody has been ready."""
    stopping, proven = Event(), Event()
    place = Place(0, begin, stopping=stopping, proven=proven)  # type: ignore[arg-type]
    keeping = asyncio.create_task(place.keep_running())
    await asyncio.wait_for(proven.wait(), RETRY_SECONDS)
    yield place, stopping
    stopping.set()
    assert await asyncio.wait_for(keeping, 10) == 0


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(RETRY_SECONDS / 2):
        while not condition():
            await asyncio.sleep(0.01)


def runs(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True


async def test_a_renewed_worker_that_is_killed_is_replaced_as_soon_as_any():
    begin = Beginnings(SERVES)
    async with kept(begin) as (place, _):
        assert await place.renew()
        assert [runs(one) for one in begin.process_ids] == [False, True]

        os.kill(begin.process_ids[1], signal.SIGKILL)
        await until(lambda: len(begin.process_ids) == 3)

    assert not any(runs(one) for one in begin.process_ids)


@pytest.mark.parametrize("program", [CANNOT_START, NO_PROCESS])
async def test_a_worker_stays_when_no_other_can_start_and_can_be_renewed_later(program: str):
    begin = Beginnings(SERVES, program, SERVES)
    async with kept(begin) as (place, _):
        first = begin.process_ids[0]
        assert not await place.renew()
        assert runs(first)
        assert await place.renew()
        assert not runs(first)


async def test_a_renewal_whose_worker_dies_at_once_is_none_and_the_place_is_filled_again():
    begin = Beginnings(LEAVES_SLOWLY, SERVES_AND_DIES, SERVES)
    async with kept(begin) as (place, _):
        assert not await place.renew()
        await until(lambda: len(begin.process_ids) == 3)


async def test_a_service_stopped_during_a_renewal_ends_both_workers():
    begin = Beginnings(LEAVES_SLOWLY, SERVES)
    async with kept(begin) as (place, stopping):
        renewing = asyncio.create_task(place.renew())
        await until(lambda: len(begin.process_ids) == 2)
        stopping.set()
        await renewing

    assert not any(runs(one) for one in begin.process_ids)


async def test_a_first_worker_that_cannot_start_gives_up_and_a_later_one_does_not():
    stopping, proven = Event(), Event()
    place = Place(0, Beginnings(CANNOT_START), stopping=stopping, proven=proven)
    assert await asyncio.wait_for(place.keep_running(), 10) == 1
    assert stopping.is_set()

    begin = Beginnings(SERVES, NO_PROCESS, SERVES)
    async with kept(begin):
        os.kill(begin.process_ids[0], signal.SIGKILL)
        await until(lambda: begin.tries == 2)


def test_a_service_whose_terminal_is_closed_while_it_opens_its_stores_ends_without_a_word():
    ours, theirs = os.openpty()
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, cwd=ROOT, stdin=theirs, stdout=pipe, stderr=pipe, start_new_session=True) as parent:
        os.close(theirs)
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"opens its stores\n"
        os.close(ours)  # who started it this way is not its leader: the kernel sends no signal
        parent.send_signal(signal.SIGHUP)
        _, complaint = parent.communicate(timeout=30)

    assert (parent.returncode, complaint) == (0, b"")
