"""A filled home -> latency and CPU of /recommend over HTTP, beside /health/live and the bare computation.

One `tuwen serve` process, one connection kept alive, one request after another, every user asked before.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.candidates.encode import use_threads
from app.candidates.serving import ServingCandidates
from app.candidates.view import CandidateView
from app.domain import HistoryItem
from app.main import THREADS_OF_A_REQUEST
from app.recommend.choose import POOL, Choice, choose_posts
from app.recommend.matching import log_weights
from app.recommend.request import RecommendRequest
from app.samples.history import history_before
from app.settings import Settings, child_environment
from app.storage.servers import free_port
from app.storage.stores import open_stores
from app.storage.user_state import load_user_state
from scripts.bench_figures import Figure, Floor, at_most
from scripts.bench_processes import cpu_seconds, peak_gib, running, say
from scripts.bench_world import BenchWorld, Sizes

P50_MS = 8
K = 20
BLOCKS = 10  # /recommend and /health/live take turns, so that both see the same machine
READY_SECONDS = 120


@dataclass
class Timed:
    """Requests of one sort."""

    milliseconds: list[float] = field(default_factory=list)
    cpu_ms: float | None = 0.0  # of the server, all together

    def percentile(self, share: float) -> float:
        """Nearest rank."""
        ranked = sorted(self.milliseconds)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]

    @property
    def cpu_per_request(self) -> float | None:
        """None where the system does not say."""
        return None if self.cpu_ms is None else self.cpu_ms / len(self.milliseconds)


def measure_recommend(made: BenchWorld, sizes: Sizes) -> list[Figure]:
    """Serve, ask, stop; then the bare computation in this process."""
    users = [person.user_id for person in made.world.people]
    settings = made.settings.model_copy(update={"port": free_port(None), "log_level": "WARNING"})
    key = secrets.token_urlsafe(32)
    environment = child_environment(settings) | {"TUWEN_CLIENT_KEY": key}
    say(f"asking for {sizes.requests:,} recommendations")
    command = [sys.executable, "-m", "app.cli", "serve"]
    with running(command, environment, settings.home / "logs" / "api.log") as server, connection(settings) as client:
        recommended, live = Timed(), Timed()
        wait_until_ready(client)
        for user in users:
            ask(client, key, user)
        each = max(1, sizes.requests // BLOCKS)
        for block in range(BLOCKS):
            some = [users[(block * each + number) % len(users)] for number in range(each)]
            timed(server.pid, recommended, lambda user: ask(client, key, user), some)
            timed(server.pid, live, lambda user: look(client), some)
        memory = peak_gib(server.pid)
    bare = asyncio.run(bare_milliseconds(settings, users))
    return _figures(made, recommended, live, bare=bare, memory=memory)


def _figures(
    made: BenchWorld, recommended: Timed, live: Timed, *, bare: Sequence[float], memory: float | None
) -> list[Figure]:
    floors = (
        Floor("/health/live", live.percentile(0.5)),
        Floor("matching and prediction alone", statistics.median(bare)),
    )
    candidates = f"{len(made.world.posts):,} candidates, k = {K}"
    cpu = (Floor("/health/live", live.cpu_per_request),) if live.cpu_per_request is not None else ()
    return [
        Figure("/recommend, p50", recommended.percentile(0.5), "ms", floors, at_most(P50_MS), candidates),
        Figure("/recommend, p95", recommended.percentile(0.95), "ms", (Floor("/health/live", live.percentile(0.95)),)),
        Figure("/recommend, p99", recommended.percentile(0.99), "ms", (Floor("/health/live", live.percentile(0.99)),)),
        Figure("/recommend, CPU of the server", recommended.cpu_per_request, "ms", cpu),
        Figure("peak memory of this API process", memory, "GiB"),
    ]


@contextmanager
def connection(settings: Settings) -> Iterator[http.client.HTTPConnection]:
    """One connection, kept alive."""
    client = http.client.HTTPConnection(settings.host, settings.port, timeout=30)
    try:
        yield client
    finally:
        client.close()


def wait_until_ready(client: http.client.HTTPConnection) -> None:
    """Raises TimeoutError."""
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        try:
            client.request("GET", "/health/ready")
            answer = client.getresponse()
            answer.read()
            if answer.status == http.HTTPStatus.OK:
                return
        except OSError:
            client.close()
        time.sleep(0.1)
    raise TimeoutError(f"the API was not ready after {READY_SECONDS} s")


def ask(client: http.client.HTTPConnection, key: str, user_id: str, *, path: str = "/recommend") -> bytes:
    """One page, as its bytes."""
    body = json.dumps({"user_id": user_id, "k": K})
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    client.request("POST", path, body, headers)
    answer = client.getresponse()
    content = answer.read()
    if answer.status != http.HTTPStatus.OK:
        raise RuntimeError(f"{path} answered {answer.status}: {content[:200]!r}")
    return content


def look(client: http.client.HTTPConnection) -> None:
    """The cheapest answer that the same application gives."""
    client.request("GET", "/health/live")
    client.getresponse().read()


def timed(pid: int, into: Timed, request: Callable[[str], object], users: Sequence[str]) -> None:
    """Make one request for each of the users, one after another."""
    cpu_before = cpu_seconds(pid)
    for user in users:
        began = time.perf_counter()
        request(user)
        into.milliseconds.append(1000 * (time.perf_counter() - began))
    cpu_after = cpu_seconds(pid)
    if cpu_before is None or cpu_after is None or into.cpu_ms is None:
        into.cpu_ms = None
    else:
        into.cpu_ms += 1000 * (cpu_after - cpu_before)


async def bare_milliseconds(settings: Settings, users: Sequence[str]) -> list[float]:
    """Of each user: the match of all candidates and the prediction of the page, nothing else."""
    use_threads(THREADS_OF_A_REQUEST)
    found = []
    async with open_stores(settings) as stores:
        serving = ServingCandidates(stores)
        await serving.refresh()
        view, moment = serving.view(), datetime.now(UTC)
        for user in [*users, *users]:
            state = (await load_user_state(stores, user)).state
            choice = choose_posts(view, RecommendRequest(user, k=K), state, returned=(), moment=moment)
            if choice.references:
                before = history_before(state.shown, moment, view.history_limits)
                found.append(_bare_milliseconds(view, choice, before, moment))
    return found[len(found) // 2 :]  # the first round warms up


def _bare_milliseconds(view: CandidateView, choice: Choice, before: Sequence[HistoryItem], moment: datetime) -> float:
    references = view.vectors[[view.row_of[one.post_id] for one in choice.references]]
    weights = log_weights(view, choice.references)
    began = time.perf_counter()
    matches = view.match(references, weights, choice.passing.mask, count=POOL)
    view.predict(view.fuse(before, moment), matches.rows[:K])
    return 1000 * (time.perf_counter() - began)
