"""Words and counts -> a terminal or a log: one line that counts up on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

TERMINAL_EVERY_SECONDS = 0.1
LOG_EVERY_SECONDS = 5.0


def say(words: str = "") -> None:
    """Print a line at once."""
    print(words, flush=True)


def counter(label: str) -> Callable[[int, int], None]:
    """A progress report `(done, total)` under a label."""
    terminal = sys.stdout.isatty()
    began = time.monotonic()
    told = 0.0 if terminal else began

    def report(done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        finished = done >= total
        if not finished and now - told < (TERMINAL_EVERY_SECONDS if terminal else LOG_EVERY_SECONDS):
            return
        told = now
        line = f"  {label}: {done:,} of {total:,} ({now - began:.0f} s)"
        print(f"\r{line}" if terminal else line, end="\n" if finished or not terminal else "", flush=True)

    return report
