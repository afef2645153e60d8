"""Settings -> the product's own processes, run as a user runs them; their time, peak memory and CPU.

Peak memory is the kernel's own (VmHWM), CPU time too; a system without /proc leaves both out.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from app.settings import Settings, child_environment

ROOT = Path(__file__).resolve().parents[1]
POLL_SECONDS = 0.1
STOP_SECONDS = 30.0


@dataclass(frozen=True)
class Ran:
    """A command that has ended well."""

    output: str
    seconds: float
    peak_gib: float | None


def tuwen(settings: Settings, *arguments: str | Path, accepted: Container[int] = (0,)) -> Ran:
    """Run one command of the command line. Raises CalledProcessError for an exit code that is not accepted."""
    command = [sys.executable, "-m", "app.cli", *map(str, arguments)]
    say(f"tuwen {' '.join(map(str, arguments))}")
    began, peak = time.monotonic(), None
    with subprocess.Popen(command, cwd=ROOT, env=child_environment(settings), stdout=subprocess.PIPE, text=True) as run:
        while run.poll() is None:
            peak = peak_gib(run.pid) or peak
            time.sleep(POLL_SECONDS)
        seconds = time.monotonic() - began
        output = run.stdout.read() if run.stdout else ""
    if run.returncode not in accepted:
        raise subprocess.CalledProcessError(run.returncode, command[2:], output)
    return Ran(output, seconds, peak)


@contextmanager
def running(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs while the block does; its output goes to the log."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def peak_gib(pid: int) -> float | None:
    """The most memory the process has had resident."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    kibibytes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM")]
    return kibibytes[0] / 2**20 if kibibytes else None


def shared_memory_bytes(pid: int) -> int | None:
    """What a process and its children have resident, each shared page counted once; None where /proc does not say."""
    total = 0
    for one in (pid, *descendants(pid)):
        try:
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
        except (ProcessLookupError, FileNotFoundError):
            continue  # it has ended meanwhile
        except OSError:
            return None
        total += sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total or None


def cpu_seconds(pid: int) -> float | None:
    """CPU time of the process so far, all its threads."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def descendants(pid: int) -> dict[int, str]:
    """Process ids below this one, with their command lines; empty where the system does not say."""
    found: dict[int, str] = {}
    try:
        children = [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for child in children:
            found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            found |= descendants(child)
    except OSError:
        return found
    return found


def say(words: str) -> None:
    """What is under way, beside the table."""
    print(f"  ... {words}", file=sys.stderr, flush=True)
