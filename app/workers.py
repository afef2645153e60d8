"""One port, several API processes: started, watched, begun again when one dies, renewed one by one, ended together.

The parent binds the port and keeps the embedded stores; every worker is a `tuwen serve` of its own that takes requests
from the parent's socket. What workers share are the stores, the generation's mapped files, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from asyncio import Event
from collections.abc import Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from app.errors import Unavailable
from app.opening import announce, listen
from app.settings import Settings, child_environment
from app.storage.keys import bootstrap_keys
from app.storage.stores import open_stores

ROOT = Path(__file__).parents[1]
BACKLOG = 2048
READY = b"\n"  # from a worker that takes requests
RESTART_SECONDS = 1.0  # before a worker that has died is begun again
RETRY_SECONDS = 10.0  # and one that could not start, as while PostgreSQL is away
READY_SECONDS = 300.0  # for a new worker to load its generation; a million posts take some seconds
STOP_SECONDS = 15.0  # after the draining: for requests under way, and for closing the stores

logger = logging.getLogger(__name__)
Result = TypeVar("Result")


def serve_with_workers(settings: Settings) -> int:
    """Run the API in several processes until SIGTERM or Ctrl-C. Raises Unavailable."""
    with contextlib.closing(listen(settings.host, settings.port)) as listener:
        listener.listen(BACKLOG)
        return asyncio.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> int:
    workers = Workers(settings, listener)
    workers.heed_hangups()  # from now on: opening the stores may take a while
    async with open_stores(settings) as stores:
        announce(settings, await bootstrap_keys(stores))
        return await workers.run()


class Worker:
    """One worker process, joined to its parent by a socket pair.

    Its end tells the worker that the parent is gone; a byte from the worker tells that it takes requests.
    """

    def __init__(self, process: asyncio.subprocess.Process, channel: socket.socket, *, stop_seconds: float) -> None:
        self._process = process
        self._channel = channel
        self._stop_seconds = stop_seconds
        self._was_ready = False

    @classmethod
    async def begin(cls, settings: Settings, listener: socket.socket) -> Worker:
        """Start a process that takes requests from the listener. Raises OSError."""
        channel, theirs = socket.socketpair()
        channel.setblocking(False)
        with theirs, contextlib.ExitStack() as unless_begun:
            unless_begun.callback(channel.close)
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "app.cli", "serve", "--inherited-socket", str(listener.fileno())),
                cwd=ROOT,
                env=child_environment(settings),
                stdin=theirs.fileno(),
                pass_fds=(listener.fileno(),),
                start_new_session=True,  # Ctrl-C is for the parent to pass on
            )
            unless_begun.pop_all()
        return cls(process, channel, stop_seconds=STOP_SECONDS + settings.drain_seconds)

    async def is_ready(self) -> bool:
        """Wait until it takes requests, unless it once did; false when it ends before, or takes too long."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(READY_SECONDS):
                self._was_ready = self._was_ready or await loop.sock_recv(self._channel, len(READY)) == READY
        return self._was_ready

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self._process.returncode is not None

    async def ended(self) -> int:
        """Wait until it has ended; its code."""
        return await self._process.wait()

    async def end(self, number: int = signal.SIGTERM) -> None:
        """Have it end: with SIGTERM as one service that ends, with SIGHUP as one whose place another has taken."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(number)
        try:
            await asyncio.wait_for(self._process.wait(), self._stop_seconds)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        self._channel.close()


class Place:
    """The place of one worker: somebody is put into it again whenever it is empty."""

    def __init__(
        self, number: int, begin: Callable[[], Coroutine[Any, Any, Worker]], *, stopping: Event, proven: Event
    ) -> None:
        self._number = number
        self._begin = begin
        self._stopping = stopping
        self._proven = proven  # set: some worker of this service has been ready, so what makes one fail may pass
        self._turn = asyncio.Lock()  # to put somebody into the place
        self._worker: Worker | None = None

    async def keep_running(self) -> int:
        """Keep a worker here until the service stops; 1 when it could not start and none ever could.

        One that was killed (a negative code) has not given up.
        """
        if self._stopping.is_set():  # while the stores opened; nobody listens any longer
            return 0
        worker = self._worker = await self._begin()
        while not self._stopping.is_set():
            was_ready = await self._unless_stopping(worker.is_ready())
            if was_ready:
                self._proven.set()
            code = await self._unless_stopping(worker.ended())
            if code is not None and worker is self._worker:
                if code > 0 and not self._proven.is_set():
                    self._stopping.set()
                    return 1
                logger.error("worker %d ended with code %d; another takes its place", self._number, code)
                await self._replace(worker, pause_seconds=RESTART_SECONDS if was_ready else RETRY_SECONDS)
            worker = self._worker
        await worker.end()
        return 0

    async def renew(self) -> bool:
        """Put another worker here; the one before goes once that takes requests. False when that could not start, or
        ended at once."""
        async with self._turn:
            newer = await self._begun()
            if newer is None:
                return False
            if not await self._unless_stopping(newer.is_ready()):
                await newer.end()
                return False
            older, self._worker = self._worker, newer
        if older is not None:
            await older.end(signal.SIGHUP)
        return not newer.has_ended

    async def _replace(self, worker: Worker, *, pause_seconds: float) -> None:
        """Put another into the place of one that has ended, unless somebody else did so."""
        while self._worker is worker and not self._stopping.is_set():
            await self._unless_stopping(asyncio.sleep(pause_seconds))
            async with self._turn:
                if self._worker is worker:
                    self._worker = await self._begun() or worker
            pause_seconds = RETRY_SECONDS

    async def _begun(self) -> Worker | None:
        """A new worker; None when the service stops, or no process can be had."""
        try:
            return None if self._stopping.is_set() else await self._begin()
        except OSError as problem:
            logger.error("worker %d: no process could be started: %s", self._number, problem)
            return None

    async def _unless_stopping(self, work: Coroutine[Any, Any, Result]) -> Result | None:
        """What the work comes to; None when the service stops before."""
        doing, stopping = asyncio.create_task(work), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not doing.done():
            doing.cancel()
            return None
        return doing.result()


class Workers:
    """The workers of one service."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._listener = listener
        self._stopping = Event()
        self._renewal_wanted = Event()
        begin, proven = partial(Worker.begin, settings, listener), Event()
        numbers = range(settings.workers)
        self._places = [Place(number, begin, stopping=self._stopping, proven=proven) for number in numbers]

    async def run(self) -> int:
        """Run the workers until SIGTERM or Ctrl-C comes. Raises Unavailable when one cannot start before any has."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        renewing = asyncio.create_task(self._renew_when_wanted())
        codes = await asyncio.gather(*(place.keep_running() for place in self._places))
        self._renewal_wanted.set()
        await renewing
        if any(codes):
            raise Unavailable("a worker could not start: what it says above tells why")
        return 0

    def heed_hangups(self) -> None:
        """Renew the workers at SIGHUP, unless it says that the terminal is gone from which the service was started."""
        had_terminal = os.isatty(0)

        def hung_up() -> None:
            if had_terminal and not os.isatty(0):
                self._stop()
            else:
                self._renewal_wanted.set()

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, hung_up)

    def _stop(self) -> None:
        """Have all of them end, and take no part in listening any longer: nobody would take what waits here."""
        self._stopping.set()
        self._listener.close()

    async def _renew_when_wanted(self) -> None:
        """Renew the workers one by one, so that all others take requests meanwhile."""
        while not self._stopping.is_set():
            await self._renewal_wanted.wait()
            self._renewal_wanted.clear()
            for number, place in enumerate(self._places):
                if not await place.renew():
                    break
                logger.warning("worker %d is renewed", number)
            else:
                continue
            if not self._stopping.is_set():
                logger.error("worker %d could not be renewed, and no further one is", number)
