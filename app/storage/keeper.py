"""One embedded server's supervisor: `python -m app.storage.keeper postgres|valkey FOLDER`. Standard library only.

It starts the server, starts it again when it dies, and stops it when the last user is out. Three lock files in the
folder say who is there: every user shares `users.lock` while he lives, the keeper owns `keeper.lock` while it lives,
and `start.lock` is owned by a user who looks for a keeper or starts one. The kernel drops each with its holder.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from types import FrameType

from app.storage.account import NoAccount, server_account
from app.storage.leftovers import end_leftovers, main_process
from app.storage.locks import FileLock, give_to_folder_owner
from app.storage.servers import Postgres, Server, ServerProblem, Valkey, free_port, new_password

POLL_SECONDS = 0.3
STARTING_POLL_SECONDS = 0.03
GRACE_SECONDS = 1.0  # a command that follows another finds the server still there
ATTEMPTS = 4  # failed starts in a row after which a keeper that never had the server up gives up
LONGEST_PAUSE_SECONDS = 5.0


@dataclass(frozen=True)
class Address:
    """Where the server listens on this machine and what it asks for."""

    port: int
    password: str


class Keeper:
    """The server and its state; `ready` is the file by which users see that it answers."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.folder = folder
        self.ready = folder / "ready"
        self.users = FileLock(folder / "users.lock")
        self.account = server_account(folder, program=server.program)
        self.child: subprocess.Popen[bytes] | None = None
        self.was_ready = False
        self.failures = 0
        self.start_after = 0.0  # monotonic seconds
        self.idle_since: float | None = None
        self.told_to_stop = False
        self.address = self._adopt() or self._begin()

    def _adopt(self) -> Address | None:
        """The address of a server that a killed keeper left in good health: those who use it notice nothing."""
        address, process_id = read_address(self.folder), main_process(self.server)
        healthy = address and process_id and self.server.answers(process_id, **asdict(address))
        return address if healthy else None

    def _begin(self) -> Address:
        end_leftovers(self.server)  # first: its port is wanted again
        address = renew_address(self.folder)
        self.server.prepare(self.account, password=address.password)
        return address

    def run(self) -> None:
        """Keep the server up for as long as anybody uses it."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._stop_soon)
        try:
            while not (self.told_to_stop or self._nobody_left()):
                self._mind()
                time.sleep(POLL_SECONDS if self.ready.exists() else STARTING_POLL_SECONDS)
        finally:
            self._stop()

    def _stop_soon(self, _number: int, _frame: FrameType | None) -> None:
        self.told_to_stop = True

    def _process_id(self) -> int | None:
        """The running server's, whether it was started here or found."""
        if self.child is None:
            return main_process(self.server)
        return self.child.pid if self.child.poll() is None else None

    def _mind(self) -> None:
        """Bring the server one step nearer to being up."""
        process_id = self._process_id()
        if process_id is None:
            self._start()
        elif not self.ready.exists() and self.server.answers(process_id, **asdict(self.address)):
            self.ready.touch()
            give_to_folder_owner(self.ready)
            self.was_ready, self.failures = True, 0

    def _start(self) -> None:
        self.ready.unlink(missing_ok=True)
        if time.monotonic() < self.start_after:
            return
        if self.was_ready or self.failures:
            print(f"keeper: {self.server.name} has ended; starting it again", flush=True)
            end_leftovers(self.server)
        if self.failures == ATTEMPTS and not self.was_ready:
            raise ServerProblem(f"{self.server.name} ended {ATTEMPTS} times right after its start")
        if self.failures and not self.was_ready:  # perhaps another program took the port first
            self.address = renew_address(self.folder)
        self.child = self.server.start(self.account, **asdict(self.address))
        self.start_after = time.monotonic() + min(0.25 * 2**self.failures, LONGEST_PAUSE_SECONDS)
        self.failures += 1

    def _nobody_left(self) -> bool:
        """Whether the grace is over. Then the lock is kept: who comes now waits until the server is stopped."""
        if not self.users.try_own():
            self.idle_since = None
            return False
        now = time.monotonic()
        self.idle_since = self.idle_since or now
        if now - self.idle_since >= GRACE_SECONDS:
            return True
        self.users.release()
        return False

    def _stop(self) -> None:
        self.ready.unlink(missing_ok=True)
        end_leftovers(self.server)
        if self.child is not None:
            self.child.kill()  # where it had not yet said that it runs


def read_address(folder: Path) -> Address | None:
    """The address last written, if any."""
    try:
        return Address(**json.loads((folder / "address.json").read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def renew_address(folder: Path) -> Address:
    """The last address, so that those still there find the server again; another port if that one is taken."""
    last = read_address(folder)
    address = Address(free_port(last.port), last.password) if last else Address(free_port(None), new_password())
    if address != last:
        unfinished = folder / "address.new"
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600)
        with unfinished.open("w") as file:
            json.dump(asdict(address), file)
            file.flush()
            os.fsync(file.fileno())
        give_to_folder_owner(unfinished)
        unfinished.rename(folder / "address.json")
    return address


def main() -> int:
    """Keep one server. Exit code 0 also when another keeper was quicker."""
    name, folder = sys.argv[1], Path(sys.argv[2])
    alone = FileLock(folder / "keeper.lock")
    if not alone.own(seconds=5):
        return 0
    try:
        Keeper(Postgres(folder) if name == Postgres.name else Valkey(folder), folder).run()
    except (NoAccount, ServerProblem, OSError) as problem:
        print(f"keeper: {problem}", flush=True)
        return 1
    finally:
        alone.release()  # before users.lock, which ends with this process: who gets that one finds no keeper
    return 0


if __name__ == "__main__":
    sys.exit(main())
