"""A running installation -> a folder that holds all of it, and such a folder -> an installation with the same answers.

The database is dumped as of one moment, and first; pictures and generations never change once written, so copies made
after it hold whatever it names. What can be computed again (tokens, the cache) is left out.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text

from app.errors import BadArtefact, BadInput, Unavailable
from app.settings import Settings
from app.storage.dumps import DUMP_SILENCE_SECONDS, LOAD_SILENCE_SECONDS, dump, load
from app.storage.embedded import store_addresses
from app.storage.erased import KEY_FILE
from app.storage.migrate import migrate
from app.storage.own_key import put_key
from app.storage.pictures import PictureFolder
from app.storage.postgres import sync_engine, sync_transaction

FORMAT = 1
MANIFEST, DUMP, POINTER = "backup.json", "database.dump", "current"
NOT_EMPTY = "this installation holds data already: restore into an empty TUWEN_HOME and an empty database"
TABLES = ("posts", "users", "exposures", "behaviours")


@dataclass(frozen=True)
class Backup:
    """What a backup says of itself; written last, so a folder without it is none."""

    format: int
    created_at: str  # UTC
    dump_sha256: str
    dump_bytes: int
    pictures: int
    generations: tuple[str, ...]
    serving: str | None
    erasure_key_sha256: str | None = None  # None: there was none, or the backup is of before this was noted


def back_up(settings: Settings, folder: Path, *, silence_seconds: float = DUMP_SILENCE_SECONDS) -> Backup:
    """Write all of an installation into an empty folder, while it runs. Raises BadInput, Unavailable."""
    if not settings.pictures.is_dir():  # before stores are made there
        raise BadInput(f"{settings.pictures} is missing: TUWEN_HOME has to be the folder of an installation")
    with _disk_trouble_told(folder), store_addresses(settings) as addresses:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise BadInput(f"{folder} is not empty: name a new folder")
        folder.chmod(0o700)  # it holds what people did
        created_at = datetime.now(UTC).isoformat()
        dump(addresses.database_url, folder / DUMP, silence_seconds=silence_seconds)
        pictures = _copy_pictures(settings.pictures, folder / "pictures")
        serving = _copy_generations(settings.generations, folder / "generations")
        key = folder / KEY_FILE
        with suppress(FileNotFoundError):
            shutil.copy2(settings.home / KEY_FILE, key)
        generations = tuple(sorted(one.name for one in (folder / "generations").iterdir() if one.is_dir()))
        told = (created_at, _sha256(folder / DUMP), (folder / DUMP).stat().st_size, pictures, generations, serving)
        made = Backup(FORMAT, *told, _sha256(key) if key.exists() else None)
        (folder / MANIFEST).write_text(json.dumps(asdict(made), indent=2) + "\n")
    return made


def restore(settings: Settings, folder: Path, *, silence_seconds: float = LOAD_SILENCE_SECONDS) -> Backup:
    """Make an empty installation the one that was backed up. Raises BadInput, BadArtefact, Unavailable."""
    made = _read(folder)
    with _disk_trouble_told(settings.home), store_addresses(settings) as addresses:
        _require_empty(settings, addresses.database_url)
        for name in ("pictures", "generations"):
            shutil.copytree(folder / name, settings.home / name, dirs_exist_ok=True, ignore=_all_but_whole)
        pictures = PictureFolder(settings.pictures)
        for file in (one for one in settings.pictures.rglob("*") if one.is_file()):
            if pictures.path(_sha256(file)) != file:
                raise BadArtefact(f"the backup is damaged: picture {file.name} is not what it was")
        # Before the database: without it the tables would not know who was erased, and no repetition could mend that.
        with suppress(FileNotFoundError):
            put_key(settings.home, KEY_FILE, (folder / KEY_FILE).read_bytes())
        load(addresses.database_url, folder / DUMP, silence_seconds=silence_seconds)
        migrate(addresses.database_url)
        if made.serving is not None:
            (settings.generations / POINTER).write_text((folder / "generations" / POINTER).read_text())
    return made


def _read(folder: Path) -> Backup:
    """What the backup says of itself, its dump and its key compared with it."""
    try:
        made = Backup(**json.loads((folder / MANIFEST).read_text()))
    except (OSError, ValueError, TypeError):
        raise BadInput(f"{folder} holds no whole backup: {MANIFEST} is missing or unreadable") from None
    if made.format != FORMAT:
        raise BadInput(f"the backup has format {made.format}; this version reads {FORMAT}")
    for name, sha256 in ((DUMP, made.dump_sha256), (KEY_FILE, made.erasure_key_sha256)):
        if sha256 is not None and not ((folder / name).is_file() and _sha256(folder / name) == sha256):
            raise BadArtefact(f"the backup is damaged: {name} is not what it was")
    return made


def _require_empty(settings: Settings, database_url: str) -> None:
    engine = sync_engine(database_url)
    with sync_transaction(engine) as connection:
        there = [one for one in TABLES if connection.scalar(text("SELECT to_regclass(:name)"), {"name": one})]
        rows = [connection.scalar(text(f"SELECT EXISTS (SELECT FROM {one})")) for one in there]  # noqa: S608
    engine.dispose()
    if any(rows) or (settings.generations / POINTER).exists():
        raise BadInput(NOT_EMPTY)


def _copy_pictures(source: Path, target: Path) -> int:
    target.mkdir()
    shutil.copytree(source, target, dirs_exist_ok=True, ignore=_all_but_whole)
    return sum(1 for one in target.rglob("*") if one.is_file())


def _copy_generations(source: Path, target: Path) -> str | None:
    """Copy the generations, the serving one above all; an older one may be removed under our hands."""
    target.mkdir()
    try:
        serving = (source / POINTER).read_text().strip()
    except FileNotFoundError:
        return None
    for one in sorted(source.iterdir(), key=lambda one: one.name != serving):
        if one.is_dir() and not one.name.startswith("."):
            try:
                shutil.copytree(one, target / one.name)
            except (OSError, shutil.Error):
                if one.name == serving or one.exists():
                    raise
                shutil.rmtree(target / one.name, ignore_errors=True)
    (target / POINTER).write_text(serving)
    return serving


def _all_but_whole(folder: str, names: list[str]) -> list[str]:
    """Files half written, and the pointer, which is set last."""
    return [name for name in names if name.startswith(".") or name == POINTER]


def _sha256(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


@contextmanager
def _disk_trouble_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        place = os.fspath(problem.filename or folder)
        raise Unavailable(f"{place}: {problem.strerror or problem}; make room or name another folder") from None
