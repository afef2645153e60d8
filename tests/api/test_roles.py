from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette.routing import Route

from app.api.guarded import GuardedRoute
from app.api.guesses import Guesses
from app.api.keys import KeyRing, require_roles
from app.domain import Role
from app.errors import TooMany, Unauthenticated, Unavailable
from app.pages.routes import router as pages
from app.storage.jobs import JobKind, create_job
from app.storage.keys import create_key, revoke_key
from app.storage.stores import Stores
from tests.api.conftest import Caller

pytestmark = pytest.mark.anyio
RANK = {None: -1, Role.CLIENT: 0, Role.OPS: 1, Role.ADMIN: 2}
ROLES = {
    ("post", "/recommend"): "client",
    ("get", "/recommend"): "client",
    ("post", "/recommend/batch"): "ops",
    ("post", "/users/{user_id}/merge"): "client",
    ("post", "/exposures"): "client",
    ("post", "/behaviours"): "client",
    ("get", "/posts/{post_id}"): "client",
    ("get", "/posts/{post_id}/picture"): "client",
    ("get", "/posts/{post_id}/similar"): "client",
    ("post", "/posts"): "ops",
    ("put", "/posts/{post_id}/picture"): "ops",
    ("patch", "/posts/{post_id}"): "ops",
    ("delete", "/posts/{post_id}"): "ops",
    ("put", "/users/{user_id}"): "client",
    ("get", "/users/{user_id}/export"): "admin",
    ("delete", "/users/{user_id}"): "admin",
    ("post", "/reindex"): "ops",
    ("get", "/reindex/{job_id}"): "ops",
    ("get", "/generations"): "ops",
    ("post", "/generations/{generation}/promote"): "ops",
    ("get", "/scenes"): "ops",
    ("get", "/scenes/{scene}"): "ops",
    ("put", "/scenes/{scene}"): "ops",
    ("delete", "/scenes/{scene}"): "ops",
    ("get", "/experiments"): "ops",
    ("get", "/experiments/{experiment}"): "admin",
    ("put", "/experiments/{experiment}"): "ops",
    ("delete", "/experiments/{experiment}"): "ops",
    ("get", "/dead-letters"): "ops",
    ("post", "/dead-letters/replay"): "ops",
    ("delete", "/dead-letters/{letter_id}"): "ops",
    ("get", "/audit"): "admin",
    ("get", "/health"): "admin",
    ("get", "/health/live"): "open",
    ("get", "/health/ready"): "open",
    ("get", "/metrics"): "ops",
}


def operations(app: FastAPI) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in app.openapi()["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


async def status(client: httpx.AsyncClient, method: str, path: str, **sent: Any) -> int:
    path = path.replace("{", "no-such-").replace("}", "")
    return (await client.request(method, path, **sent)).status_code


async def test_every_call_of_the_contract_has_its_role(app: FastAPI) -> None:
    declared = {(method, path): operation["x-role"] for method, path, operation in operations(app)}

    assert declared == ROLES


@pytest.mark.parametrize("role", [None, *Role])
async def test_a_role_reaches_its_own_calls_and_no_others(
    app: FastAPI, caller: Caller, stores: Stores, role: Role | None
) -> None:
    await create_job(stores.database, JobKind.REINDEX, requested_by="test")  # so that nothing is started

    for method, path, operation in operations(app):
        found = await status(caller(role), method, path)

        needed = operation["x-role"]
        if needed == "open" or RANK[role] >= RANK[Role(needed)]:
            assert found not in (401, 403), (method, path)
        else:
            assert found == (401 if role is None else 403), (method, path)


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer ", "Bearer wrong", "Basic dTpw", "wrong", "Bearer " + "x" * 5000, "bearer \xff"]
)
async def test_a_wrong_key_opens_nothing(app: FastAPI, caller: Caller, header: str) -> None:
    headers = [(b"authorization", header.encode("latin-1"))]

    for method, path, operation in operations(app):
        if operation["x-role"] != "open":
            assert await status(caller(None), method, path, headers=headers) == 401, (method, path)


async def test_a_key_is_checked_before_the_body_is_read(caller: Caller) -> None:
    answer = await caller(None).post("/exposures", content=b"no json at all")

    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="tuwen"'


async def test_the_pages_stay_on_their_own_paths() -> None:
    prefixes = ("/pages/", "/demo", "/admin")

    found = [str(context.path) for context in iter_route_contexts(pages.routes)]

    assert found
    assert [path for path in found if not path.startswith(prefixes)] == []


