"""Short words for writing a log in tests: who was shown what, and who did what, at minutes after a start."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

from sqlalchemy import text

from app.domain import Behaviour, BehaviourKind, Exposure, Rejection
from app.storage.events import log_batch
from app.storage.postgres import transaction
from app.storage.stores import Stores

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def minute(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


class Logbook:
    """Collects events and writes them to PostgreSQL, without a word to the caches."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._numbers = count(1)
        self._exposures: list[Exposure] = []
        self._behaviours: list[Behaviour] = []
        self._rejections: list[Rejection] = []

    def shown(self, user_id: str, post_id: str, minutes: float) -> str:
        """A showing; its exposure id."""
        exposure_id = f"e{next(self._numbers):05}"
        self._exposures.append(Exposure(exposure_id, user_id, post_id, minute(minutes)))
        return exposure_id

    def did(
        self, user_id: str, post_id: str, minutes: float, *, kind: str = "like", exposure_id: str | None = None
    ) -> None:
        behaviour_id = f"b{next(self._numbers):05}"
        self._behaviours.append(
            Behaviour(behaviour_id, user_id, post_id, BehaviourKind(kind), minute(minutes), exposure_id)
        )

    def rejected(self, user_id: str, post_id: str, minutes: float) -> None:
        self._rejections.append(Rejection(f"r{next(self._numbers):05}", user_id, post_id, minute(minutes)))

    async def write(self) -> None:
        async with log_batch(self._stores.database) as batch:
            await batch.add_exposures(self._exposures)
            await batch.add_behaviours(self._behaviours)
            await batch.add_rejections(self._rejections)
        self._exposures, self._behaviours, self._rejections = [], [], []

    async def traits(self, **traits: dict[str, str]) -> None:
        """Users by name with their traits."""
        async with transaction(self._stores.database) as connection:
            for user_id, words in traits.items():
                await connection.execute(text("INSERT INTO users (user_id) VALUES (:id)"), {"id": user_id})
                for name, value in words.items():
                    row = {"id": user_id, "name": name, "value": value}
                    await connection.execute(text("INSERT INTO user_traits VALUES (:id, :name, :value)"), row)
