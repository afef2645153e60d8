"""The API process: settings -> stores, serving candidates, routes and pages behind one port, until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import orjson
import uvicorn
from fastapi import APIRouter, FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.api import (
    audit,
    batch,
    dead_letters,
    events,
    experiments,
    generations,
    health,
    pictures,
    posts,
    recommend,
    reindex,
    scenes,
    similar,
    users,
)
from app.api.guarded import LANES, GuardedRoute, lanes_by_path
from app.api.keys import KEYS, OPEN, KeyRing, require_roles
from app.api.limits import BodyLimit, RequestEnvelope
from app.api.log_lines import write_log_lines
from app.api.openapi import write_openapi
from app.api.problems import on_http_exception, on_invalid_request, on_tuwen_error
from app.api.state import STATE, ApiState, api_state, lanes
from app.api.turnstile import Turnstile
from app.api.wire import WireProtocol
from app.candidates.encode import use_threads
from app.candidates.serving import ServingCandidates
from app.errors import TuwenError, Unavailable
from app.metrics import Metrics
from app.opening import announce, listen
from app.pages.parts import PARTS, page_parts
from app.pages.routes import router as page_routes
from app.server import Server
from app.settings import Settings
from app.storage.keys import bootstrap_keys
from app.storage.stores import Stores, open_stores
from app.tracing import tracing

VERSION = "1"  # of the API
GRACE_SECONDS = 10  # for requests under way when the service is stopped
KEEP_ALIVE_SECONDS = 30
THREADS_OF_A_REQUEST = 1  # its matrices are small: more threads would wait for each other longer than they compute
RESTART_SECONDS = 1.0
SWITCH_SECONDS = 0.0005  # a request does not wait longer for a thread that loads a generation

# `/posts/{id}/picture` and `/similar` before `/posts/{id}`: ids may contain slashes.
ROUTERS = (
    recommend,
    batch,
    events,
    pictures,
    similar,
    posts,
    users,
    scenes,
    experiments,
    reindex,
    generations,
    dead_letters,
    audit,
    health,
)
meta = APIRouter(route_class=GuardedRoute, include_in_schema=False)

logger = logging.getLogger(__name__)


@meta.get("/openapi.json", dependencies=[OPEN])
async def get_openapi_document(request: Request) -> Response:
    """This API, described for programs."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


def create_app(stores: Stores) -> FastAPI:
    """The application over open stores. Raises LookupError when a route has forgotten to say who may use it."""
    app = FastAPI(title="Tuwen", version=VERSION, openapi_url=None, redirect_slashes=False, lifespan=_lifespan)
    metrics = Metrics()
    candidates = ServingCandidates(stores)
    state = api_state(stores, candidates, metrics)
    setattr(app.state, STATE, state)
    keys = KeyRing(stores)
    setattr(app.state, KEYS, keys)
    setattr(app.state, LANES, lanes(metrics, workers=stores.settings.workers))
    start = state.children.start
    parts = page_parts(stores, candidates, metrics=metrics, scenes=state.scenes, start_reindex=start, keys=keys)
    setattr(app.state, PARTS, parts)
    for router in (*(module.router for module in ROUTERS), meta):
        app.router.routes.extend(router.routes)  # flat: the way to a route is walked with every request
    require_roles(app.router.routes)
    write_openapi(app)
    app.include_router(page_routes)  # for people, who have sessions instead of keys
    app.add_exception_handler(TuwenError, on_tuwen_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    limits = stores.settings
    app.add_middleware(BodyLimit, max_bytes=limits.request_max_bytes, seconds=limits.body_seconds)
    app.add_middleware(RequestEnvelope, metrics=metrics, stopping=state.stopping)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Learn keys and scenes and follow the generations while the application runs; stop its children with it."""
    state: ApiState = getattr(app.state, STATE)
    keys: KeyRing = getattr(app.state, KEYS)
    await keys.load()
    await state.scenes.read()
    following = asyncio.create_task(_follow(state.candidates))
    try:
        yield
    finally:
        following.cancel()
        await state.children.close()
        with contextlib.suppress(asyncio.CancelledError):
            await following


async def _follow(candidates: ServingCandidates) -> None:
    """Keep the candidates current for ever; a mistake in one change must not leave them at rest."""
    while True:
        try:
            await candidates.run()
        except Exception:
            logger.exception("following the generations failed; it starts again in a second")
        await asyncio.sleep(RESTART_SECONDS)


def serve(settings: Settings, *, inherited_socket: int | None = None) -> int:
    """Run the API until SIGTERM or Ctrl-C. Raises Unavailable when the port or a store cannot be used.

    One of several workers gets the socket of their parent, and ends with it.
    """
    write_log_lines(settings.log_level)
    use_threads(THREADS_OF_A_REQUEST)
    sys.setswitchinterval(SWITCH_SECONDS)
    is_worker = inherited_socket is not None
    listener = socket.socket(fileno=inherited_socket) if is_worker else listen(settings.host, settings.port)
    with contextlib.closing(listener), tracing(settings, process="api"):
        config = uvicorn.Config("", log_config=None)  # only for its choice of the event loop
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(settings, listener, is_worker=is_worker))
    return 0


async def _serve(settings: Settings, listener: socket.socket, *, is_worker: bool) -> None:
    async with open_stores(settings) as stores:
        app = create_app(stores)
        state: ApiState = getattr(app.state, STATE)
        turnstile = Turnstile(
            lanes_by_path(app.router.routes, getattr(app.state, LANES)), state.metrics, state.stopping
        )
        config = uvicorn.Config(
            app,
            http=WireProtocol.behind(
                turnstile,
                head_seconds=settings.head_seconds,
                body_seconds=settings.body_seconds,
                body_bytes=settings.request_max_bytes,
            ),
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        replaced = state.replaced if is_worker else None
        server = Server(config, state.stopping, drain_seconds=settings.drain_seconds, replaced=replaced)
        gc.freeze()  # a collection need not look through what is there from the start, which takes a tenth of a second
        if is_worker:
            with suppress(Unavailable):  # others answer while it loads its generation
                await state.candidates.refresh()
        else:
            announce(settings, await bootstrap_keys(stores))
        await server.serve(sockets=[listener])
