"""A uvicorn server that keeps to what a service promises when it starts and ends."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial

import uvicorn

from app.workers import READY

LAST_WORDS_SECONDS = 0.2  # between the last connection that is taken and the closing of those without a request


class Server(uvicorn.Server):
    """Ends by returning: uvicorn's own way is to raise the signal again, which would leave the stores running.

    SIGTERM first says that it is not ready any longer, and still answers for a while; Ctrl-C, or a second signal, ends
    it at once. SIGHUP, as of a terminal that is closed, is like SIGTERM. A worker ends with its parent, too, and SIGHUP
    lets it leave the port to the others.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        stopping: asyncio.Event,
        *,
        drain_seconds: float,
        replaced: asyncio.Event | None = None,
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._drain_seconds = drain_seconds
        self._replaced = replaced  # of a worker: set when another has come into its place
        self.servers: list[asyncio.Server] = []  # until it has started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Take requests from now on; a worker tells its parent so."""
        await super().startup(sockets)
        if self._replaced is not None:
            parent = sys.stdin.fileno()
            asyncio.get_running_loop().add_reader(parent, self._end_with, parent)
            with suppress(OSError):  # it is gone: the reader will know
                os.write(parent, READY)

    def _end_with(self, parent: int) -> None:
        """End at once: the parent is gone, and another may want the port."""
        asyncio.get_running_loop().remove_reader(parent)  # it would call in every turn of the loop
        self._stopping.set()
        self.handle_exit(signal.SIGTERM, None)

    def _stop(self, number: int) -> None:
        if number == signal.SIGINT or self._stopping.is_set():
            self.handle_exit(number, None)
            return
        self._stopping.set()
        asyncio.get_running_loop().call_later(self._drain_seconds, self.handle_exit, number, None)

    def _leave(self, replaced: asyncio.Event) -> None:
        """Take no more connections: another worker has come for them. Answer those that are there as at a stop."""
        replaced.set()
        for one in self.servers:
            one.close()
        self._stop(signal.SIGTERM)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let nobody connect any longer. Who has done so already still has a moment to ask, even where the connection
        waits in the kernel, which would cut it with the listener.
        """
        listeners = [one.dup() for one in sockets or () if one.fileno() >= 0]
        for one in (*self.servers, *(sockets or ())):
            one.close()
        await asyncio.sleep(0)  # the loop closes its part in its next turn
        for listener in listeners:
            await self._take_waiting(listener)
        await asyncio.sleep(LAST_WORDS_SECONDS)
        await super().shutdown(sockets)

    async def _take_waiting(self, listener: socket.socket) -> None:
        """Close a listener right after the last connection that waits there was taken."""
        waiting = []
        with listener, suppress(BlockingIOError):
            listener.setblocking(False)
            while True:
                waiting.append(listener.accept()[0])
        for connection in waiting:
            connection.setblocking(False)
            await asyncio.get_running_loop().connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals end the service while the block runs."""
        loop = asyncio.get_running_loop()
        ways: dict[int, Callable[[], None]] = {
            signal.SIGINT: partial(self._stop, signal.SIGINT),
            signal.SIGTERM: partial(self._stop, signal.SIGTERM),
            signal.SIGHUP: partial(self._leave, self._replaced)
            if self._replaced
            else partial(self._stop, signal.SIGTERM),
        }
        for number, way in ways.items():
            loop.add_signal_handler(number, way)
        try:
            yield
        finally:
            for number in ways:
                loop.remove_signal_handler(number)
