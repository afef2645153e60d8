"""`Authorization: Bearer KEY` -> who calls.

Every route declares a role, or that it is open; a service with a route that does neither refuses to start.
"""

from __future__ import annotations

import hmac
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from fastapi import Depends
from fastapi.openapi.models import HTTPBearer as BearerScheme
from fastapi.params import Depends as Dependency
from fastapi.routing import APIRoute
from fastapi.security.base import SecurityBase
from starlette.requests import Request
from starlette.routing import BaseRoute

from app.api.guesses import Guesses
from app.api.quota import Quota
from app.domain import Role
from app.errors import NotAllowed, TooMany, Unauthenticated, Unavailable
from app.storage.flights import Flights, breaker_of
from app.storage.keys import ApiKey, find_key, list_keys, sha256_of
from app.storage.stores import Stores

FRESH_SECONDS = 5.0  # how long a revoked key may still be taken for good
KEPT_AT_MOST = 10_000
SECRET_CHARACTERS = 512
RANK = {role: rank for rank, role in enumerate(Role)}
CALLER = "tuwen.caller"  # in the ASGI scope
KEYS = "keys"  # in the state of the application

MISSING = "send the header Authorization: Bearer KEY"
GUESSING = "too many wrong keys from this address: wait, then send a good one"
TOO_OFTEN = "this key has sent more requests than it may in a second: wait"
UNKNOWN = "the key is not known or was revoked; `tuwen keys create` makes one"


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key came with the request."""

    role: Role
    key_id: str
    name: str


@dataclass(frozen=True, slots=True)
class _Looked:
    """What the table said of a hash, and when."""

    key: ApiKey | None  # None: no such key
    until: float  # monotonic seconds


class KeyRing:
    """The keys as last seen in the table; while PostgreSQL is away those known are still good."""

    def __init__(
        self,
        stores: Stores,
        *,
        fresh_seconds: float = FRESH_SECONDS,
        kept_at_most: int = KEPT_AT_MOST,
        guesses: Guesses | None = None,
    ) -> None:
        self._database = stores.database
        self._fresh_seconds = fresh_seconds
        self._kept_at_most = kept_at_most
        self._guesses = guesses or Guesses()
        per_second = stores.settings.key_requests_per_second
        self._quota = None if per_second is None else Quota(per_second=per_second)
        self._looked: OrderedDict[str, _Looked] = OrderedDict()
        self._tried: set[str] = set()  # hashes not known to be good that are being looked up
        self._flights: Flights[_Looked] = Flights(
            breaker_of(stores.database), patience_seconds=stores.settings.recommend_patience_seconds
        )

    async def load(self) -> None:
        """Learn all keys at the start, so that a database that fails a moment later locks nobody out."""
        for key in await list_keys(self._database):
            self._note(key.secret_sha256, key)

    async def caller(self, secret: str, *, address: str = "") -> Caller:
        """Whose key it is. Raises Unauthenticated; Unavailable for a key not seen before while PostgreSQL is away.

        From an address with too many wrong keys only keys that are known to be good are taken, and no other is even
        looked up: raises TooMany. So does a client's key with too many requests.
        """
        digest = sha256_of(secret)
        known = self._looked.get(digest)
        if known is None or known.key is None:
            key = await self._try(digest, known, address=address)
        else:
            key = await self._kept(digest, known)
            if not _is_good(key, digest):
                self._guesses.wrong(address)
        if key is None or not _is_good(key, digest):
            raise Unauthenticated(UNKNOWN)
        if self._quota is not None and key.role is Role.CLIENT:
            wait_seconds = self._quota.wait_seconds(key.key_id)
            if wait_seconds:
                raise TooMany(TOO_OFTEN, wait_seconds=wait_seconds)
        return Caller(key.role, key.key_id, key.name)

    async def _try(self, digest: str, known: _Looked | None, *, address: str) -> ApiKey | None:
        """The key of a secret that may be a guess, and counts as one until it is found to be good.

        So of many that are sent at once none slips by. The same secret once more is no further guess.
        """
        wait_seconds = self._guesses.wait_seconds(address)
        if wait_seconds:
            raise TooMany(GUESSING, wait_seconds=wait_seconds)
        if digest in self._tried:
            return await self._kept(digest, known)
        self._tried.add(digest)
        self._guesses.wrong(address)
        try:
            key = await self._kept(digest, known)
        except Unavailable:
            self._guesses.right(address)
            raise
        finally:
            self._tried.discard(digest)
        if _is_good(key, digest):
            self._guesses.right(address)
        return key

    async def _kept(self, digest: str, known: _Looked | None) -> ApiKey | None:
        """The key of that hash as last seen, where that was lately; else as the table has it."""
        seconds_left = 0.0 if known is None else known.until - time.monotonic()
        if known is None or seconds_left < 0:
            known = await self._look(digest, known)
        elif seconds_left < self._fresh_seconds / 2 and known.key is not None:
            self._flights.ahead(digest, lambda: self._read(digest))  # all of a busy client's requests would wait
        return known.key

    async def _look(self, digest: str, known: _Looked | None) -> _Looked:
        try:
            return await self._flights.join(digest, lambda: self._read(digest))
        except Unavailable:
            if known is None:
                raise
            return self._note(digest, known.key)

    async def _read(self, digest: str) -> _Looked:
        return self._note(digest, await find_key(self._database, digest))

    def _note(self, digest: str, key: ApiKey | None) -> _Looked:
        looked = self._looked[digest] = _Looked(key, time.monotonic() + self._fresh_seconds)
        self._looked.move_to_end(digest)
        if len(self._looked) > self._kept_at_most:
            self._forget_one()
        return looked

    def _forget_one(self) -> None:
        """Make room: unknown secrets go first, so that guessing pushes no good key out."""
        guess = next((digest for digest, looked in self._looked.items() if looked.key is None), None)
        self._looked.pop(guess) if guess is not None else self._looked.popitem(last=False)


class RoleGate(SecurityBase):
    """Lets callers of a role, or of a higher one, through; declares the scheme to the OpenAPI."""

    def __init__(self, role: Role) -> None:
        self.role = role
        self.model = BearerScheme(
            description="An API key: of role client, ops or admin; each may do what the former may"
        )
        self.scheme_name = "bearer"

    async def __call__(self, request: Request) -> Caller:
        """Who calls. Raises Unauthenticated, NotAllowed."""
        caller = request.scope.get(CALLER)
        if caller is None:
            keys: KeyRing = getattr(request.app.state, KEYS)
            caller = request.scope[CALLER] = await keys.caller(
                _bearer_of(request), address=request.client.host if request.client else ""
            )
        assert isinstance(caller, Caller)
        if RANK[caller.role] < RANK[self.role]:
            raise NotAllowed(f"this needs a key of role {self.role}; yours is of role {caller.role}")
        return caller


async def anybody() -> None:
    """The declaration of a route that needs no key."""


CLIENT, OPS, ADMIN = (Depends(RoleGate(role)) for role in Role)
OPEN = Depends(anybody)


def gate_of(dependencies: Iterable[Dependency]) -> RoleGate | None:
    """The gate that a route declares; None for an open one. Raises LookupError when it declares neither or both."""
    declared = [
        one.dependency for one in dependencies if one.dependency is anybody or isinstance(one.dependency, RoleGate)
    ]
    if len(declared) != 1:
        raise LookupError("declare one role, or OPEN")
    return declared[0] if isinstance(declared[0], RoleGate) else None


def require_roles(routes: Iterable[BaseRoute]) -> None:
    """Refuse to start with a route that has forgotten to say who may use it. Raises LookupError naming it."""
    for route in undeclared(routes):
        raise LookupError(f"{getattr(route, 'path', route)}: declares no role; add CLIENT, OPS, ADMIN or OPEN")


def undeclared(routes: Iterable[BaseRoute]) -> Iterator[BaseRoute]:
    """Routes that do not say who may use them."""
    for route in routes:
        try:
            if not isinstance(route, APIRoute):
                raise LookupError
            gate_of(route.dependencies)
        except LookupError:
            yield route


def _is_good(key: ApiKey | None, digest: str) -> bool:
    return key is not None and key.revoked_at is None and hmac.compare_digest(key.secret_sha256, digest)


def _bearer_of(request: Request) -> str:
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    secret = secret.strip()
    if scheme.lower() != "bearer" or not secret:
        raise Unauthenticated(MISSING)
    if len(secret) > SECRET_CHARACTERS:
        raise Unauthenticated(UNKNOWN)
    return secret
