"""API keys <-> their table, by SHA-256 only; and the first keys of an installation."""

from __future__ import annotations

import hashlib
import logging
import secrets
from dataclasses import dataclass
from datetime import datetime

from pydantic import SecretStr
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain import Role
from app.errors import BadSettings, UnknownId
from app.storage.postgres import transaction
from app.storage.stores import Stores

SECRET_BYTES = 32
KEYS_LOCK = 0x7475_7765_6E03  # one process at a time makes the first keys

_COLUMNS = "key_id, role, name, secret_sha256, created_at, revoked_at"
# (S608: only constants of this file are put together; values travel as parameters.)
_ADD = text(f"""
    INSERT INTO api_keys (key_id, role, name, secret_sha256) VALUES (:key_id, :role, :name, :secret_sha256)
    ON CONFLICT (secret_sha256) DO NOTHING RETURNING {_COLUMNS}""")  # noqa: S608
_LIST = text(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_at, key_id")  # noqa: S608
_FIND = text(f"SELECT {_COLUMNS} FROM api_keys WHERE secret_sha256 = :secret_sha256")  # noqa: S608
_REVOKE = text("UPDATE api_keys SET revoked_at = coalesce(revoked_at, clock_timestamp()) WHERE key_id = :key_id")
_HAS_ROLE = text("SELECT EXISTS (SELECT FROM api_keys WHERE role = :role AND revoked_at IS NULL)")
_LOCK = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=KEYS_LOCK)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is stored; the secret itself is not."""

    key_id: str
    role: Role
    name: str
    secret_sha256: str  # hex
    created_at: datetime  # UTC, aware
    revoked_at: datetime | None  # UTC, aware; None while it is good


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key just made: the only moment at which its secret is known. Never log it."""

    key: ApiKey
    secret: str


def sha256_of(secret: str) -> str:
    """What is stored of a secret, and looked up by."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


async def create_key(database: AsyncEngine, *, role: Role, name: str) -> NewKey:
    """Make a key. Its secret is in the answer and nowhere else."""
    async with transaction(database) as connection:
        return await _make(connection, role, name)


async def list_keys(database: AsyncEngine) -> list[ApiKey]:
    """All keys, oldest first, revoked ones included."""
    async with transaction(database) as connection:
        return [_key_of(row) for row in (await connection.execute(_LIST)).mappings()]


async def find_key(database: AsyncEngine, secret_sha256: str) -> ApiKey | None:
    """The key of that hash, revoked or not."""
    async with transaction(database) as connection:
        row = (await connection.execute(_FIND, {"secret_sha256": secret_sha256})).mappings().one_or_none()
        return None if row is None else _key_of(row)


async def revoke_key(database: AsyncEngine, key_id: str) -> None:
    """Let a key be good no longer; running services notice within seconds. Raises UnknownId."""
    async with transaction(database) as connection:
        if not (await connection.execute(_REVOKE, {"key_id": key_id})).rowcount:
            raise UnknownId("there is no key with this id; `tuwen keys list` shows them")


async def bootstrap_keys(stores: Stores) -> list[NewKey]:
    """See that every role has a key: the one of the settings, else one made now. Gives those that were made.

    Raises BadSettings when one secret is set for two roles.
    """
    settings = stores.settings
    given = {Role.CLIENT: settings.client_key, Role.OPS: settings.ops_key, Role.ADMIN: settings.admin_key}
    made = []
    async with transaction(stores.database) as connection:
        await connection.execute(_LOCK)
        for role, secret in given.items():
            if secret is not None:
                await _keep_given(connection, role, secret)
            elif not await connection.scalar(_HAS_ROLE, {"role": role}):
                made.append(await _make(connection, role, "made at first start"))
    return made


async def _keep_given(connection: AsyncConnection, role: Role, secret: SecretStr) -> None:
    variable = f"TUWEN_{role.upper()}_KEY"
    if not secret.get_secret_value().strip():
        raise BadSettings(f"{variable}: is blank; write a long random word, or unset it to have one made")
    found = await _add(connection, role, f"from {variable}", sha256_of(secret.get_secret_value()))
    if found.role is not role:
        raise BadSettings(f"{variable}: is already the key of role {found.role}; write another")
    if found.revoked_at is not None:
        logger.warning("%s names a revoked key, which stays revoked; set another one", variable)


async def _make(connection: AsyncConnection, role: Role, name: str) -> NewKey:
    secret = secrets.token_urlsafe(SECRET_BYTES)
    return NewKey(await _add(connection, role, name, sha256_of(secret)), secret)


async def _add(connection: AsyncConnection, role: Role, name: str, secret_sha256: str) -> ApiKey:
    """The key of that hash: a new one, or the one that is there."""
    values = {"key_id": f"key-{secrets.token_hex(4)}", "role": role, "name": name, "secret_sha256": secret_sha256}
    row = (await connection.execute(_ADD, values)).mappings().one_or_none()
    if row is None:
        row = (await connection.execute(_FIND, {"secret_sha256": secret_sha256})).mappings().one()
    return _key_of(row)


def _key_of(row: RowMapping) -> ApiKey:
    return ApiKey(
        row["key_id"],
        Role(row["role"]),
        row["name"],
        row["secret_sha256"],
        row["created_at"],
        row["revoked_at"],
    )
