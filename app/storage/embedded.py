"""Settings -> the addresses of PostgreSQL and Valkey; the embedded ones run where the settings name none."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.errors import Unavailable
from app.settings import Settings
from app.storage.keeper import Address
from app.storage.locks import give_to_folder_owner
from app.storage.servers import DATABASE_USER, HOST, Postgres, Server, ServerProblem, Valkey
from app.storage.tenancy import Tenancy

FIRST_BYTES = {"postgres": 300 << 20, "valkey": 1 << 20}  # PostgreSQL writes its write-ahead log in advance
SPARE_BYTES = 20 << 20  # below that PostgreSQL would start and soon stop again


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
    check_space(folder, needed_bytes=SPARE_BYTES if (folder / "data").exists() else FIRST_BYTES[name])
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
        tenancy = Tenancy(kind(folder), folder)
    except ServerProblem as problem:
        raise Unavailable(str(problem)) from None
    try:
        yield tenancy.enter()
    finally:
        tenancy.leave()
