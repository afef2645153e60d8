"""A generated log -> exposures a second of `tuwen import`, beside PostgreSQL's COPY of the same rows."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from app.domain import BEHAVIOUR_KINDS
from app.storage.postgres import transaction
from app.storage.stores import Stores, open_stores
from demo.files import SEED
from scripts.bench_figures import Figure, Floor, at_least
from scripts.bench_processes import say, tuwen
from scripts.bench_world import Sizes, fresh_settings, write_lines

EXPOSURES_PER_SECOND = 20_000
POSTS = 1_000
ROUNDED_SECONDS = 0.05  # the command tells tenths
COLUMNS = {
    "exposures": ("exposure_id", "user_id", "post_id", "shown_at", "position", "scene"),
    "behaviours": ("behaviour_id", "user_id", "post_id", "kind", "at", "exposure_id"),
}


def measure_import(home: Path, sizes: Sizes) -> list[Figure]:
    """Import posts, then the log; nothing else is in the stores."""
    home.mkdir(parents=True)
    posts, log = home / "posts.jsonl", home / "exposures.jsonl"
    write_lines(posts, ({"post_id": f"p{number}", "title": f"Post {number}"} for number in range(POSTS)))
    write_lines(log, exposure_lines(sizes))
    settings = fresh_settings(home / "tuwen")

    async def with_stores_up() -> tuple[float, float, float]:
        async with open_stores(settings) as stores:
            await asyncio.to_thread(tuwen, settings, "import", "--posts", posts)
            ran = await asyncio.to_thread(tuwen, settings, "import", "--exposures", log)
            return _seconds(ran.output), ran.seconds, await copy_seconds(stores, list(exposure_lines(sizes)))

    seconds, whole, bare = asyncio.run(with_stores_up())
    lines = sizes.import_lines
    floor = Floor("COPY of the same rows into tables without index", lines / bare)
    note = f"{lines:,} lines; {lines / whole:,.0f} with the start of the command"
    return [Figure("exposures imported", lines / seconds, "/s", (floor,), at_least(EXPOSURES_PER_SECOND), note)]


def _seconds(output: str) -> float:
    """As the command tells it."""
    found = re.findall(r"^([\d.]+) seconds", output, re.MULTILINE)
    return max(float(found[-1]), ROUNDED_SECONDS)


def exposure_lines(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """Exposures over a month, each with up to two behaviours; the same at every call."""
    dice = random.Random(f"log:{SEED}")  # noqa: S311 (a simulation)
    first = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=30)
    kinds = [kind.value for kind in BEHAVIOUR_KINDS]
    for number in range(sizes.import_lines):
        shown_at = first + timedelta(seconds=dice.randrange(29 * 86_400))
        acts = dice.sample(kinds, dice.randrange(3))
        yield {
            "exposure_id": f"e{number}",
            "user_id": f"u{dice.randrange(sizes.import_users)}",
            "post_id": f"p{dice.randrange(POSTS)}",
            "shown_at": shown_at.isoformat(),
            "position": number % 20,
            "scene": "home",
            "behaviours": [{"kind": kind, "at": (shown_at + timedelta(seconds=9)).isoformat()} for kind in acts],
        }


async def copy_seconds(stores: Stores, lines: Sequence[dict[str, Any]]) -> float:
    """What PostgreSQL alone takes to store the rows, already in its own format, and to commit them."""
    say("COPY of the same rows")
    rows = {"exposures": "".join(map(_exposure_row, lines)), "behaviours": "".join(map(_behaviour_rows, lines))}
    async with transaction(stores.database) as connection:
        for table in COLUMNS:
            await connection.exec_driver_sql(f"CREATE TABLE bare_{table} (LIKE {table} INCLUDING DEFAULTS)")
    began = time.perf_counter()
    async with transaction(stores.database) as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        for table, columns in COLUMNS.items():
            async with driver.cursor().copy(f"COPY bare_{table} ({', '.join(columns)}) FROM STDIN") as copy:
                await copy.write(rows[table])
    return time.perf_counter() - began


def _exposure_row(line: dict[str, Any]) -> str:
    return "\t".join(str(line[name]) for name in COLUMNS["exposures"]) + "\n"


def _behaviour_rows(line: dict[str, Any]) -> str:
    whose = f"{line['user_id']}\t{line['post_id']}"
    return "".join(
        f"{line['exposure_id']}-{act['kind']}\t{whose}\t{act['kind']}\t{act['at']}\t{line['exposure_id']}\n"
        for act in line["behaviours"]
    )
