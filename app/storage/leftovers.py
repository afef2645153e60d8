"""A server's data folder -> the processes of a server left behind there, and their end. Standard library only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.storage.servers import Server, read_lines

STOP_SECONDS = 10.0
POLL_SECONDS = 0.05


def end_leftovers(server: Server) -> None:
    """Stop what a killed keeper left running; a process of the same number that is something else is let alone."""
    left = _processes(server)
    main = _main_process(server)
    if main in left:
        _signal(main, server.stop_signal)
        left = _wait_until_gone(server, STOP_SECONDS)
    # Without their postmaster PostgreSQL's processes serve nobody, but they keep its shared memory.
    for process_id in left:
        _signal(process_id, signal.SIGKILL)
    _wait_until_gone(server, STOP_SECONDS)


def _main_process(server: Server) -> int:
    lines = read_lines(server.data / "postmaster.pid") or read_lines(server.data / "valkey.pid")
    return int(lines[0]) if lines and lines[0].strip().isdigit() else 0


def _processes(server: Server) -> list[int]:
    """Processes of the server's program that work in its data folder."""
    if sys.platform == "linux":
        numbers = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [number for number in numbers if _works_there(number, server)]
    main = _main_process(server)
    ps = subprocess.run(["ps", "-o", "command=", "-p", str(main)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return [main] if main and server.program.name in ps.stdout else []


def _works_there(number: int, server: Server) -> bool:
    process = Path("/proc", str(number))
    try:
        return (process / "cwd").readlink() == server.data and (process / "comm").read_text().startswith(
            server.program.name[:15]
        )
    except OSError:  # gone meanwhile, or another user's
        return False


def _signal(process_id: int, what: signal.Signals) -> None:
    try:
        os.kill(process_id, what)
    except ProcessLookupError:
        return


def _wait_until_gone(server: Server, seconds: float) -> list[int]:
    deadline = time.monotonic() + seconds
    left = _processes(server)
    while left and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
        left = _processes(server)
    return left
