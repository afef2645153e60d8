"""Who runs this process -> whom the embedded servers run as. PostgreSQL refuses root. Standard library only."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

NOBODY = 65534


class NoAccount(Exception):  # noqa: N818
    """No unprivileged user can run the servers here; the message says why and what to do."""


@dataclass(frozen=True)
class Account:
    """A user of this machine. `uid` None is whoever runs this process."""

    uid: int | None = None
    gid: int | None = None
    prefix: tuple[str, ...] = ()  # command that becomes the user while keeping the right to pass closed folders

    def start(
        self, command: Sequence[str], *, folder: Path, stdin: int = subprocess.DEVNULL
    ) -> subprocess.Popen[bytes]:
        """Start a program as this user, in a session of its own, with output to this process's log."""
        changes = self.uid is not None and not self.prefix
        return subprocess.Popen(  # noqa: S603
            [*self.prefix, *command],
            cwd=folder,
            stdin=stdin,
            env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(folder)},
            start_new_session=True,
            user=self.uid if changes else None,
            group=self.gid if changes else None,
            extra_groups=[] if changes else None,
        )

    def own(self, path: Path) -> None:
        """Give the path to this user."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def server_account(folder: Path, *, program: Path) -> Account:
    """The user whose servers keep their data in `folder`: oneself, or as root the folder's owner, or else nobody.

    As root the user must reach `folder` and `program`. Where a parent such as /root is closed to him, the modes stay as
    they are and he gets the one capability that passes them (setpriv of util-linux).
    """
    if os.geteuid() != 0:
        return Account()
    uid, gid = _unprivileged(folder)
    keep = ("--inh-caps=+dac_override", "--ambient-caps=+dac_override")
    setpriv = ("setpriv", f"--reuid={uid}", f"--regid={gid}", "--clear-groups", *keep, "--")
    accounts = [Account(uid, gid)]
    if shutil.which("setpriv"):
        accounts.append(Account(uid, gid, setpriv))
    for account in accounts:
        if _reaches(account, folder, program):
            return account
    raise NoAccount(_obstacle(uid, folder, program))


def _unprivileged(folder: Path) -> tuple[int, int]:
    names = {entry.pw_uid: entry for entry in pwd.getpwall()}
    owner = folder.stat().st_uid
    if owner != 0 and owner in names:  # PostgreSQL refuses a user without a name
        return owner, names[owner].pw_gid
    nobody = next((entry for entry in names.values() if entry.pw_name == "nobody"), None)
    return (nobody.pw_uid, nobody.pw_gid) if nobody else (NOBODY, NOBODY)


def _reaches(account: Account, folder: Path, program: Path) -> bool:
    """Whether the user can enter the folder and run the program."""
    script = ["sh", "-c", 'cd "$0" 2>/dev/null && "$1" --version >/dev/null 2>&1', str(folder), str(program)]
    try:
        return account.start(script, folder=Path("/")).wait() == 0
    except OSError:  # the uid does not exist in this container
        return False


def _obstacle(uid: int, *paths: Path) -> str:
    for path in paths:
        for parent in reversed([path, *path.parents]):
            if not parent.stat().st_mode & stat.S_IXOTH and parent.stat().st_uid != uid:
                return (
                    f"PostgreSQL does not run as root, and user {uid} may not enter {parent}: "
                    "set TUWEN_HOME to a folder that others may enter, or run as an ordinary user"
                )
    return f"PostgreSQL does not run as root, and this machine refuses to become user {uid}: run as an ordinary user"
