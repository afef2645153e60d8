from __future__ import annotations

from dataclasses import replace

import pytest
from pydantic import SecretStr
from sqlalchemy import text

from app.domain import Role
from app.errors import BadSettings, UnknownId
from app.storage.keys import bootstrap_keys, create_key, find_key, list_keys, revoke_key, sha256_of
from app.storage.postgres import transaction
from app.storage.stores import Stores

pytestmark = pytest.mark.anyio


def with_settings(stores: Stores, **changes: object) -> Stores:
    return replace(stores, settings=stores.settings.model_copy(update=changes))


async def test_the_first_start_makes_a_key_for_every_role_and_the_second_none(stores: Stores) -> None:
    made = await bootstrap_keys(stores)

    assert [new.key.role for new in made] == [Role.CLIENT, Role.OPS, Role.ADMIN]
    assert len({new.secret for new in made}) == 3
    assert await bootstrap_keys(stores) == []


async def test_a_key_of_the_settings_is_kept_and_never_handed_out(stores: Stores) -> None:
    stores = with_settings(stores, admin_key=SecretStr("a long admin word"))

    made = await bootstrap_keys(stores)
    await bootstrap_keys(stores)

    assert [new.key.role for new in made] == [Role.CLIENT, Role.OPS]
    assert [key.name for key in await list_keys(stores.database)].count("from TUWEN_ADMIN_KEY") == 1


async def test_a_changed_setting_adds_a_key_and_leaves_the_old_one_good(stores: Stores) -> None:
    await bootstrap_keys(with_settings(stores, ops_key=SecretStr("first")))

    await bootstrap_keys(with_settings(stores, ops_key=SecretStr("second")))

    for secret in ("first", "second"):
        key = await find_key(stores.database, sha256_of(secret))
        assert key is not None
        assert key.role is Role.OPS
        assert key.revoked_at is None


async def test_one_secret_for_two_roles_is_refused(stores: Stores) -> None:
    stores = with_settings(stores, client_key=SecretStr("same"), admin_key=SecretStr("same"))

    with pytest.raises(BadSettings, match="TUWEN_ADMIN_KEY"):
        await bootstrap_keys(stores)


async def test_a_revoked_key_of_the_settings_stays_revoked(stores: Stores) -> None:
    stores = with_settings(stores, ops_key=SecretStr("leaked"))
    await bootstrap_keys(stores)
    key = await find_key(stores.database, sha256_of("leaked"))
    assert key is not None

    await revoke_key(stores.database, key.key_id)
    await bootstrap_keys(stores)

    found = await find_key(stores.database, sha256_of("leaked"))
    assert found is not None
    assert found.revoked_at is not None


async def test_revoking_an_unknown_key_says_so(stores: Stores) -> None:
    with pytest.raises(UnknownId, match="keys list"):
        await revoke_key(stores.database, "key-none")


async def test_no_secret_is_stored(stores: Stores) -> None:
    new = await create_key(stores.database, role=Role.CLIENT, name="the app")

    async with transaction(stores.database) as connection:
        rows = (await connection.execute(text("SELECT api_keys::text FROM api_keys"))).scalars().all()
    assert len(rows) == 1
    assert new.secret not in rows[0]
