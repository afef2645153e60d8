"""Progress and tables on the terminal: bars where somebody looks, plain lines otherwise."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

PLAIN_EVERY_SECONDS = 5.0

console = Console()
errors = Console(stderr=True)


class Bar:
    """One piece of work: its description, how far it is, and a few words beside."""

    def __init__(self, progress: Progress | None, description: str) -> None:
        self._progress = progress
        self._description = description
        self._task = progress.add_task(description, total=None, words="") if progress else None
        self._told_at = 0.0

    def tell(self, done: float, total: float | None, words: str = "", *, step: str | None = None) -> None:
        """Show how far it is."""
        name = f"{self._description}: {step}" if step else self._description
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, completed=done, total=total, words=words, description=name)
        elif time.monotonic() - self._told_at > PLAIN_EVERY_SECONDS:
            self._told_at = time.monotonic()
            share = f"{100 * done / total:.0f} %" if total else ""
            print(": ".join([name, *filter(None, [f"{share} {words}".strip()])]), flush=True)


@contextmanager
def bar(description: str) -> Iterator[Bar]:
    """A progress bar on a terminal, a line every few seconds otherwise."""
    if not sys.stderr.isatty():
        yield Bar(None, description)
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f} %"),
        TextColumn("{task.fields[words]}"),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors) as progress:
        yield Bar(progress, description)


def table(title: str, columns: list[str], rows: list[list[str]]) -> None:
    """Print a table; the first column reads from the left, the others are figures."""
    shown = Table(title=Text(title), title_justify="left")
    for number, column in enumerate(columns):
        shown.add_column(column, justify="left" if number == 0 else "right")
    for row in rows:
        shown.add_row(*map(Text, row))  # titles and names are no markup, though they may look like it
    console.print(shown)
