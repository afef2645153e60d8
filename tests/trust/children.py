"""PostgreSQL, Valkey and the API as children of the tests, to be killed, frozen and started again at will."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx

from app.settings import Settings, child_environment
from app.storage.account import server_account
from app.storage.servers import DATABASE_USER, HOST, Postgres, Server, Valkey, free_port
from scripts.bench_processes import descendants

ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
PASSWORD = "a-password-of-the-tests"


def wait_until(condition: Callable[[], bool], complaint: str) -> float:
    """Seconds until it was so."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() - began < PATIENCE_SECONDS, complaint
        time.sleep(0.02)
    return time.monotonic() - began


class StoreChild:
    """A server without a keeper: nobody starts it again but the test."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._account = server_account(folder, program=server.program)
        self.port = free_port(None)
        self._process: subprocess.Popen[bytes] | None = None
        server.prepare(self._account, password=PASSWORD)

    def start(self) -> None:
        """Start it and wait until it answers."""
        self._process = self._server.start(self._account, port=self.port, password=PASSWORD)
        pid = self._process.pid
        wait_until(lambda: self._server.answers(pid, port=self.port, password=PASSWORD), "the server did not start")

    def kill(self) -> None:
        """Kill it and all its backends at once, and reap it."""
        self._signal(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """It keeps its connections and takes new ones, and answers nobody."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def stay_on(self, cores: set[int]) -> None:
        """Use no other cores, as what it will start does not either."""
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(pid, cores)

    def _signal(self, number: int) -> None:
        for pid in self._pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    def _pids(self) -> tuple[int, ...]:
        assert self._process is not None
        return (self._process.pid, *descendants(self._process.pid))


def postgres_in(folder: Path) -> StoreChild:
    """A PostgreSQL that keeps its data there; every commit waits for the disk."""
    folder.mkdir(parents=True, exist_ok=True)
    return StoreChild(Postgres(folder), folder)


def valkey_in(folder: Path) -> StoreChild:
    """A Valkey that keeps nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    return StoreChild(Valkey(folder), folder)


def database_url(port: int) -> str:
    """Address of a PostgreSQL of the tests behind this port."""
    return f"postgresql://{DATABASE_USER}:{PASSWORD}@{HOST}:{port}/postgres"


def redis_url(port: int) -> str:
    """Address of a Valkey of the tests behind this port."""
    return f"redis://:{PASSWORD}@{HOST}:{port}/0"


class ApiChild:
    """`tuwen serve` with these settings; its output goes to a log in its home."""

    def __init__(self, settings: Settings, keys: dict[str, str], *, core: int | None = None) -> None:
        self.settings = settings
        self.address = f"http://{HOST}:{settings.port}"
        self.log = settings.home / "api.log"
        self._environment = child_environment(settings) | {
            f"TUWEN_{role.upper()}_KEY": key for role, key in keys.items()
        }
        self._prefix = [] if core is None else ["taskset", "-c", str(core)]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it and wait until it is ready; seconds that took."""
        self.settings.home.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self.process = subprocess.Popen(
                [*self._prefix, sys.executable, "-m", "app.cli", "serve"],
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        return wait_until(self.is_ready, f"the API is not ready: {self.log.read_text()[-2000:]}")

    def is_ready(self) -> bool:
        """Whether it says so."""
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.address}/health/ready", timeout=5).is_success
        return False

    def kill(self) -> None:
        """Without any warning."""
        self._end(signal.SIGKILL)

    def stop(self) -> float:
        """Ask it to end; seconds until it has."""
        began = time.monotonic()
        self._end(signal.SIGTERM)
        return time.monotonic() - began

    def renew(self) -> None:
        """Have its workers make room for others, one by one."""
        assert self.process is not None
        self.process.send_signal(signal.SIGHUP)

    def _end(self, number: int) -> None:
        if self.process is not None:
            self.process.send_signal(number)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None


@contextlib.contextmanager
def ended(*children: StoreChild | ApiChild) -> Iterator[None]:
    """Kill what is left of them when the block ends."""
    try:
        yield
    finally:
        for child in children:
            with contextlib.suppress(AssertionError):
                child.kill()
