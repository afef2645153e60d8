"""Who was erased <-> a table of keyed hashes, so that no late event brings a person back and the table names nobody."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

KEY_FILE = "erasure.key"
SUBJECT_CHARACTERS = 16
ASKED_AT_ONCE = 10_000  # so that hashing a huge batch holds nobody up

_ADD = text("""
    INSERT INTO erased_users (user_hash, receipt_id) VALUES (:user_hash, :receipt_id)
    ON CONFLICT (user_hash) DO NOTHING""")
_FIND = text("SELECT receipt_id, erased_at FROM erased_users WHERE user_hash = :user_hash")
_ALL = text("SELECT user_hash FROM erased_users")
_AMONG = text("SELECT user_hash FROM erased_users WHERE user_hash = ANY(:hashes)")


@dataclass(frozen=True, slots=True)
class Receipt:
    """That a person was erased, and when first."""

    receipt_id: str
    erased_at: datetime  # UTC, aware


class ErasedUsers:
    """Knows the erased by HMAC-SHA256 under a key of this installation, which is no part of the database."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def hash_of(self, user_id: str) -> str:
        """What stands for a person who must not be named, hex."""
        return hmac.digest(self._key, user_id.encode("utf-8", "surrogatepass"), hashlib.sha256).hex()

    def subject_of(self, user_id: str) -> str:
        """What stands for a person in the audit."""
        return f"user #{self.hash_of(user_id)[:SUBJECT_CHARACTERS]}"

    async def among(self, connection: AsyncConnection, user_ids: Collection[str]) -> frozenset[str]:
        """Those of the users who were erased."""
        found: set[str] = set()
        waiting = iter(user_ids)
        while by_hash := {self.hash_of(user_id): user_id for user_id in islice(waiting, ASKED_AT_ONCE)}:
            found.update(by_hash[one] for one in await connection.scalars(_AMONG, {"hashes": list(by_hash)}))
        return frozenset(found)

    def hashes(self, connection: Connection) -> frozenset[str]:
        """What stands for all the erased, for whoever has to look at many words."""
        return frozenset(connection.scalars(_ALL))

    async def remember(self, connection: AsyncConnection, user_id: str) -> Receipt:
        """Note that the person is erased; the receipt is that of the first time."""
        values = {"user_hash": self.hash_of(user_id), "receipt_id": f"erasure-{secrets.token_hex(8)}"}
        await connection.execute(_ADD, values)
        return Receipt(*(await connection.execute(_FIND, {"user_hash": values["user_hash"]})).one())
