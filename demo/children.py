"""A command -> a child process with its own log file, watched, and stopped with this process."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

STOP_SECONDS = 15.0
ROOT = Path(__file__).parents[1]


def say(words: str) -> None:
    """Print a line at once, also where the output is a pipe."""
    print(words, flush=True)


class ChildDied(Exception):  # noqa: N818
    """A child ended by itself; the message says which, and quotes the end of its log."""


@dataclass
class Child:
    """A running part of the demo."""

    name: str
    log: Path
    log_start: int  # bytes of earlier runs in the log
    process: asyncio.subprocess.Process
    stopping: bool = False

    async def watch(self) -> None:
        """Wait until it ends. Raises ChildDied when nobody had asked it to."""
        code = await self.process.wait()
        if self.stopping:
            return
        said = _last_lines(self.log, self.log_start)
        raise ChildDied(f"the {self.name} ended with code {code}\n{said}\n(all of it: {self.log})")

    async def stop(self) -> None:
        """Ask it to end, and make it when it does not."""
        self.stopping = True
        if self.process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            await asyncio.wait_for(self.process.wait(), STOP_SECONDS)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self.process.kill()
            await self.process.wait()


@asynccontextmanager
async def child(
    name: str, arguments: Sequence[str], *, log: Path, environment: Mapping[str, str]
) -> AsyncIterator[Child]:
    """Run `python -m ARGUMENTS` while the block lasts."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        log_start = output.tell()
        process = await asyncio.create_subprocess_exec(
            *_ending_with_us(),
            sys.executable,
            "-m",
            *arguments,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C reaches this process only, which then stops its children in order
        )
    running = Child(name, log, log_start, process)
    try:
        yield running
    finally:
        await running.stop()


def _ending_with_us() -> tuple[str, ...]:
    """A prefix that ends the child even when this process is killed outright; Linux with util-linux only."""
    return ("setpriv", "--pdeathsig", "TERM", "--") if shutil.which("setpriv") else ()


def _last_lines(log: Path, start: int) -> str:
    lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
    return "\n".join(f"  | {line}" for line in lines[-12:])
