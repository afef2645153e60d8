"""A path -> an advisory lock between processes; the kernel drops it when its holder dies, however it dies."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path

POLL_SECONDS = 0.05


class FileLock:
    """flock on a file made on first use: many may share it, or one may own it."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        give_to_folder_owner(path)

    def try_own(self) -> bool:
        """Take the lock alone, now or not at all."""
        return self._try(fcntl.LOCK_EX)

    def try_share(self) -> bool:
        """Take the lock beside other sharers, now or not at all."""
        return self._try(fcntl.LOCK_SH)

    def own(self, *, seconds: float) -> bool:
        """Take the lock alone; False when others kept it for that long."""
        return self._wait(fcntl.LOCK_EX, seconds)

    def share(self, *, seconds: float) -> bool:
        """Take the lock beside other sharers; False when an owner kept it for that long."""
        return self._wait(fcntl.LOCK_SH, seconds)

    def release(self) -> None:
        """Let go of the lock; it can be taken again."""
        fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the lock and of its file."""
        os.close(self._file)

    def _try(self, how: int) -> bool:
        try:
            fcntl.flock(self._file, how | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, how: int, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not self._try(how):
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_SECONDS)
        return True


def give_to_folder_owner(path: Path) -> None:
    """What root makes in another user's folder belongs to that user, who could not use it otherwise."""
    if os.geteuid() == 0:
        folder = path.parent.stat()
        os.chown(path, folder.st_uid, folder.st_gid)
