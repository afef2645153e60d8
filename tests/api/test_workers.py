"""Several API processes on one port: each sees at once what was changed through another."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress

import httpx
import pytest

from app.candidates.generation import GenerationFolder
from app.candidates.reindex import run_reindex
from app.domain import Role
from app.intake.posts import save_posts
from app.settings import Settings, child_environment
from app.storage.stores import Stores
from scripts.bench_processes import descendants
from tests.api.conftest import CATALOGUE
from tests.api.test_serve import ROOT, answers, serving, stopped

pytestmark = [pytest.mark.slow, pytest.mark.anyio]
PATIENCE_SECONDS = 60


@pytest.fixture
def settings(settings: Settings, free_port: int) -> Settings:
    return settings.model_copy(update={"port": free_port, "workers": 2})


@contextmanager
def one_client_per_worker(settings: Settings, secrets: dict[Role, str]) -> Iterator[dict[int, httpx.Client]]:
    """A connection to each worker, by its process id. Which of them takes a connection is the kernel's choice."""
    with ExitStack() as stack:
        headers = {"Authorization": f"Bearer {secrets[Role.ADMIN]}"}
        clients: dict[int, httpx.Client] = {}
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(clients) < settings.workers:
            assert time.monotonic() < deadline
            client = httpx.Client(base_url=f"http://127.0.0.1:{settings.port}", headers=headers, timeout=10)
            one = stack.enter_context(client)
            with suppress(httpx.TransportError):  # taken by a worker that was just dying
                answer = one.get("/health")
                if answer.is_success:  # a busy machine may refuse one
                    clients.setdefault(answer.json()["process_id"], one)
        yield clients


def recommended(client: httpx.Client) -> tuple[str, set[str]]:
    answer = client.post("/recommend", json={"user_id": "somebody", "include_seen": True}).json()
    return answer["generation"], {item["post_id"] for item in answer["items"]}


def until(condition) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_what_one_worker_changes_every_worker_shows_with_the_next_request(
    stores: Stores, settings: Settings, secrets: dict[Role, str]
):
    await save_posts(stores, CATALOGUE)
    first = await run_reindex(stores, requested_by="test")
    with serving(settings) as process, one_client_per_worker(settings, secrets) as clients:
        one, other = clients.values()
        everything = {post.post_id for post in CATALOGUE}
        assert recommended(one) == recommended(other) == (first, everything)

        assert one.patch("/posts/p1", json={"hidden": True}).is_success
        assert recommended(other)[1] == everything - {"p1"}

        assert one.patch("/posts/p4", json={"pinned": True}).is_success
        page = other.post("/recommend", json={"user_id": "somebody", "include_seen": True}).json()["items"]
        assert [(item["post_id"], item["reason"]["kind"]) for item in page[:1]] == [("p4", "pinned")]

        assert other.delete("/posts/p2").is_success
        assert recommended(one)[1] == everything - {"p1", "p2"}

        assert one.post("/posts", json={"posts": [{"post_id": "new", "title": "海鲜面"}]}).is_success
        until(lambda: all("new" in recommended(client)[1] for client in (one, other)))

        second = await run_reindex(stores, requested_by="test")
        until(lambda: {recommended(client)[0] for client in (one, other)} == {second})
        assert one.post(f"/generations/{first}/promote").is_success
        until(lambda: {recommended(client)[0] for client in (one, other)} == {first})
        assert GenerationFolder(settings.generations).current() == first
        assert "Traceback" not in stopped(process)


async def test_calls_of_one_user_to_two_workers_at_the_same_moment_have_no_post_in_common(
    stores: Stores, settings: Settings, secrets: dict[Role, str]
):
    await save_posts(stores, CATALOGUE)
    await run_reindex(stores, requested_by="test")

    def page(client: httpx.Client, user_id: str) -> list[str]:
        answer = client.post("/recommend", json={"user_id": user_id, "k": 2}).raise_for_status().json()
        return [item["post_id"] for item in answer["items"]]

    with serving(settings), one_client_per_worker(settings, secrets) as clients, ThreadPoolExecutor(2) as threads:
        for number in range(40):
            pages = list(threads.map(page, clients.values(), [f"u{number}"] * 2))
            assert [len(set(one)) for one in pages] == [2, 2]
            assert not set(pages[0]) & set(pages[1])


async def test_a_worker_that_dies_is_replaced_and_none_outlives_the_parent(
    stores: Stores, settings: Settings, secrets: dict[Role, str]
):
    with serving(settings) as process:
        with one_client_per_worker(settings, secrets) as clients:
            lost, kept = clients
        os.kill(lost, signal.SIGKILL)
        with one_client_per_worker(settings, secrets) as clients:
            assert kept in clients
            assert lost not in clients

        process.kill()

        until(lambda: not any(is_running(worker) for worker in clients))


async def test_a_service_that_is_stopped_while_it_renews_its_workers_leaves_none(
    stores: Stores, settings: Settings, secrets: dict[Role, str]
):
    with serving(settings) as process:
        with one_client_per_worker(settings, secrets) as clients:
            first = set(clients)
        process.send_signal(signal.SIGHUP)
        until(lambda: set(descendants(process.pid)) - first)
        workers = first | set(descendants(process.pid))

        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0

        assert not any(is_running(worker) for worker in workers)


async def test_a_service_whose_terminal_is_closed_ends(stores: Stores, settings: Settings, secrets: dict[Role, str]):
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        env=child_environment(settings),
        cwd=ROOT,
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        until(lambda: answers(settings))
        os.close(ours)  # who started it this way is not its leader: the kernel sends no signal
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE_SECONDS) == 0
    finally:
        process.kill()


def is_running(process_id: int) -> bool:
    try:
        os.kill(process_id, 0)
    except ProcessLookupError:
        return False
    return True
