"""One process's use of one embedded server: the keeper is started if there is none, and again if it is killed."""

from __future__ import annotations

import errno
import logging
import subprocess
import sys
import threading
import time
from pathlib import Path

from app.errors import Unavailable
from app.storage.keeper import Address, read_address
from app.storage.leftovers import end_leftovers
from app.storage.locks import FileLock, give_to_folder_owner
from app.storage.servers import Server

PATIENCE_SECONDS = 90.0  # on a busy small machine, with a crash to recover from
POLL_SECONDS = 0.03
WATCH_SECONDS = 1.0
LOG_MAX_BYTES = 1 << 20
QUOTED_LINES = 5
PACKAGE_ROOT = Path(__file__).parents[2]
log = logging.getLogger(__name__)


class Tenancy:
    """Holds `users.lock` shared from `enter` to `leave`; the lock files are explained in `keeper.py`."""

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._ready = folder / "ready"
        self._log = folder / "keeper.log"
        try:
            self._users, self._keeper, self._start = (
                FileLock(folder / f"{name}.lock") for name in ("users", "keeper", "start")
            )
        except OSError as problem:
            raise _unwritable(folder, problem) from None
        self._over = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name=f"watch-{server.name}", daemon=True)

    def enter(self) -> Address:
        """Wait until the server answers. Raises Unavailable with the reason when it does not."""
        name = self._server.name
        if not self._start.own(seconds=PATIENCE_SECONDS) or not self._users.share(seconds=PATIENCE_SECONDS):
            raise Unavailable(f"another process has been starting or stopping {name} for {PATIENCE_SECONDS:.0f} s")
        self._wait_until_ready()
        self._start.release()
        address = read_address(self._folder)
        if address is None:
            raise Unavailable(f"{self._folder / 'address.json'} is damaged: it held the port and password of {name}")
        self._watcher.start()
        return address

    def leave(self) -> None:
        """Let go. Stopping the server is its keeper's work; the last one out does it where the keeper was killed."""
        self._over.set()
        if self._watcher.is_alive():
            self._watcher.join()
        self._users.release()
        if self._start.try_own() and self._keeper.try_own() and self._users.try_own():
            end_leftovers(self._server)
        for lock in (self._users, self._keeper, self._start):
            lock.close()

    def _watch(self) -> None:
        """Replace a killed keeper: its successor adopts the server, or starts one at the same address."""
        while not self._over.wait(WATCH_SECONDS):
            if not self._start.try_own():
                continue
            try:
                self._wait_until_ready()
            except (Unavailable, OSError) as problem:
                log.warning("%s is not kept: %s", self._server.name, problem)
            finally:
                self._start.release()

    def _wait_until_ready(self) -> None:
        """Start a keeper if there is none, and wait until its server answers; `start.lock` is owned meanwhile."""
        process: subprocess.Popen[bytes] | None = None
        log_start = 0  # bytes
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            if self._keeper.try_own():  # there is none
                self._ready.unlink(missing_ok=True)
                self._keeper.release()
                if process is None:
                    process, log_start = self._start_keeper()
                elif process.poll() is not None:
                    raise Unavailable(f"{self._server.name} did not start: {self._quote_log(log_start)}")
            elif self._ready.exists():
                return
            if time.monotonic() > deadline:
                quote = self._quote_log(log_start)
                raise Unavailable(f"{self._server.name} did not answer in {PATIENCE_SECONDS:.0f} s: {quote}")
            time.sleep(POLL_SECONDS)

    def _start_keeper(self) -> tuple[subprocess.Popen[bytes], int]:
        """Start it in a session of its own, so that Ctrl-C here does not reach it; and where its log begins."""
        if self._log.exists() and self._log.stat().st_size > LOG_MAX_BYTES:
            self._log.replace(self._log.with_suffix(".log.1"))
        try:
            output = self._log.open("ab")
        except OSError as problem:
            raise _unwritable(self._folder, problem) from None
        with output:
            give_to_folder_owner(self._log)
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "app.storage.keeper", self._server.name, str(self._folder)],
                cwd=PACKAGE_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            return process, output.tell()

    def _quote_log(self, start: int) -> str:
        with self._log.open("rb") as file:
            file.seek(start)
            lines = [line.strip() for line in file.read().decode(errors="replace").split("\n")]
        return " | ".join([line for line in lines if line][-QUOTED_LINES:]) or f"see {self._log}"


def _unwritable(folder: Path, problem: OSError) -> Unavailable:
    hint = "free some space" if problem.errno == errno.ENOSPC else "set TUWEN_HOME to a folder of yours"
    return Unavailable(f"cannot write in {folder}: {problem.strerror}; {hint}")
