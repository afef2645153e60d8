"""/recommend at growing numbers of candidates -> CPU beside its unavoidable parts, latency at half load, memory.

The server has one core, the client another, where the system lets a process choose. Users have long histories.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from app.candidates.encode import use_threads
from app.candidates.generation import GenerationFolder
from app.candidates.score import best_first, serving_scores
from app.candidates.serving import ServingCandidates
from app.candidates.view import CandidateView
from app.recommend.choose import POOL
from app.settings import Settings, child_environment
from app.storage.servers import free_port
from app.storage.stores import open_stores
from app.storage.user_state import load_user_state
from scripts.bench_figures import Figure, Floor, at_least, at_most
from scripts.bench_load import Load, post_bytes, steady_load
from scripts.bench_processes import cpu_seconds, running, say, shared_memory_bytes
from scripts.bench_recommend import ask, connection, wait_until_ready
from scripts.bench_scale import grown_generation, with_long_histories
from scripts.bench_world import BenchWorld, Sizes

K = 20
SHARES = (1.0, 0.5, 0.05, 0.005)
FAISS_DEPTH, FAISS_PROBES, FAISS_ROWS_PER_LIST = 200, 16, 200
RECALL_TARGET, CPU_RATIO, P50_MS, P99_MS, GROWTH = 0.98, 2.0, 4.0, 15.0, 3.0


@dataclass(frozen=True)
class Bare:
    """The unavoidable parts of one request, CPU ms, and what the index finds."""

    faiss_ms: float
    network_ms: float
    recall: dict[float, float]  # share that passes -> recall@20
    own_match_ms: float


@dataclass(frozen=True)
class Measured:
    """One number of candidates."""

    candidates: int
    cpu_ms: float | None
    canned_ms: float | None
    bare: Bare
    quiet: Load
    swapped: Load
    memory_bytes: int | None  # of all workers, shared pages counted once; the highest seen


def measure_scaled(made: BenchWorld, sizes: Sizes) -> list[Figure]:
    """Grow, serve, ask, swap; for each number of candidates."""
    users = with_long_histories(made)
    found = []
    for candidates in sizes.candidates:
        say(f"{candidates:,} candidates: growing two generations")
        first, second = (grown_generation(made.settings, candidates) for _ in range(2))
        found.append(_measured(made.settings, users, sizes, candidates=candidates, generations=(first, second)))
    return [*(figure for one in found for figure in _figures(one, found[0])), *_growth(found)]


def _measured(
    settings: Settings, users: Sequence[str], sizes: Sizes, *, candidates: int, generations: tuple[str, str]
) -> Measured:
    key = secrets.token_urlsafe(32)
    requests = sizes.scaled_requests
    with _server(settings, key, ["-m", "app.cli", "serve"]) as (served, pid):
        cpu_ms = _cpu_per_request(served, pid, key, users, requests)
        wire = [post_bytes("/recommend", _body(users[number % len(users)]), key) for number in range(requests)]
        per_second = 0.5 * 1000 / (cpu_ms or 5.0)
        say(f"{candidates:,} candidates: {per_second:.0f} requests per second")
        quiet = asyncio.run(steady_load(served.host, served.port, wire, per_second=per_second))
        swapped = asyncio.run(_swap_meanwhile(served, wire, per_second, generation=generations[0]))
        canned = _answer(served, key, users[0])
    canned_file = settings.home / "canned.json"
    canned_file.write_bytes(canned)
    with _server(settings, key, ["-m", "scripts.bench_canned", str(canned_file)]) as (served, pid):
        canned_ms = _cpu_per_request(served, pid, key, users, requests, path="/canned")
    bare = asyncio.run(_bare(settings, users))
    memory = _memory_of_workers(settings, key, users, generations)
    return Measured(candidates, cpu_ms, canned_ms, bare, quiet, swapped, memory)


@contextmanager
def _server(settings: Settings, key: str, command: Sequence[str]) -> Iterator[tuple[Settings, int]]:
    """A server on one core, this process on the others, until the block ends."""
    served = settings.model_copy(update={"port": free_port(None), "log_level": "WARNING"})
    environment = child_environment(served) | {"TUWEN_CLIENT_KEY": key}
    log = served.home / "logs" / "scaled.log"
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_setaffinity") else []
    if len(cores) > 1:
        os.sched_setaffinity(0, cores[:1])  # inherited by the server
    with running([sys.executable, *command], environment, log) as process:
        if len(cores) > 1:
            os.sched_setaffinity(0, cores[1:])
        try:
            with connection(served) as client:
                wait_until_ready(client)
            yield served, process.pid
        finally:
            if cores:
                os.sched_setaffinity(0, cores)


def _body(user: str) -> bytes:
    return json.dumps({"user_id": user, "k": K}).encode()


def _answer(served: Settings, key: str, user: str) -> bytes:
    with connection(served) as client:
        return ask(client, key, user)


def _cpu_per_request(
    served: Settings, pid: int, key: str, users: Sequence[str], requests: int, *, path: str = "/recommend"
) -> float | None:
    """CPU ms of the server for one request, every user asked once before."""
    with connection(served) as client:
        for user in users:
            ask(client, key, user, path=path)
        before = cpu_seconds(pid)
        for number in range(requests):
            ask(client, key, users[number % len(users)], path=path)
        after = cpu_seconds(pid)
    return None if before is None or after is None else 1000 * (after - before) / requests


async def _swap_meanwhile(served: Settings, wire: Sequence[bytes], per_second: float, *, generation: str) -> Load:
    """The same load, with another generation promoted in the middle of it."""

    async def swap() -> None:
        await asyncio.sleep(len(wire) / per_second / 2)
        await asyncio.to_thread(GenerationFolder(served.generations).promote, generation)

    swapping = asyncio.create_task(swap())
    load = await steady_load(served.host, served.port, wire, per_second=per_second)
    await swapping
    return load


async def _bare(settings: Settings, users: Sequence[str]) -> Bare:
    """FAISS and the network on what requests give them, and the recall of the match, in this process."""
    use_threads(1)
    async with open_stores(settings) as stores:
        serving = ServingCandidates(stores)
        await serving.refresh()
        view = serving.view()
        references = []
        for user in users[:40]:
            shown = (await load_user_state(stores, user)).state.shown
            rows = view.row_of.known([one.post_id for one in shown if one.acts])[::-1]
            references.append(np.ascontiguousarray(rows[:30]))
    weights = [-0.5 * np.log1p(np.arange(len(rows), dtype=np.float32)) for rows in references]
    asked = list(zip(references, weights, strict=True))
    every = np.ones(len(view.vectors), bool)
    return Bare(
        _faiss_ms(view, asked),
        _network_ms(view),
        {share: _recall(view, asked, share) for share in SHARES},
        _cpu_ms(lambda one: view.match(view.vectors[one[0]], one[1], every, count=POOL), asked),
    )


def _cpu_ms(work: Callable[[tuple[NDArray[np.int64], NDArray[np.float32]]], object], asked: Sequence[tuple]) -> float:  # type: ignore[type-arg]
    """CPU ms of this process for one of them, the second time."""
    for one in asked:
        work(one)
    began = time.process_time()
    for one in asked:
        work(one)
    return 1000 * (time.process_time() - began) / len(asked)


def _faiss_ms(view: CandidateView, asked: Sequence[tuple]) -> float:  # type: ignore[type-arg]
    """The bare FAISS search: each reference asks for its nearest posts in inverted lists, all in one call."""
    items = np.concatenate([view.vectors.base, view.quality[:, None]], axis=1)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    index: faiss.Index = faiss.IndexFlatIP(items.shape[1])
    if len(items) > 20_000:
        lists = len(items) // FAISS_ROWS_PER_LIST
        index = lists_index = faiss.IndexIVFFlat(index, items.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        index.train(items[:: max(1, len(items) // (40 * lists))])
        lists_index.nprobe = FAISS_PROBES
    index.add(items)
    faiss.omp_set_num_threads(1)

    def search(one: tuple[NDArray[np.int64], NDArray[np.float32]]) -> object:
        references = view.vectors[one[0]]
        queries = np.concatenate([np.float32(view.tau) * references, np.ones((len(references), 1), np.float32)], axis=1)
        return index.search(queries, FAISS_DEPTH)

    return _cpu_ms(search, asked)


def _network_ms(view: CandidateView) -> float:
    """The bare forward pass of the prediction network over the ranked matches and a history, tensors ready."""
    from models.batch import BEHAVIOURS, History

    width, items = view.vectors.base.shape[1], 60
    zeros = torch.zeros(1, items, dtype=torch.int64)
    history = History(
        post=zeros,
        mask=torch.ones(1, items, dtype=torch.bool),
        sequence=zeros,
        order=zeros,
        happened=torch.ones(1, items, BEHAVIOURS),
        seconds_since=torch.ones(1, items, BEHAVIOURS),
        seconds_since_shown=torch.ones(1, items),
        is_reference=torch.ones(1, items, dtype=torch.bool),
    )
    page, quality, semantic = torch.randn(POOL, width), torch.zeros(POOL), torch.randn(1, items, width)

    def once(one: object) -> object:
        with torch.inference_mode():
            view.network.follow(page, semantic, history)
            return view.network.rank(page[:K], quality[:K], semantic, history)

    return _cpu_ms(once, [(np.zeros(0, np.int64), np.zeros(0, np.float32))] * 200)


def _recall(view: CandidateView, asked: Sequence[tuple], share: float) -> float:  # type: ignore[type-arg]
    """Share of the exact twenty best, among the posts that pass, that the match finds."""
    passing = np.random.default_rng(3).random(len(view.vectors)) < share
    found = []
    for rows, weights in asked:
        allowed = passing.copy()
        allowed[rows] = False
        references = view.vectors[rows]
        scores = serving_scores(references, weights, view.vectors.base, view.quality, tau=view.tau)
        best = best_first(np.where(allowed, scores, -np.inf), K)
        found.append(np.isin(best, view.match(references, weights, allowed, count=K).rows).mean())
    return statistics.fmean(found)


def _memory_of_workers(settings: Settings, key: str, users: Sequence[str], generations: tuple[str, str]) -> int | None:
    """The most memory that two workers had together while they answered and swapped, shared pages counted once."""
    highest = 0
    with _server(settings, key, ["-m", "app.cli", "serve", "--workers", "2"]) as (served, pid):
        for generation in (None, *generations):
            if generation is not None:
                GenerationFolder(settings.generations).promote(generation)
            for user in users:
                with connection(served) as client:
                    ask(client, key, user)
                now = shared_memory_bytes(pid)
                if now is None:
                    return None
                highest = max(highest, now)
    return highest


def _figures(one: Measured, smallest: Measured) -> list[Figure]:
    at = f"{one.candidates:,}"
    larger = 2 if one.candidates > 100_000 else 1
    figures = [
        Figure(f"/recommend at {at}, p50 at half load", one.quiet.percentile(0.5), "ms", (), at_most(P50_MS * larger)),
        Figure(f"/recommend at {at}, p99 at half load", one.quiet.percentile(0.99), "ms", (), at_most(P99_MS * larger)),
        *(
            Figure(f"recall@{K} at {at}, {share:.1%} pass", recall, "", (), at_least(RECALL_TARGET))
            for share, recall in one.bare.recall.items()
        ),
        Figure(f"the match alone at {at}, CPU", one.bare.own_match_ms, "ms", (Floor("FAISS", one.bare.faiss_ms),)),
        Figure(f"failed requests in a swap at {at}", float(one.quiet.failed + one.swapped.failed), "", (), at_most(0)),
        Figure(
            f"longest request in a swap at {at}",
            max(one.swapped.milliseconds, default=None),
            "ms",
            (Floor("p99 without one", one.quiet.percentile(0.99)),),
            at_most(3 * one.quiet.percentile(0.99)),
        ),
    ]
    if one.cpu_ms is not None and one.canned_ms is not None:
        floors = (
            Floor("same bytes, no work", one.canned_ms),
            Floor("bare FAISS search", one.bare.faiss_ms),
            Floor("bare forward pass", one.bare.network_ms),
        )
        ratio = one.cpu_ms / sum(floor.value for floor in floors)
        figures.insert(0, Figure(f"/recommend at {at}, CPU", one.cpu_ms, "ms", floors))
        figures.insert(1, Figure(f"/recommend at {at}, CPU / sum of its parts", ratio, "x", (), at_most(CPU_RATIO)))
    if one.memory_bytes is not None and smallest.memory_bytes is not None and one is not smallest:
        each = (one.memory_bytes - smallest.memory_bytes) / (one.candidates - smallest.candidates)
        figures.append(_memory_figure(at, each))
    return figures


def _memory_figure(at: str, each: float) -> Figure:
    vector_bytes = 4 * 64
    note = "two workers together, above what they take with the fewest"
    return Figure(
        f"memory per candidate at {at}",
        each,
        "B",
        (Floor("its vector", vector_bytes),),
        at_most(1.5 * vector_bytes + 200),
        note,
    )


def _growth(found: Sequence[Measured]) -> list[Figure]:
    first, last = found[0], found[-1]
    if first is last or first.cpu_ms is None or last.cpu_ms is None:
        return []
    name = f"CPU at {last.candidates:,} / at {first.candidates:,}"
    return [Figure(name, last.cpu_ms / first.cpu_ms, "x", (), at_most(GROWTH))]
