"""The service as its own process, over sockets."""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from app.domain import Role
from app.settings import Settings, child_environment

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 60
GOOD = b"GET /health/live HTTP/1.1\r\nHost: t\r\n\r\n"


@pytest.fixture
def settings(settings: Settings, free_port: int) -> Settings:
    return settings.model_copy(update={"port": free_port})


@contextmanager
def serving(settings: Settings) -> Iterator[subprocess.Popen[str]]:
    """A running service that answers; stopped at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "app.cli", "serve"],
        env=child_environment(settings),
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not answers(settings):
            assert process.poll() is None, process.stdout and process.stdout.read()
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield process
    finally:
        process.kill()
        process.wait()


def answers(settings: Settings) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(f"http://127.0.0.1:{settings.port}/health/live").is_success
    return False


def stopped(process: subprocess.Popen[str]) -> str:
    """Everything that the service has printed, after SIGTERM."""
    process.terminate()
    output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 0, output
    return output


def received(connection: socket.socket, *, until: bytes = b"never") -> bytes:
    """What comes until it ends with some bytes, or the other side hangs up."""
    content = b""
    with suppress(ConnectionError):
        while not content.endswith(until) and (some := connection.recv(65536)):
            content += some
    return content


def connected(settings: Settings) -> socket.socket:
    return socket.create_connection(("127.0.0.1", settings.port), timeout=PATIENCE_SECONDS)


def test_keys_are_printed_once_and_a_taken_port_is_said_plainly(settings: Settings) -> None:
    with serving(settings) as process:
        second = subprocess.run(
            [sys.executable, "-m", "app.cli", "serve"],
            env=child_environment(settings),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        output = stopped(process)

    assert second.returncode == 1
    assert "TUWEN_PORT" in second.stderr
    assert "Traceback" not in second.stderr + output
    assert [line.split()[0] for line in output.splitlines() if line.startswith("  ")] == list(Role)


def test_bytes_that_are_no_request_cost_a_connection_and_no_secret_is_logged(settings: Settings) -> None:
    with serving(settings) as process:
        endless_head = b"GET / HTTP/1.1\r\n" + b"X-A: " + b"a" * 70_000
        for sent, status in ((b"\x16\x03\x01Zq9canary7\r\n\r\n", b"400"), (endless_head, b"431")):
            with connected(settings) as connection:
                connection.sendall(sent)
                answer = received(connection)
            assert answer.startswith(b"HTTP/1.1 " + status)
            assert b"application/problem+json" in answer
        for path in ("/recommend?user_id=u1", "/metrics", "/nowhere", "/posts/%00", "/health/live?key=Zq9canary7"):
            address = f"http://127.0.0.1:{settings.port}{path}"
            assert httpx.get(address, headers={"Authorization": "Bearer Zq9canary7"}).status_code < 500
        output = stopped(process)

    assert "Zq9canary7" not in output
