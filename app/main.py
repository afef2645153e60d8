"""The API process: settings -> stores, serving candidates, routes and pages behind one port, until a signal comes."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

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
from app.api.guarded import LANES, GuardedRoute
from app.api.keys import KEYS, OPEN, KeyRing, require_roles
from app.api.limits import BodyLimit, RequestEnvelope
from app.api.log_lines import write_log_lines
from app.api.openapi import write_openapi
from app.api.problems import on_http_exception, on_invalid_request, on_tuwen_error
from app.api.state import STATE, ApiState, api_state, lanes
from app.api.wire import WireProtocol
from app.candidates.encode import use_threads
from app.candidates.serving import ServingCandidates
from app.errors import TuwenError, Unavailable
from app.metrics import Metrics
from app.pages.parts import PARTS, page_parts
from app.pages.routes import router as page_routes
from app.settings import Settings
from app.storage.keys import NewKey, bootstrap_keys
from app.storage.stores import Stores, open_stores
from app.tracing import tracing

VERSION = "1"  # of the API
GRACE_SECONDS = 10  # for requests under way when the service is stopped
KEEP_ALIVE_SECONDS = 30
THREADS_OF_A_REQUEST = 1  # its matrices are small: more threads would wait for each other longer than they compute
RESTART_SECONDS = 1.0

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
    setattr(app.state, KEYS, KeyRing(stores))
    setattr(app.state, LANES, lanes(metrics))
    parts = page_parts(stores, candidates, metrics=metrics, start_reindex=state.children.start)
    setattr(app.state, PARTS, parts)
    for router in (*(module.router for module in ROUTERS), meta):
        app.router.routes.extend(router.routes)  # flat: the way to a route is walked with every request
    require_roles(app.router.routes)
    write_openapi(app)
    app.include_router(page_routes)  # for people, who have sessions instead of keys
    app.add_exception_handler(TuwenError, on_tuwen_error)
    app.add_exception_handler(HTTPException, on_http_exception)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
    app.add_middleware(BodyLimit, max_bytes=stores.settings.request_max_bytes)
    app.add_middleware(RequestEnvelope, metrics=metrics, stopping=state.stopping)
    return app


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Learn the keys and follow the generations while the application runs; stop its children with it."""
    state: ApiState = getattr(app.state, STATE)
    keys: KeyRing = getattr(app.state, KEYS)
    await keys.load()
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


def serve(settings: Settings) -> int:
    """Run the API until SIGTERM or Ctrl-C. Raises Unavailable when the port or a store cannot be used."""
    write_log_lines(settings.log_level)
    use_threads(THREADS_OF_A_REQUEST)
    with contextlib.closing(_listen(settings.host, settings.port)) as listener, tracing(settings, process="api"):
        config = uvicorn.Config("", log_config=None)  # only for its choice of the event loop
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_serve(settings, listener))
    return 0


async def _serve(settings: Settings, listener: socket.socket) -> None:
    async with open_stores(settings) as stores:
        announce(await bootstrap_keys(stores))
        app = create_app(stores)
        state: ApiState = getattr(app.state, STATE)
        config = uvicorn.Config(
            app,
            http=WireProtocol,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=GRACE_SECONDS,
        )
        print(f"Tuwen listens on http://{_authority(settings)}", flush=True)
        await Server(config, state.stopping, drain_seconds=settings.drain_seconds).serve(sockets=[listener])


class Server(uvicorn.Server):
    """Ends by returning: uvicorn's own way is to raise the signal again, which would leave the stores running.

    SIGTERM first says that it is not ready any longer, and still answers for a while; Ctrl-C, or a second signal, ends
    it at once.
    """

    def __init__(self, config: uvicorn.Config, stopping: asyncio.Event, *, drain_seconds: float) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._drain_seconds = drain_seconds

    def _stop(self, number: int) -> None:
        if number == signal.SIGINT or self._stopping.is_set():
            self.handle_exit(number, None)
            return
        self._stopping.set()
        asyncio.get_running_loop().call_later(self._drain_seconds, self.handle_exit, number, None)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Let signals end the service while the block runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)


def announce(made: Sequence[NewKey]) -> None:
    """Print keys just made: their secrets are written nowhere else."""
    if made:
        print("API keys, shown this once (`tuwen keys create` makes others):")
        for new in made:
            print(f"  {new.key.role:<6} {new.secret}", flush=True)


def _listen(host: str, port: int) -> socket.socket:
    """A listening socket. Raises Unavailable with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        hint = "stop what uses it, or choose another TUWEN_HOST or TUWEN_PORT"
        raise Unavailable(f"cannot listen on {host}:{port}: {problem.strerror}; {hint}") from None
    listener.set_inheritable(False)
    return listener


def _authority(settings: Settings) -> str:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"{host}:{settings.port}"
