"""The whole loop as an app sees it: `tuwen serve` and `tuwen trainer` as processes, everything else through HTTP."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from app.settings import Settings
from tests.toy_world import ToyWorld

pytestmark = pytest.mark.slow
WORLD = ToyWorld(posts_count=60, users_count=40, showings_each=40)
KEYS = {role: f"{role}-key-of-the-end-to-end-test" for role in ("client", "ops", "admin")}
PATIENCE_SECONDS = 90
LIKED_TOPIC = "beach"


class Feed:
    """An app and its operator."""

    def __init__(self, address: str) -> None:
        self.as_ = {
            role: httpx.Client(base_url=address, headers={"Authorization": f"Bearer {key}"}, timeout=20)
            for role, key in KEYS.items()
        }

    def send_catalogue(self) -> None:
        posts, users, _ = WORLD.import_lines()
        assert self.as_["ops"].post("/posts", json={"posts": posts}).status_code == 200
        for post in WORLD.posts:
            answer = self.as_["ops"].put(f"/posts/{post.post_id}/picture", content=WORLD.picture(post))
            assert answer.json()["picture_status"] == "stored"
        for user in users:
            answer = self.as_["client"].put(f"/users/{user['user_id']}", json={"attributes": user["attributes"]})
            assert answer.is_success

    def send_log(self) -> None:
        exposures = WORLD.import_lines()[2]
        for at in range(0, len(exposures), 400):
            answer = self.as_["client"].post("/exposures", json={"exposures": exposures[at : at + 400]})
            assert answer.status_code == 200

    def recommend(self, user_id: str, **more: object) -> dict:
        answer = self.as_["client"].post("/recommend", json={"user_id": user_id, "k": 10} | more)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def reindex(self) -> str:
        answer = self.as_["ops"].post("/reindex")
        assert answer.status_code == 202
        job = answer.json()["job_id"]
        return wait_for(lambda: self._generation_of(job))

    def _generation_of(self, job: str) -> str | None:
        found = self.as_["ops"].get(f"/reindex/{job}").json()
        assert found["state"] != "failed", found
        return found["generation"] if found["state"] == "done" else None

    def click(self, user_id: str, post_ids: list[str]) -> None:
        now = datetime.now(UTC)
        shown = [
            {
                "user_id": user_id,
                "post_id": post_id,
                "shown_at": (now - timedelta(seconds=20)).isoformat(),
                "behaviours": [{"kind": "click", "at": (now - timedelta(seconds=10)).isoformat()}],
            }
            for post_id in post_ids
        ]
        assert self.as_["client"].post("/exposures", json={"exposures": shown}).is_success


def wait_for(condition):
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if (found := condition()) is not None:
            return found
        time.sleep(0.1)
    raise AssertionError("it did not come about in time")


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def tuwen(command: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", command], env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(20)


@pytest.fixture
def environment(settings: Settings, small_plan: Path) -> dict[str, str]:
    assert settings.database_url is not None
    assert settings.redis_url is not None
    return os.environ | {
        "TUWEN_HOME": str(settings.home),
        "TUWEN_DATABASE_URL": settings.database_url.get_secret_value(),
        "TUWEN_REDIS_URL": settings.redis_url.get_secret_value(),
        "TUWEN_PORT": str(free_port()),
        "TUWEN_PLAN": str(small_plan),
        "TUWEN_THREADS": "1",
        "TUWEN_TRAINER_MINIMUM_EXPOSURES": "500",
        **{f"TUWEN_{role.upper()}_KEY": key for role, key in KEYS.items()},
    }


def share_of(topic: str, answer: dict) -> float:
    return sum(WORLD.topic_of_post(item["post_id"]) == topic for item in answer["items"]) / len(answer["items"])


def test_from_posts_and_a_log_to_recommendations_that_turn_towards_what_one_clicks(environment, tmp_path):
    feed = Feed(f"http://127.0.0.1:{environment['TUWEN_PORT']}")
    with tuwen("serve", environment, tmp_path / "api.log") as api:
        wait_for(lambda: answers(feed, api))
        feed.send_catalogue()
        start = feed.reindex()
        wait_for(lambda: feed.as_["client"].get("/health/ready").is_success or None)

        newcomer = feed.recommend("somebody new")
        assert newcomer["generation"] == start
        assert {item["reason"]["kind"] for item in newcomer["items"]} <= {"popular", "fresh"}

        feed.send_log()
        with tuwen("trainer", environment, tmp_path / "trainer.log"):
            trained = wait_for(lambda: another_generation(feed, start))
        assert origins(feed)[trained] == "trained"

        clicked = [post.post_id for post in WORLD.posts if post.topic == LIKED_TOPIC][:3]
        before = share_of(LIKED_TOPIC, feed.recommend("somebody new", include_seen=True))
        feed.click("somebody new", clicked)
        after = feed.recommend("somebody new")
        assert share_of(LIKED_TOPIC, after) >= max(0.7, before)
        assert {item["post_id"] for item in after["items"]}.isdisjoint(clicked)
        best = after["items"][0]["reason"]
        assert best["kind"] == "own"
        assert best["reference_post_id"] in clicked
        assert best["behaviour"] == "click"

        gone = after["items"][0]["post_id"]
        assert feed.as_["ops"].patch(f"/posts/{gone}", json={"hidden": True}).is_success
        assert gone not in [item["post_id"] for item in feed.recommend("somebody new")["items"]]

    assert api.returncode == 0


def answers(feed: Feed, api: subprocess.Popen[bytes]) -> bool | None:
    assert api.poll() is None, "the API has ended"
    try:
        return feed.as_["client"].get("/health/live").is_success or None
    except httpx.TransportError:
        return None


def another_generation(feed: Feed, former: str) -> str | None:
    serving = feed.recommend("u0")["generation"]
    return serving if serving != former else None


def origins(feed: Feed) -> dict[str, str]:
    listed = feed.as_["ops"].get("/generations").json()["generations"]
    return {one["generation"]: one["origin"] for one in listed}
