"""A server's data folder -> the processes of a server left behind there, and their end. Standard library only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from app.storage.servers import Server, read_lines

STOP_SECONDS = 20.0
POLL_SECONDS = 0.05


def end_leftovers(server: Server) -> None:
    """Stop what a killed keeper left running; a process of the same number that is something else is let alone."""
    main = main_process(server)
    if main is not None:
        _signal(main, server.stop_signal)
        _wait_until_gone(server, STOP_SECONDS)
    # Without their postmaster PostgreSQL's processes serve nobody, but they keep its shared memory.
    for process_id in _processes(server):
        _signal(process_id, signal.SIGKILL)
    _wait_until_gone(server, STOP_SECONDS)
    if main_process(server) is None:  # PostgreSQL would respect the number even of a dead process nobody has reaped
        server.process_id_file.unlink(missing_ok=True)


def main_process(server: Server) -> int | None:
    """The process that the server's own process id file names, if it is that server indeed."""
    lines = read_lines(server.process_id_file)
    number = lines[0].strip() if lines else ""
    command = _command_line(number) if number.isdigit() else ""
    return int(number) if server.program.name in command and str(server.data) in command else None


def _command_line(number: str) -> str:
    if sys.platform == "linux":
        lines = read_lines(Path("/proc", number, "cmdline"))
        return lines[0].replace("\0", " ") if lines else ""
    ps = ["ps", "-ww", "-o", "command=", "-p", number]
    return subprocess.run(ps, capture_output=True, text=True, check=False).stdout  # noqa: S603


def _processes(server: Server) -> set[int]:
    """The server's main process, and on Linux the others that run its program in its data folder."""
    main = main_process(server)
    found = set() if main is None else {main}
    if sys.platform == "linux":
        found |= {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _at(entry, server)}
    return found


def _at(process: Path, server: Server) -> bool:
    try:
        return (process / "cwd").readlink() == server.data and (process / "exe").readlink() == server.program
    except OSError:  # gone meanwhile, or not ours to look at
        return False


def _signal(process_id: int, what: signal.Signals) -> None:
    try:
        os.kill(process_id, what)
    except ProcessLookupError:
        return


def _wait_until_gone(server: Server, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while _processes(server) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
