"""The folder of an installation -> secrets of its own, each in a file that only its owner can read."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

KEY_BYTES = 32


def own_key(home: Path, name: str) -> bytes:
    """The secret of that name; made at the first call."""
    path = home / name
    if not path.exists():
        home.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f"{name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            os.fsync(file.fileno())
        # Of two processes that start together the second to link loses, and both read the same secret.
        with suppress(FileExistsError):
            os.link(fresh, path)
        fresh.unlink()
    return path.read_bytes()


def put_key(home: Path, name: str, key: bytes) -> None:
    """Let the secret of that name be this one; on the disk, whole, when it returns."""
    fresh = home / f".{name}.fresh"
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(key)
        os.fsync(file.fileno())
    fresh.replace(home / name)
    folder = os.open(home, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
