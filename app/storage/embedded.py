"""Settings -> the addresses of PostgreSQL and Valkey; the embedded ones run where the settings name none."""

from __future__ import annotations

import errno
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import Unavailable
from app.settings import Settings
from app.storage.keeper import Address, read_address
from app.storage.leftovers import end_leftovers
from app.storage.locks import FileLock, give_to_folder_owner
from app.storage.servers import DATABASE_USER, HOST, Postgres, Server, ServerProblem, Valkey

PATIENCE_SECONDS = 90.0  # on a busy small machine, with a crash to recover from
POLL_SECONDS = 0.03
NEEDED_BYTES = 300 << 20  # a fresh PostgreSQL with its write-ahead log
LOG_MAX_BYTES = 1 << 20
PACKAGE_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Addresses:
    """Where the stores are; with passwords, so never printed."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)


@contextmanager
def store_addresses(settings: Settings) -> Iterator[Addresses]:
    """Addresses good until the block ends. Raises Unavailable when an embedded server cannot be had."""
    with ExitStack() as stack:
        if settings.database_url is not None:
            database_url = settings.database_url.get_secret_value()
        else:
            at = stack.enter_context(_embedded(Postgres, settings.home))
            database_url = f"postgresql://{DATABASE_USER}:{at.password}@{HOST}:{at.port}/postgres"
        if settings.redis_url is not None:
            redis_url = settings.redis_url.get_secret_value()
        else:
            at = stack.enter_context(_embedded(Valkey, settings.home))
            redis_url = f"redis://:{at.password}@{HOST}:{at.port}/0"
        yield Addresses(database_url, redis_url)


def _store_folder(home: Path, name: str) -> Path:
    """Make `home/stores/name`, which others may pass through but not list."""
    try:
        folder = home.absolute() / "stores" / name
        for path in (home.absolute(), folder.parent, folder):
            if not path.is_dir():
                path.mkdir(parents=True, exist_ok=True)
                give_to_folder_owner(path)
        folder.parent.chmod(0o711)
        folder.chmod(0o711)
    except OSError as problem:
        raise Unavailable(f"cannot write in {home}: {problem.strerror}; set TUWEN_HOME to a folder of yours") from None
    check_space(folder, needed_bytes=0 if (folder / "data").exists() else NEEDED_BYTES)
    return folder.resolve()


def check_space(folder: Path, *, needed_bytes: int) -> None:
    """Raises Unavailable when the disk has less room than that."""
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes < needed_bytes:
        free, needed = free_bytes >> 20, needed_bytes >> 20
        raise Unavailable(f"{free} MB free at {folder}, {needed} MB needed: free some, or set TUWEN_HOME elsewhere")


@contextmanager
def _embedded(kind: type[Server], home: Path) -> Iterator[Address]:
    """The address of the home's server, started by whoever comes first and stopped after the last one."""
    folder = _store_folder(home, kind.name)
    try:
        server = kind(folder)
        locks = [FileLock(folder / f"{name}.lock") for name in ("users", "keeper", "start")]
    except OSError as problem:
        hint = "free some space" if problem.errno == errno.ENOSPC else "set TUWEN_HOME to a folder of yours"
        raise Unavailable(f"cannot write in {folder}: {problem.strerror}; {hint}") from None
    except ServerProblem as problem:
        raise Unavailable(str(problem)) from None
    users, keeper, start = locks
    try:
        if not start.own(seconds=PATIENCE_SECONDS) or not users.share(seconds=PATIENCE_SECONDS):
            raise Unavailable(
                f"another process has been starting or stopping {server.name} for {PATIENCE_SECONDS:.0f} s"
            )
        _wait_until_ready(server, folder, keeper)
        start.release()
        address = read_address(folder)
        if address is None:
            raise Unavailable(f"{folder / 'address.json'} is damaged: it held the port and password of {server.name}")
        yield address
    finally:
        users.release()
        _end_what_nobody_keeps(server, users, keeper, start)
        for lock in locks:
            lock.close()


def _wait_until_ready(server: Server, folder: Path, keeper: FileLock) -> None:
    """Start a keeper if there is none, and wait until its server answers."""
    log = folder / "keeper.log"
    ready = folder / "ready"
    process: subprocess.Popen[bytes] | None = None
    log_start = 0
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        if keeper.try_own():  # there is none
            ready.unlink(missing_ok=True)
            keeper.release()
            if process is None:
                process, log_start = _start_keeper(server, folder, log)
            elif process.poll() is not None:
                raise Unavailable(f"{server.name} did not start: {_last_lines(log, log_start)}")
        elif ready.exists():
            return
        if time.monotonic() > deadline:
            raise Unavailable(
                f"{server.name} did not answer in {PATIENCE_SECONDS:.0f} s: {_last_lines(log, log_start)}"
            )
        time.sleep(POLL_SECONDS)


def _start_keeper(server: Server, folder: Path, log: Path) -> tuple[subprocess.Popen[bytes], int]:
    """Start the keeper in a session of its own, so that Ctrl-C here does not reach it; where its log begins."""
    if log.exists() and log.stat().st_size > LOG_MAX_BYTES:
        log.replace(log.with_suffix(".log.1"))
    with log.open("ab") as output:
        give_to_folder_owner(log)
        command = [sys.executable, "-m", "app.storage.keeper", server.name, str(folder)]
        process = subprocess.Popen(  # noqa: S603
            command,
            cwd=PACKAGE_ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
        return process, output.tell()


def _last_lines(log: Path, start: int) -> str:
    with log.open("rb") as file:
        file.seek(start)
        lines = file.read().decode(errors="replace").split("\n")
    return " | ".join([line.strip() for line in lines if line.strip()][-5:]) or f"see {log}"


def _end_what_nobody_keeps(server: Server, users: FileLock, keeper: FileLock, start: FileLock) -> None:
    """The last one out stops a server whose keeper was killed; where there is a keeper, that is its work."""
    if start.try_own() and keeper.try_own() and users.try_own():
        end_leftovers(server)
