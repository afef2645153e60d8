from __future__ import annotations

import stat
from pathlib import Path

import pytest

from app.pages.session import SessionSeal, session_secret

SECRET = b"s" * 32


def test_a_sealed_session_opens_on_its_own_page_only() -> None:
    cookie = SessionSeal(SECRET, "admin", 60).seal("admin")

    assert SessionSeal(SECRET, "admin", 60).open(cookie) == "admin"
    assert SessionSeal(SECRET, "demo", 60).open(cookie) is None


def test_a_session_ends() -> None:
    seal = SessionSeal(SECRET, "admin", 0)

    assert seal.open(seal.seal("admin")) is None


@pytest.mark.parametrize("cookie", [None, "", ".", "a.b", "é.é", "e30.", "x" * 5000, "e30." + "A" * 43])
def test_what_was_not_sealed_opens_nothing(cookie: str | None) -> None:
    assert SessionSeal(SECRET, "admin", 60).open(cookie) is None


def test_a_changed_session_and_another_secret_open_nothing() -> None:
    seal = SessionSeal(SECRET, "demo", 60)
    content, _, signature = seal.seal("visitor-1").partition(".")
    forged = SessionSeal(b"t" * 32, "demo", 60).seal("visitor-2").partition(".")[0]

    assert seal.open(f"{forged}.{signature}") is None
    assert seal.open(f"{content}.{signature[:-2]}AA") is None


def test_the_secret_is_made_once_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    secret = session_secret(tmp_path)

    assert len(secret) == 32
    assert session_secret(tmp_path) == secret
    assert stat.S_IMODE((tmp_path / "pages.key").stat().st_mode) == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["pages.key"]
