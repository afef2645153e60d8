"""What a client app does, over HTTP with a client key: ask for a page, report what was shown, report what was done."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import httpx

from app.errors import Unavailable

TRIES = 30
PAUSE_SECONDS = 0.5
BUSY = (429, 503)


@dataclass(frozen=True, slots=True)
class Page:
    """A recommendation as the app sees it."""

    recommendation_id: str | None
    post_ids: list[str]
    generation: str | None


class Phone:
    """A connection to the public API. Waits and tries again while the service says that it is busy."""

    def __init__(self, address: str, *, key: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._http = httpx.AsyncClient(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(30),
            transport=transport,
        )

    async def recommend(self, user_id: str, *, count: int) -> Page:
        """Ask for a page of `count` posts; nothing is recorded as shown yet."""
        answer = await self._post("/recommend", {"user_id": user_id, "k": count, "scene": "home"})
        ids = [str(item["post_id"]) for item in answer["items"]]
        return Page(answer["recommendation_id"], ids, answer.get("generation"))

    async def report_exposures(self, exposures: Sequence[dict[str, Any]]) -> None:
        """Say what was shown."""
        await self._post("/exposures", {"exposures": list(exposures)})

    async def report_behaviours(self, behaviours: Sequence[dict[str, Any]]) -> None:
        """Say what was done with it."""
        if behaviours:
            await self._post("/behaviours", {"behaviours": list(behaviours)})

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Raises Unavailable when the service goes on being busy or refuses what was sent."""
        said = "nothing"
        for _ in range(TRIES):
            pause_seconds = PAUSE_SECONDS
            try:
                answer = await self._http.post(path, json=body)
            except httpx.TransportError as error:  # gone for a moment, or for good
                said = type(error).__name__
            else:
                if answer.is_success:
                    return dict(answer.json())
                said = f"{answer.status_code} {answer.text[:500]}"
                if answer.status_code not in BUSY:
                    break
                pause_seconds = float(answer.headers.get("Retry-After", PAUSE_SECONDS))
            await asyncio.sleep(pause_seconds)
        raise Unavailable(f"{path} of the API answered: {said}")
