"""Row 21: requests generated from the OpenAPI document, over a socket: no error of ours, every answer as documented."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import anyio
import pytest
import schemathesis
import schemathesis.specs.openapi.schemas  # now: beside the service's thread Python 3.11 once failed to parse it
import uvicorn
from anyio.from_thread import start_blocking_portal
from fastapi import FastAPI
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup, ServerError
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from app.candidates.reindex import run_reindex
from app.domain import Role
from app.intake.posts import save_posts
from app.main import create_app
from app.settings import Settings
from app.storage.jobs import JobKind, create_job
from app.storage.keys import create_key
from app.storage.stores import open_stores
from tests.api.conftest import CATALOGUE
from tests.trust.figures import Row

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
SERVER_ERROR = "server error"
BOUNDED = hypothesis_settings(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Settings:
    return settings.model_copy(update={"plan": small_plan})


@asynccontextmanager
async def listening(settings: Settings, listener: socket.socket) -> AsyncIterator[tuple[FastAPI, str]]:
    """The service behind a socket, with a small catalogue, and an admin key."""
    async with open_stores(settings) as stores:
        await save_posts(stores, CATALOGUE)
        await run_reindex(stores, requested_by="test")
        await create_job(stores.database, JobKind.REINDEX, requested_by="test")  # so that none is started
        secret = (await create_key(stores.database, role=Role.ADMIN, name="test")).secret
        app = create_app(stores)
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(lambda: server.serve(sockets=[listener]))
            yield app, secret
            server.should_exit = True


@pytest.fixture
def service(settings: Settings) -> Iterator[tuple[FastAPI, str, str]]:
    """The application, its address and an admin key."""
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        start_blocking_portal() as portal,
        portal.wrap_async_context_manager(listening(settings, listener)) as (app, secret),
    ):
        yield app, f"http://127.0.0.1:{listener.getsockname()[1]}", secret


def flaws_of(response: schemathesis.Response, case: schemathesis.Case) -> list[tuple[str, str]]:
    """What is wrong with an answer, and how to ask again."""
    try:
        case.validate_response(response, checks=CHECKS)
    except FailureGroup as failures:
        again = case.as_curl_command()
        return [(SERVER_ERROR if isinstance(one, ServerError) else str(one), again) for one in failures.exceptions]
    return []


@pytest.mark.slow
@pytest.mark.trust(21)
@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_generated_requests_are_answered_as_documented(
    service: tuple[FastAPI, str, str], mode: GenerationMode, row: Row, at_full: Callable[[int, int], int]
) -> None:
    app, address, secret = service
    schema = schemathesis.openapi.from_dict(app.openapi())
    answered, flaws = Counter[int](), list[tuple[str, str]]()

    for found in schema.get_all_operations():
        operation = found.ok()

        @hypothesis_settings(BOUNDED, max_examples=at_full(12, 60))  # of each call
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            response = case.call(base_url=address, headers={"Authorization": f"Bearer {secret}"})
            answered[response.status_code] += 1
            flaws.extend(flaws_of(response, case))

        with suppress(Unsatisfiable):  # a call without parameters and body has nothing to get wrong
            check()

    kind = "valid" if mode is GenerationMode.POSITIVE else "invalid"
    row.done = (
        f"{answered.total()} requests that are to be {kind}, generated from the document's schemas, answers compared"
    )
    row.saw(f"good answers to what is to be {kind}", sum(count for status, count in answered.items() if status < 300))
    row.saw(f"refused for want of a key of what is to be {kind}", answered[401])
    row.none(
        server_errors=sum(count for status, count in answered.items() if status >= 500),
        answers_not_as_documented=sum(kind != SERVER_ERROR for kind, _ in flaws),
    )
    assert flaws[:5] == []
    assert answered.total() > 100