async def test_a_route_without_a_role_cannot_be_made() -> None:
    async def forgotten() -> None:
        """A route."""

    with pytest.raises(LookupError, match="OPEN"):
        GuardedRoute("/forgotten", forgotten)
    with pytest.raises(LookupError, match="/forgotten"):
        require_roles([Route("/forgotten", forgotten)])


async def test_a_new_key_works_at_once(stores: Stores, caller: Caller) -> None:
    new = await create_key(stores.database, role=Role.OPS, name="new")

    answer = await caller(None).get("/generations", headers={"Authorization": f"Bearer {new.secret}"})

    assert answer.status_code == 200


async def test_a_revoked_key_is_refused_once_it_is_looked_up_again(stores: Stores) -> None:
    new = await create_key(stores.database, role=Role.OPS, name="leaked")
    keys = KeyRing(stores, fresh_seconds=0)
    assert (await keys.caller(new.secret)).role is Role.OPS

    await revoke_key(stores.database, new.key.key_id)

    with pytest.raises(Unauthenticated):
        await keys.caller(new.secret)


async def test_known_keys_stay_good_while_the_database_is_away(stores: Stores, cut_off: Callable[[], None]) -> None:
    new = await create_key(stores.database, role=Role.CLIENT, name="app")
    keys = KeyRing(stores, fresh_seconds=0)
    await keys.load()

    cut_off()

    assert (await keys.caller(new.secret)).role is Role.CLIENT
    with pytest.raises(Unavailable):
        await keys.caller("never seen")


async def test_guessing_does_not_push_good_keys_out(stores: Stores) -> None:
    new = await create_key(stores.database, role=Role.CLIENT, name="app")
    keys = KeyRing(stores, kept_at_most=3)
    await keys.load()
    for guess in range(9):
        with pytest.raises(Unauthenticated):
            await keys.caller(f"guess {guess}")

    await revoke_key(stores.database, new.key.key_id)

    assert (await keys.caller(new.secret)).key_id == new.key.key_id  # still the one kept from before


async def test_who_guesses_waits_and_good_keys_still_work_from_there(stores: Stores) -> None:
    new = await create_key(stores.database, role=Role.CLIENT, name="app")
    keys = KeyRing(stores, guesses=Guesses(at_most=3, window_seconds=60))
    await keys.load()
    for guess in range(3):
        with pytest.raises(Unauthenticated):
            await keys.caller(f"guess {guess}", address="2001:db8::1")

    unseen = await create_key(stores.database, role=Role.CLIENT, name="made a moment ago")

    for secret in ("guess 4", unseen.secret):
        with pytest.raises(TooMany):
            await keys.caller(secret, address="2001:db8::2")
    assert (await keys.caller(new.secret, address="2001:db8::1")).key_id == new.key.key_id
    assert (await keys.caller(unseen.secret, address="2001:db8:0:1::1")).key_id == unseen.key.key_id


async def test_of_guesses_that_are_sent_at_once_none_slips_by(stores: Stores) -> None:
    keys = KeyRing(stores, guesses=Guesses(at_most=3, window_seconds=60))

    tries = [keys.caller(f"guess {guess}", address="10.0.0.1") for guess in range(9)]
    answers = await asyncio.gather(*tries, return_exceptions=True)

    assert [type(answer) for answer in answers] == [Unauthenticated] * 3 + [TooMany] * 6


async def test_a_new_key_is_no_guess_however_many_requests_bring_it_at_once(stores: Stores) -> None:
    keys = KeyRing(stores, guesses=Guesses(at_most=3, window_seconds=60))
    new = await create_key(stores.database, role=Role.CLIENT, name="app")
    others = [await create_key(stores.database, role=Role.CLIENT, name=f"app {number}") for number in range(5)]

    at_once = await asyncio.gather(*[keys.caller(new.secret, address="10.0.0.1") for _ in range(9)])
    one_by_one = [await keys.caller(other.secret, address="10.0.0.1") for other in others]

    assert {caller.key_id for caller in at_once} == {new.key.key_id}
    assert len(one_by_one) == 5


async def test_guesses_are_forgotten_when_their_time_is_over() -> None:
    guesses = Guesses(at_most=1, window_seconds=0.05)
    guesses.wrong("10.0.0.1")
    assert guesses.wait_seconds("10.0.0.1") > 0

    await asyncio.sleep(0.06)

    assert guesses.wait_seconds("10.0.0.1") == 0
