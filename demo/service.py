"""What the demo asks of the running API as its operator: does it answer, is it ready, which generation serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import httpx

from app.errors import Unavailable

PATIENCE_SECONDS = 180.0
POLL_SECONDS = 0.25


class Service:
    """A connection to the API with an ops key."""

    def __init__(self, address: str, *, key: str) -> None:
        self._http = httpx.AsyncClient(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=10)

    async def wait_for(self, path: str) -> None:
        """Wait until a path answers 200. Raises Unavailable when it takes too long."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                if (await self._http.get(path)).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # not listening yet; who watches the process sees if it has ended
            await asyncio.sleep(POLL_SECONDS)
        raise Unavailable(f"{path} of the API did not answer 200 in {PATIENCE_SECONDS:.0f} s")

    async def generations(self) -> tuple[str | None, Mapping[str, str]]:
        """The serving generation, and every generation's origin (`start`, `trained`, `reindexed`)."""
        answer = (await self._http.get("/generations")).raise_for_status().json()
        return answer["serving"], {one["generation"]: str(one["origin"]) for one in answer["generations"]}

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()
