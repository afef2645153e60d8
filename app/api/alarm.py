"""A timer that is set and unset for next to nothing, for what happens with every request.

A timer of the loop would be made and cancelled each time. This one stays, and looks whether its time has come.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Alarm:
    """Calls a function so many seconds after it was last set, unless it is unset before."""

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, function: Callable[[], None]) -> None:
        self._loop = loop
        self._seconds = seconds
        self._function: Callable[[], None] | None = function  # None = ended
        self._due_at: float | None = None  # seconds of the loop's clock
        self._handle: asyncio.TimerHandle | None = None  # of the next look, never later than that

    @property
    def is_set(self) -> bool:
        """Whether it will call."""
        return self._due_at is not None

    def set(self) -> None:
        """Call after all of the seconds, counted from now; never again after its end."""
        if self._function is None:
            return
        self._due_at = self._loop.time() + self._seconds
        if self._handle is None:
            self._handle = self._loop.call_at(self._due_at, self._look)

    def unset(self) -> None:
        """Do not call."""
        self._due_at = None

    def end(self) -> None:
        """Let go of the function: whoever owns it and the alarm would wait for a collection of garbage."""
        self._due_at = self._function = None
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _look(self) -> None:
        self._handle = None
        if self._due_at is None or self._function is None:
            return
        if self._loop.time() < self._due_at:
            self._handle = self._loop.call_at(self._due_at, self._look)
            return
        self._due_at = None
        self._function()
