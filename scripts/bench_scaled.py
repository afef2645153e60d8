"""/recommend at growing numbers of candidates -> CPU beside its unavoidable parts, latency at half load, memory.

The server has one core, the client another, where the system lets a process choose. Users have long histories.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import secrets
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from app.candidates.generation import GenerationFolder
from app.settings import Settings, child_environment
from app.storage.servers import free_port
from scripts.bench_bare import RECALLED, Bare, asked_of, measure_bare
from scripts.bench_figures import Figure, Floor, at_least, at_most
from scripts.bench_load import Load, post_bytes, steady_load
from scripts.bench_processes import cpu_seconds, running, say, shared_memory_bytes
from scripts.bench_recommend import ask, connection, wait_until_ready
from scripts.bench_rivals import rival_figures
from scripts.bench_scale import grown_generations, with_long_histories
from scripts.bench_world import BenchWorld, Sizes

K = 20
RECALL_TARGET, CPU_RATIO, P50_MS, P99_MS, GROWTH = 0.98, 2.0, 4.0, 15.0, 3.0
LARGE = 100_000  # candidates beyond which latency may be twice that, and no other system is measured


@dataclass(frozen=True)
class Measured:
    """One number of candidates."""

    candidates: int
    cpu_ms: float | None
    canned_ms: float | None
    bare: Bare
    rivals: list[Figure]
    canned: Load  # at the rate of the next two
    quiet: Load
    swapped: Load
    memory_bytes: int | None  # of all workers, shared pages counted once; the highest seen


def measure_scaled(made: BenchWorld, sizes: Sizes) -> list[Figure]:
    """Grow, serve, ask, swap; for each number of candidates."""
    users = with_long_histories(made, sizes.scaled_users)
    found = []
    for candidates in sizes.candidates:
        say(f"{candidates:,} candidates: growing two generations")
        generations = grown_generations(made.settings, candidates)
        found.append(_measured(made.settings, users, sizes, candidates=candidates, generations=generations))
    return [*(figure for one in found for figure in _figures(one, found[0])), *_growth(found)]


def _measured(
    settings: Settings, users: Sequence[str], sizes: Sizes, *, candidates: int, generations: tuple[str, str]
) -> Measured:
    key = secrets.token_urlsafe(32)
    requests = sizes.scaled_requests
    canned = settings.home / "canned.json"
    with _server(settings, key, ["-m", "scripts.bench_canned", str(canned)]) as (served, pid):
        cpu_ms = _cpu_per_request(served, pid, key, users, requests)
        canned.write_bytes(_answer(served, key, users[0]))
        canned_ms = _cpu_per_request(served, pid, key, users, requests, path="/canned")
        wire = [post_bytes("/recommend", _body(users[number % len(users)]), key) for number in range(requests)]
        busiest = asyncio.run(steady_load(served.host, served.port, wire, per_second=math.inf))
        per_second = 0.5 * requests / busiest.seconds
        say(f"{candidates:,} candidates: {per_second:.0f} requests per second are half of what it answers")
        idle = [post_bytes("/canned", _body(user), key) for user in users]
        canned_load = asyncio.run(steady_load(served.host, served.port, idle, per_second=per_second))
        quiet = asyncio.run(steady_load(served.host, served.port, wire, per_second=per_second))
        swapped = asyncio.run(_swap_meanwhile(served, key, wire, per_second, generation=generations[0]))
    say(f"{candidates:,} candidates: the bare parts")
    asked = asyncio.run(asked_of(settings, users))
    bare = measure_bare(asked)
    rivals = rival_figures(asked) if candidates <= LARGE else []
    memory = _memory_of_workers(settings, key, users, generations) if len(sizes.candidates) > 1 else None
    return Measured(candidates, cpu_ms, canned_ms, bare, rivals, canned_load, quiet, swapped, memory)


@contextmanager
def _server(settings: Settings, key: str, command: Sequence[str]) -> Iterator[tuple[Settings, int]]:
    """A server on one core, this process on the others, until the block ends; the key may do everything."""
    served = settings.model_copy(update={"port": free_port(None), "log_level": "WARNING"})
    environment = child_environment(served) | {"TUWEN_ADMIN_KEY": key}
    log = served.home / "logs" / "scaled.log"
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
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


async def _swap_meanwhile(
    served: Settings, key: str, wire: Sequence[bytes], per_second: float, *, generation: str
) -> Load:
    """The same load, with another generation promoted in the middle of it."""

    async def swap() -> None:
        await asyncio.sleep(len(wire) / per_second / 2)
        promote = [post_bytes(f"/generations/{generation}/promote", b"", key)]
        promoted = await steady_load(served.host, served.port, promote, per_second=math.inf)
        if promoted.failed:
            raise RuntimeError(f"generation {generation} was not promoted")

    swapping = asyncio.create_task(swap())
    load = await steady_load(served.host, served.port, wire, per_second=per_second)
    await swapping
    return load


def _memory_of_workers(settings: Settings, key: str, users: Sequence[str], generations: tuple[str, str]) -> int | None:
    """The most memory that two workers had together while they answered and swapped, shared pages counted once."""
    highest = 0
    with _server(settings, key, ["-m", "app.cli", "serve", "--workers", "2"]) as (served, pid):
        for generation in (None, *generations):
            if generation is not None:
                GenerationFolder(settings.generations).promote(generation)
            for user in users[:200]:
                with connection(served) as client:  # whichever worker takes it
                    ask(client, key, user)
                now = shared_memory_bytes(pid)
                if now is None:
                    return None
                highest = max(highest, now)
    return highest


def _figures(one: Measured, smallest: Measured) -> list[Figure]:
    at = f"{one.candidates:,}"
    larger = 2 if one.candidates > LARGE else 1
    p50, p99 = one.quiet.percentile(0.5), one.quiet.percentile(0.99)
    canned_p50, canned_p99 = (Floor("same bytes, no work", one.canned.percentile(share)) for share in (0.5, 0.99))
    longest = max(one.swapped.milliseconds, default=None)
    failed = float(one.quiet.failed + one.swapped.failed)
    return [
        *_cpu_figures(one, at),
        Figure(f"/recommend at {at}, p50 at half load", p50, "ms", (canned_p50,), at_most(P50_MS * larger)),
        Figure(f"/recommend at {at}, p99 at half load", p99, "ms", (canned_p99,), at_most(P99_MS * larger)),
        *(
            Figure(f"recall@{RECALLED} at {at}, {share:.1%} pass", recall, "", (), at_least(RECALL_TARGET))
            for share, recall in one.bare.recall.items()
        ),
        Figure(f"the match alone at {at}, CPU", one.bare.own_match_ms, "ms", (Floor("FAISS", one.bare.faiss_ms),)),
        *one.rivals,
        Figure(f"failed requests in a swap at {at}", failed, "", (), at_most(0)),
        Figure(f"longest request in a swap at {at}", longest, "ms", (Floor("p99 without one", p99),), at_most(3 * p99)),
        *_memory_figures(one, smallest, at),
    ]


def _cpu_figures(one: Measured, at: str) -> list[Figure]:
    if one.cpu_ms is None or one.canned_ms is None:
        return []
    floors = (
        Floor("same bytes, no work", one.canned_ms),
        Floor("bare FAISS search", one.bare.faiss_ms),
        Floor("bare forward pass", one.bare.network_ms),
    )
    ratio = one.cpu_ms / sum(floor.value for floor in floors)
    return [
        Figure(f"/recommend at {at}, CPU", one.cpu_ms, "ms", floors),
        Figure(f"/recommend at {at}, CPU / sum of its parts", ratio, "x", (), at_most(CPU_RATIO)),
    ]


def _memory_figures(one: Measured, smallest: Measured, at: str) -> list[Figure]:
    if one is smallest:
        return []
    if one.memory_bytes is None or smallest.memory_bytes is None:
        return [Figure(f"memory per candidate at {at}", None, "B", note="the system does not say")]
    each = (one.memory_bytes - smallest.memory_bytes) / (one.candidates - smallest.candidates)
    floor = Floor("its vector", one.bare.vector_bytes)
    target = at_most(1.5 * one.bare.vector_bytes + 200)
    note = "two workers together, above what they take with the fewest"
    return [Figure(f"memory per candidate at {at}", each, "B", (floor,), target, note)]


def _growth(found: Sequence[Measured]) -> list[Figure]:
    first, last = found[0], found[-1]
    if first is last:
        return []
    grown = f"at {last.candidates:,} / at {first.candidates:,}"
    p50 = last.quiet.percentile(0.5) / first.quiet.percentile(0.5)
    figures = [Figure(f"p50 at half load {grown}", p50, "x", (), at_most(GROWTH))]
    if first.cpu_ms is not None and last.cpu_ms is not None:
        figures.append(Figure(f"CPU {grown}", last.cpu_ms / first.cpu_ms, "x", (), at_most(GROWTH)))
    return figures
