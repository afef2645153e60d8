"""docs/api-guide.md as its reader meets it: every example runs, in order, against a service."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from playwright._impl._driver import compute_driver_executable

from app.settings import Settings, child_environment

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "api-guide.md").read_text()
CLIENT_KEY, OPS_KEY = "client-key-of-the-guide", "ops-key-of-the-guide"
PATIENCE_SECONDS = 90
NODE = compute_driver_executable()[0]  # Playwright brings one, new enough to run TypeScript as it is
SEEDED = {"noodles-1", "noodles-2", "beach-1", "beach-2"}


def examples(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def service(settings: Settings, small_plan: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody who reads the guide beside a running service."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = child_environment(settings.model_copy(update={"port": port, "plan": small_plan}))
    keys = {"TUWEN_CLIENT_KEY": CLIENT_KEY, "TUWEN_OPS_KEY": OPS_KEY}
    process = subprocess.Popen([sys.executable, "-m", "app.cli", "serve"], env=environment | keys, cwd=ROOT)
    address = f"http://127.0.0.1:{port}"
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        with suppress(httpx.TransportError):
            if httpx.get(f"{address}/health/live").is_success:
                break
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.1)
    yield {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TUWEN": address} | {
        "KEY": CLIENT_KEY,
        "OPS_KEY": OPS_KEY,
    }
    process.terminate()
    process.wait(timeout=PATIENCE_SECONDS)


def run(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_example_runs(service: dict[str, str], tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not on the PATH")
    shell = run(["bash", "-euc", "\n".join(examples("sh"))], service)
    (tmp_path / "feed.py").write_text(examples("python")[0])
    python = run([sys.executable, str(tmp_path / "feed.py")], service)

    assert '"accepted":4' in shell.replace(" ", "")
    assert "noodles" in shell or "beach" in shell
    assert '"rejected"' not in re.sub(r'"rejected": ?0', "", shell)
    assert set(re.findall(r"'([\w-]+)'", python)) <= SEEDED
    assert len(re.findall(r"'([\w-]+)'", python)) == len(set(re.findall(r"'([\w-]+)'", python))) == 2
    assert "rejected" not in python

    (tmp_path / "feed.mts").write_text(examples("typescript")[0])
    shown = json.loads(run([NODE, str(tmp_path / "feed.mts")], service))
    assert len(set(shown)) == 2
    assert set(shown) <= SEEDED
