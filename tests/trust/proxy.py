"""A TCP proxy in a thread of its own, between a service and a store: the link that tests slow down, cut and let die."""

from __future__ import annotations

import asyncio
import contextlib
import random
import socket
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from app.storage.servers import HOST

State = Literal["whole", "slow", "cut", "half-open"]
DELAY_SECONDS = 0.3  # each way
CUT_WITHIN_SECONDS = 0.02
RESET_AT_ONCE = struct.pack("ii", 1, 0)  # linger no time: closing sends RST


@dataclass
class Link:
    """One port that leads to another. A connection that was half-open once stays dead, as if a router forgot it."""

    to_port: int
    port: int = 0
    cuts: int = 0  # connections that were reset
    _state: State = "whole"
    _open: set[asyncio.StreamWriter] = field(default_factory=set)
    _dead: set[asyncio.StreamWriter] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)

    def become(self, state: State) -> None:
        """Let the link be so from now on, with the connections that are there."""
        asyncio.run_coroutine_threadsafe(self._become(state), self._loop).result()

    async def _become(self, state: State) -> None:
        self._state = state
        for writer in list(self._open):
            self._begin(writer)

    def _begin(self, writer: asyncio.StreamWriter) -> None:
        if self._state == "half-open":
            self._dead.add(writer)
        elif self._state == "cut":
            self._loop.call_later(random.uniform(0, CUT_WITHIN_SECONDS), self._reset, writer)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = self._loop.create_task(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        self._begin(writer)
        with contextlib.suppress(OSError):
            onward_reader, onward_writer = await asyncio.open_connection(HOST, self.to_port)
            ways = {
                asyncio.create_task(self._pass_on(reader, onward_writer, of=writer)),
                asyncio.create_task(self._pass_on(onward_reader, writer, of=writer)),
            }
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            for way in ways:
                way.cancel()
            onward_writer.close()  # a link that is cut is cut for the store too, which would keep a place for it
        writer.close()
        self._open.discard(writer)
        self._dead.discard(writer)

    async def _pass_on(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, *, of: asyncio.StreamWriter
    ) -> None:
        """Until either side has gone; of a dead connection nothing arrives any more, not even that it ended."""
        with contextlib.suppress(OSError):
            while content := await source.read(1 << 16):
                if of not in self._dead:
                    self._loop.call_later(DELAY_SECONDS if self._state == "slow" else 0, target.write, content)
        while of in self._dead and not of.is_closing():
            await asyncio.sleep(0.1)

    def _reset(self, writer: asyncio.StreamWriter) -> None:
        self.cuts += 1
        inside = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
        writer.transport.abort()

    def run(self, ready: threading.Event) -> None:
        """Pass on until `stop`."""
        asyncio.set_event_loop(self._loop)
        server = self._loop.run_until_complete(asyncio.start_server(self._accept, HOST, 0))
        self.port = server.sockets[0].getsockname()[1]
        ready.set()
        self._loop.run_forever()
        tasks = asyncio.all_tasks(self._loop)
        for task in tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
        self._loop.close()

    def stop(self) -> None:
        """Let the thread end."""
        self._loop.call_soon_threadsafe(self._loop.stop)


@contextlib.contextmanager
def link_to(port: int) -> Iterator[Link]:
    """A link to a port of this machine, whole at first."""
    link, ready = Link(port), threading.Event()
    thread = threading.Thread(target=link.run, args=[ready])
    thread.start()
    ready.wait()
    try:
        yield link
    finally:
        link.stop()
        thread.join()
