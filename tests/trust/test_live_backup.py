"""Row 30: a backup that is made while events come in."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from app.storage.backup import back_up, restore
from tests.trust.children import database_url
from tests.trust.figures import Row
from tests.trust.ledger import Ledger
from tests.trust.load import Client
from tests.trust.world import Broken

STRANGERS = "SELECT count(*) FROM {table} WHERE NOT EXISTS (SELECT FROM users WHERE users.user_id = {table}.user_id)"


async def backed_up_while_sending(
    world: Broken, ledger: Ledger, client: Client, folder: Path, *, before: float, after: float
) -> tuple[float, float]:
    """When it began and when it ended (monotonic seconds); it begins so long after the sending, and before its end."""
    sending = asyncio.create_task(ledger.send(client, seconds=before + after))
    await asyncio.sleep(before)
    began = time.monotonic()
    await asyncio.to_thread(back_up, world.api.settings, folder)
    ended = time.monotonic()
    await sending
    await ledger.send_again(client)
    return began, ended


async def restored(world: Broken, folder: Path, number: int) -> str:
    """Address of a new database that the backup was restored into."""
    name = f"restored_{number}"
    with psycopg.connect(database_url(world.postgres.port), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    address = database_url(world.postgres.port).rsplit("/", 1)[0] + f"/{name}"
    chosen = {"home": folder.with_name(f"home-{number}"), "database_url": SecretStr(address)}
    await asyncio.to_thread(restore, world.api.settings.model_copy(update=chosen), folder)
    return address


def strangers(address: str) -> int:
    """Showings and acts of people who are not there; whoever is new is written with his first event."""
    with psycopg.connect(address) as connection:
        counts = [connection.execute(STRANGERS.format(table=one)).fetchone() for one in ("exposures", "behaviours")]
    return sum(count for (count,) in counts)


@pytest.mark.slow
@pytest.mark.trust(30)
@pytest.mark.anyio
async def test_a_backup_made_while_events_come_in_has_all_that_was_acknowledged_before_and_nothing_half(
    world: Broken, row: Row, tmp_path: Path, at_full: Callable[[int, int], int]
) -> None:
    backups, client, ledger = at_full(2, 20), world.client(), Ledger(world, "backed-up")
    flaws, meanwhile, before = Counter[str](), 0, 0
    for number in range(backups):
        folder = tmp_path / f"backup-{number}"
        began, ended = await backed_up_while_sending(world, ledger, client, folder, before=0.5, after=0.7)
        before, meanwhile = ledger.acknowledged(0, began), meanwhile + ledger.acknowledged(began, ended)
        address = await restored(world, folder, number)
        found = await asyncio.to_thread(ledger.flaws_of_copy, address, begun_at=began)
        flaws.update(found | {"of_people_who_are_missing": strangers(address)})
        with psycopg.connect(database_url(world.postgres.port), autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {address.rpartition('/')[2]} WITH (FORCE)")
    client.close()

    row.done = f"{backups} backups while exposures and behaviours came in, each restored and compared"
    row.saw("events acknowledged before the last of these backups", before)
    row.at_least(1, "events acknowledged while they were made", meanwhile)
    row.none(**{f"{name}_in_a_restored_backup": count for name, count in flaws.items()})
