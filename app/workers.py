"""One port, several API processes: started, watched, begun again when one dies, and ended together.

The parent binds the port and keeps the embedded stores; every worker is a `tuwen serve` of its own that takes requests
from the parent's socket. What workers share are the stores, the generation's mapped files, and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import sys
from pathlib import Path

from app.errors import Unavailable
from app.opening import announce, listen
from app.settings import Settings, child_environment
from app.storage.keys import bootstrap_keys
from app.storage.stores import open_stores

ROOT = Path(__file__).parents[1]
BACKLOG = 2048
RESTART_SECONDS = 1.0  # before a worker that has died is begun again
STOP_SECONDS = 15.0  # after the draining: for requests under way, and for closing the stores
FAILED_AT_ONCE_SECONDS = 30.0  # a worker that fails so soon after the start would fail again

logger = logging.getLogger(__name__)


def serve_with_workers(settings: Settings) -> int:
    """Run the API in several processes until SIGTERM or Ctrl-C. Raises Unavailable."""
    with contextlib.closing(listen(settings.host, settings.port)) as listener:
        listener.listen(BACKLOG)
        return asyncio.run(_serve(settings, listener))


async def _serve(settings: Settings, listener: socket.socket) -> int:
    async with open_stores(settings) as stores:
        announce(settings, await bootstrap_keys(stores))
        return await Workers(settings, listener).run()


class Workers:
    """The worker processes of one service."""

    def __init__(self, settings: Settings, listener: socket.socket) -> None:
        self._settings = settings
        self._listener = listener
        self._stopping = asyncio.Event()

    async def run(self) -> int:
        """Run the workers until a signal comes; 1 when one of them could not start. Raises Unavailable."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop)
        codes = await asyncio.gather(*(self._keep_running(number) for number in range(self._settings.workers)))
        if any(codes):
            raise Unavailable("a worker could not start: what it says above tells why")
        return 0

    def _stop(self) -> None:
        """Have all of them end, and take no part in listening any longer: nobody would take what waits here."""
        self._stopping.set()
        self._listener.close()

    async def _keep_running(self, number: int) -> int:
        """Run one worker, and another in its place whenever it dies; 1 when it gives up as soon as it starts.

        One that was killed (a negative code) has not given up.
        """
        began = asyncio.get_running_loop().time()
        while not self._stopping.is_set():
            code = await self._run_one()
            if self._stopping.is_set():
                break
            if code > 0 and asyncio.get_running_loop().time() - began < FAILED_AT_ONCE_SECONDS:
                self._stopping.set()
                return 1
            logger.error("worker %d ended with code %d; another takes its place", number, code)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), RESTART_SECONDS)
            began = asyncio.get_running_loop().time()
        return 0

    async def _run_one(self) -> int:
        """One worker from its start to its end."""
        inherited = self._listener.fileno()
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "serve", "--inherited-socket", str(inherited)),
            cwd=ROOT,
            env=child_environment(self._settings),
            stdin=asyncio.subprocess.PIPE,  # its end tells a worker that the parent is gone
            pass_fds=(inherited,),
            start_new_session=True,  # Ctrl-C is for the parent to pass on
        )
        ended, stopping = asyncio.create_task(process.wait()), asyncio.create_task(self._stopping.wait())
        await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        if not ended.done():
            process.terminate()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(ended), STOP_SECONDS + self._settings.drain_seconds)
        if not ended.done():
            process.kill()
        return await ended
