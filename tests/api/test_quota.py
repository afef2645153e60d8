"""A client key may send so many requests a second; beyond it is told when to come again."""

from __future__ import annotations

import time

import httpx
import pytest

from app.api.quota import BURST_SECONDS, Quota
from app.domain import Role
from app.settings import Settings
from tests.api.conftest import Caller

pytestmark = pytest.mark.anyio


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"key_requests_per_second": 0.01})


async def test_a_client_key_beyond_its_limit_is_told_when_to_come_again(caller: Caller) -> None:
    first, second = [await caller(Role.CLIENT).get("/posts/nowhere") for _ in range(2)]

    assert first.status_code == 404
    assert (second.status_code, second.json()["type"]) == (429, "urn:tuwen:problem:too-many")
    assert 90 < int(second.headers["Retry-After"]) <= 100


async def test_operators_and_probes_are_not_limited(caller: Caller) -> None:
    answers: list[httpx.Response] = []
    for _ in range(3):
        answers += [await caller(Role.OPS).get("/dead-letters"), await caller(None).get("/health/live")]

    assert [answer.status_code for answer in answers] == [200] * 6


def test_a_seconds_requests_may_come_at_once_and_then_one_by_one() -> None:
    quota, per_second = Quota(per_second=20), 20
    began = time.monotonic()

    taken = sum(quota.wait_seconds("a") == 0 for _ in range(100))

    refilled = per_second * (time.monotonic() - began)
    assert per_second * BURST_SECONDS <= taken <= per_second * BURST_SECONDS + refilled + 1
    assert quota.wait_seconds("b") == 0
