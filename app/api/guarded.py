"""A route that checks the key before it reads the body, the body before it parses it, and waits for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Mapping
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from app.api.audited import write_entry
from app.api.json_bodies import parse_json, require_json
from app.api.keys import gate_of
from app.api.limits import Lane, LaneFull
from app.api.problems import busy
from app.domain import Role
from app.errors import Unavailable

LANES = "lanes"  # in the state of the application
LANE_EXTRA = "x-lane"  # in the OpenAPI of a route: which lane it waits in
DEADLINE_SECONDS = 10.0  # longer than any statement may take; only a frozen store makes an answer later
LATE = (
    "a store does not answer, or a picture comes too slowly; "
    "what was asked may still happen, and asking again with the same ids is harmless"
)

Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class JsonRequest(Request):
    """A request whose body was parsed strictly."""

    async def json(self) -> object:
        """The value of the body. Raises HTTPException 400."""
        if not hasattr(self, "_value"):
            self._value = parse_json(await self.body())
        return self._value


class GuardedRoute(APIRoute):
    """The class of every route of the API. Raises LookupError when made without a role."""

    def get_route_handler(self) -> Handler:
        """What answers a request."""
        gate = gate_of(self.dependencies)
        answer = super().get_route_handler()
        if gate is not None and gate.role is not Role.CLIENT:
            answer = _audited(answer)
        takes_json = self.body_field is not None
        lane_name: str | None = (self.openapi_extra or {}).get(LANE_EXTRA)

        async def guarded(request: Request) -> Response:
            lane = None if lane_name is None else _lane(request, lane_name)
            try:
                if lane is not None:
                    lane.refuse_when_full()
                if gate is not None:
                    await gate(request)
                if takes_json:
                    request = JsonRequest(request.scope, request.receive)
                    require_json(request)
                    await request.body()  # before the turn comes: a slow sender must not keep others waiting
                if lane is not None:
                    await lane.enter()
                return await _in_time(_in_turn(request, lane, answer))
            except LaneFull:
                return busy()

        return guarded


def _audited(answer: Handler) -> Handler:
    """The same, with an entry in the audit for what was changed."""

    async def answered(request: Request) -> Response:
        response = await answer(request)
        if response.status_code < 400:
            await write_entry(request)
        return response

    return answered


async def _in_turn(request: Request, lane: Lane | None, answer: Handler) -> Response:
    try:
        if isinstance(request, JsonRequest):
            await request.json()  # here, because FastAPI would swallow what is wrong with it
        return await answer(request)
    finally:
        if lane is not None:
            lane.leave()


async def _in_time(answering: Coroutine[Any, Any, Response]) -> Response:
    """The answer, if it comes before the deadline. Raises Unavailable.

    A late one goes on and keeps its place in the lane: cancelling a statement would wait for the frozen server too.
    """
    task = asyncio.create_task(answering)
    done, _ = await asyncio.wait({task}, timeout=DEADLINE_SECONDS)
    if not done:
        task.add_done_callback(_note_failure)
        raise Unavailable(LATE)
    return task.result()


def _note_failure(task: asyncio.Task[Response]) -> None:
    """Its caller has gone; an exception that nobody looks at would be complained of."""
    if not task.cancelled():
        task.exception()


def _lane(request: Request, name: str) -> Lane:
    lanes: Mapping[str, Lane] = getattr(request.app.state, LANES)
    return lanes[name]


def lanes_by_path(routes: Iterable[BaseRoute], lanes: Mapping[str, Lane]) -> dict[tuple[str, str], Lane]:
    """Method and path -> lane, of the routes whose path is always the same."""
    guarded = [route for route in routes if isinstance(route, GuardedRoute) and "{" not in route.path]
    named = [(route, (route.openapi_extra or {}).get(LANE_EXTRA)) for route in guarded]
    return {
        (method, route.path): lanes[name] for route, name in named if name is not None for method in route.methods or ()
    }


def lane(name: str) -> dict[str, Any]:
    """For `openapi_extra`: the route waits for its turn in this lane."""
    return {LANE_EXTRA: name}
