"""A key -> how long it must wait before its next request: so many a second, and a short burst; in this process only."""

from __future__ import annotations

import time

BURST_SECONDS = 1.0  # a second's requests may come at once


class Quota:
    """Counts a key's requests by the moment at which they would have come one by one (GCRA)."""

    def __init__(self, *, per_second: float) -> None:
        self._step_seconds = 1 / per_second
        self._tolerance_seconds = max(0.0, BURST_SECONDS - self._step_seconds)
        self._due_at: dict[str, float] = {}  # by key (monotonic): when its next request would be due

    def wait_seconds(self, key_id: str) -> float:
        """How long the key must wait; 0 when its request is taken, which counts it."""
        now = time.monotonic()
        due_at = max(now, self._due_at.get(key_id, now))
        early_seconds = due_at - now - self._tolerance_seconds
        if early_seconds > 0:
            return early_seconds
        self._due_at[key_id] = due_at + self._step_seconds
        return 0.0
