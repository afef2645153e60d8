from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from app.errors import BadArtefact, BadInput, Unavailable
from app.intake.users import UserRecord, erase_user, save_users
from app.settings import Settings
from app.storage.backup import DUMP, MANIFEST, back_up, restore
from app.storage.embedded import Addresses
from app.storage.erased import KEY_FILE
from app.storage.stores import Stores, open_stores

pytestmark = pytest.mark.anyio


@pytest.fixture
def elsewhere(
    settings: Settings, tmp_path: Path, addresses: Addresses, server: psycopg.Connection
) -> Iterator[Settings]:
    """Settings of an installation with nothing in it, not even tables."""
    server.execute("CREATE DATABASE to_restore_into")
    url = addresses.database_url.rsplit("/", 1)[0] + "/to_restore_into"
    yield settings.model_copy(update={"home": tmp_path / "restored", "database_url": SecretStr(url)})
    server.execute("DROP DATABASE to_restore_into WITH (FORCE)")


@pytest.fixture
async def backup(stores: Stores, tmp_path: Path) -> Path:
    """A backup of an installation from which somebody was erased."""
    await save_users(stores, [UserRecord(user_id="u1"), UserRecord(user_id="erased-one")])
    await erase_user(stores, "erased-one", actor="test")
    back_up(stores.settings, tmp_path / "backup")
    return tmp_path / "backup"


def noted(backup: Path, **facts: object) -> None:
    """Let the backup say so of itself."""
    manifest = json.loads((backup / MANIFEST).read_text())
    (backup / MANIFEST).write_text(json.dumps({**manifest, **facts}))


async def statuses(settings: Settings) -> list[str]:
    """What becomes of late words about the one who was erased and of others."""
    async with open_stores(settings) as stores:
        records = [UserRecord(user_id="erased-one"), UserRecord(user_id="u1")]
        return [one.status for one in await save_users(stores, records)]


def test_a_folder_of_no_installation_is_not_backed_up_and_stays_as_it_was(settings: Settings, tmp_path: Path):
    mistyped = settings.model_copy(update={"home": tmp_path / "mistyped", "database_url": None, "redis_url": None})

    with pytest.raises(BadInput, match="TUWEN_HOME has to be"):
        back_up(mistyped, tmp_path / "backup")
    assert not mistyped.home.exists()
    assert not (tmp_path / "backup").exists()


async def test_a_restore_that_broke_off_has_the_key_already_and_can_be_repeated(
    backup: Path, elsewhere: Settings, tmp_path: Path
):
    whole = shutil.copytree(backup, tmp_path / "whole")
    half = (backup / DUMP).read_bytes()[:-2000]
    (backup / DUMP).write_bytes(half)
    noted(backup, dump_sha256=sha256(half).hexdigest())

    with pytest.raises(Unavailable, match="pg_restore failed"):
        restore(elsewhere, backup)
    left = sorted(file.name for file in elsewhere.home.iterdir() if file.is_file())
    key = elsewhere.home / KEY_FILE
    kept, mode = key.read_bytes(), key.stat().st_mode & 0o777
    restore(elsewhere, whole)

    assert left == [KEY_FILE]
    assert (kept, mode) == ((whole / KEY_FILE).read_bytes(), 0o600)
    assert await statuses(elsewhere) == ["rejected", "duplicate"]


@pytest.mark.parametrize("key", [None, b"", b"another key, of 32 bytes as well."])
async def test_a_backup_without_its_key_or_with_another_is_refused_before_anything_is_written(
    backup: Path, elsewhere: Settings, key: bytes | None
):
    (backup / KEY_FILE).unlink()
    if key is not None:
        (backup / KEY_FILE).write_bytes(key)

    with pytest.raises(BadArtefact, match=KEY_FILE):
        restore(elsewhere, backup)

    assert not elsewhere.home.exists()


async def test_a_backup_of_before_the_key_was_noted_is_restored(backup: Path, elsewhere: Settings):
    manifest = json.loads((backup / MANIFEST).read_text())
    del manifest["erasure_key_sha256"]
    (backup / MANIFEST).write_text(json.dumps(manifest))

    restore(elsewhere, backup)

    assert await statuses(elsewhere) == ["rejected", "duplicate"]
