"""The steps of docs/operations.md as they are copied from there: an upgrade, and a change of keys, while it serves."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import psycopg
import pytest
from alembic import command

from app.domain import Role
from app.settings import child_environment
from app.storage.embedded import Addresses
from app.storage.migrate import alembic_config
from app.storage.postgres import sync_engine, sync_transaction
from tests.trust.attacked import ROOT, Attacked, attacked_service

pytestmark = pytest.mark.slow
GUIDE = (ROOT / "docs" / "operations.md").read_text()
PATIENCE_SECONDS = 90
REVOKED_SECONDS = 5


@pytest.fixture(scope="module")
def service(
    addresses: Addresses, server: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attacked]:
    with attacked_service(addresses, server, tmp_path_factory.mktemp("upgraded")) as service:
        yield service


def steps(heading: str) -> list[str]:
    """The lines for the shell under a heading."""
    section = re.split(r"^## ", GUIDE.split(f"\n## {heading}\n")[1], flags=re.MULTILINE)[0]
    found = re.findall(r"^( *)```sh\n(.*?)```", section, re.DOTALL | re.MULTILINE)
    return [re.sub(f"^{indent}", "", lines, flags=re.MULTILINE) for indent, lines in found]


def run(lines: str, service: Attacked, folder: Path, **variables: str) -> str:
    """What the lines print, run where one stands in the program's folder."""
    ours = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TUWEN": service.address}
    lines = re.sub(r"\b(before-upgrade|api\.log|trainer\.log)", rf"{folder}/\1", lines)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", lines],
        env=child_environment(service.settings) | ours | variables,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_key_is_changed_without_a_break(service: Attacked, tmp_path: Path) -> None:
    with psycopg.connect(service.database_url) as connection:
        (old,) = connection.execute("SELECT key_id FROM api_keys WHERE role = 'client'").fetchone() or ("",)
    make, end = steps("Changing keys")

    answer = run(make, service, tmp_path)
    with service.client(Role.CLIENT) as app:
        assert app.get("/recommend?user_id=u1").is_success, "the old one is still good"
        listed = run(end, service, tmp_path, OLD=old)
        deadline = time.monotonic() + REVOKED_SECONDS
        while app.get("/recommend?user_id=u1").status_code != httpx.codes.UNAUTHORIZED:
            assert time.monotonic() < deadline
            time.sleep(0.05)

    assert '"items"' in answer
    assert "app, May" in listed
    assert "revoked" in listed


def test_an_upgrade_keeps_what_was_there(service: Attacked, tmp_path: Path) -> None:
    stop, start = steps("Upgrading")
    environment = child_environment(service.settings)
    trainer = subprocess.Popen([sys.executable, "-m", "app.cli", "trainer"], env=environment, cwd=ROOT)
    for process in (service.process, trainer):
        threading.Thread(target=process.wait, daemon=True).start()
    before = service.rows("SELECT post_id, title FROM posts ORDER BY post_id")

    run(stop, service, tmp_path, API=str(service.process.pid), TRAINER=str(trainer.pid))
    one_schema_back(service.database_url)
    told = run(f"{start}\necho; echo $API $TRAINER", service, tmp_path)
    processes = [int(word) for word in told.split()[-2:]]
    try:
        with service.client(Role.OPS) as ops:
            assert ops.patch("/posts/p1", json={"pinned": True}).is_success, "the newest schema is there"
            items = ops.post("/recommend", json={"user_id": "u1"}).json()["items"]
    finally:
        for process_id in processes:
            os.kill(process_id, signal.SIGTERM)
            ended(process_id)

    assert items[0]["post_id"] == "p1"
    assert service.rows("SELECT post_id, title FROM posts ORDER BY post_id") == before
    assert (tmp_path / "before-upgrade" / "database.dump").exists()


def ended(process_id: int) -> None:
    """Wait for a process that is nobody's child any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(process_id, 0)
            time.sleep(0.05)


def one_schema_back(database_url: str) -> None:
    """The database as the version before leaves it."""
    engine = sync_engine(database_url)
    with sync_transaction(engine) as connection:
        command.downgrade(alembic_config(connection), "-1")
    engine.dispose()
