"""Backbone tokens by content: computed once per picture and title, kept in one SQLite file of TUWEN_HOME.

Only what can be recomputed lies here; several processes may read and write it at once (write-ahead log).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.errors import Unavailable

WAIT_SECONDS = 10
KEYS_AT_ONCE = 500


class TokenCache:
    """Key -> float16 tokens of a known width. Keys name the backbone and the content's hash."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.parent.mkdir(parents=True, exist_ok=True)
        with closing(self._connect()) as connection, connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE IF NOT EXISTS tokens (key TEXT PRIMARY KEY, value BLOB)")

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._file, timeout=WAIT_SECONDS)
            connection.execute("PRAGMA synchronous=OFF")  # a lost token is computed again
        except sqlite3.Error as error:
            raise Unavailable(
                f"the token cache {self._file} cannot be opened: {error}; delete it to start anew"
            ) from error
        return connection

    def get(self, keys: Iterable[str], width: int) -> dict[str, NDArray[np.float16]]:
        """The known ones of the keys, each (tokens, width) float16."""
        wanted = list(dict.fromkeys(keys))
        found: dict[str, NDArray[np.float16]] = {}
        with closing(self._connect()) as connection:
            for at in range(0, len(wanted), KEYS_AT_ONCE):
                some = wanted[at : at + KEYS_AT_ONCE]
                marks = ",".join("?" * len(some))
                rows = connection.execute(f"SELECT key, value FROM tokens WHERE key IN ({marks})", some)  # noqa: S608
                for key, value in rows:
                    found[key] = np.frombuffer(value, np.float16).reshape(-1, width)
        return found

    def keys_of(self, backbone: str) -> list[str]:
        """All keys that begin so, in order."""
        with closing(self._connect()) as connection:
            rows = connection.execute(
                "SELECT key FROM tokens WHERE substr(key, 1, ?) = ? ORDER BY key", (len(backbone), backbone)
            )
            return [key for (key,) in rows]

    def put(self, tokens: Mapping[str, NDArray[np.float16]]) -> None:
        """Keep tokens, (tokens, width) float16 each. A full disk is no error: they are computed again next time."""
        rows = [(key, value.astype(np.float16).tobytes()) for key, value in tokens.items()]
        try:
            with closing(self._connect()) as connection, connection:
                connection.executemany("INSERT OR IGNORE INTO tokens VALUES (?, ?)", rows)
        except sqlite3.OperationalError:
            return
