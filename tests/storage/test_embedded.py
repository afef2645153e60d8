"""The embedded servers against everything that may end at the wrong moment; each test has a home of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from pydantic import SecretStr

from app.errors import Unavailable
from app.settings import Settings
from app.storage.embedded import check_space, store_addresses
from app.storage.migrate import migrate

# A user of the embedded stores in a process of its own: prints the addresses, leaves when its input ends.
USER = """
import sys
from pathlib import Path
from app.settings import Settings
from app.storage.embedded import store_addresses
with store_addresses(Settings(home=Path(sys.argv[1]), database_url=None, redis_url=None)) as addresses:
    print(addresses.database_url, addresses.redis_url, flush=True)
    sys.stdin.read()
"""


class User:
    """That process, seen from here."""

    def __init__(self, home: Path) -> None:
        command = [sys.executable, "-c", USER, str(home)]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def addresses(self) -> list[str]:
        return self.process.stdout.readline().split()

    def leave(self) -> None:
        self.process.communicate()

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def homes(tmp_path_factory):
    homes = tmp_path_factory.mktemp("homes")
    yield homes
    wait_for(lambda: not server_processes(homes), "servers were left behind")


@pytest.fixture
def home(homes):
    return Path(tempfile.mkdtemp(dir=homes))


@contextmanager
def stores_of(home):
    with store_addresses(Settings(home=home, database_url=None, redis_url=None)) as addresses:
        yield addresses


def wait_for(condition, complaint: str, *, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.05)


def server_processes(home: Path) -> list[int]:
    """Keepers and servers of this home."""
    programs = ("app.storage.keeper", "initdb", "postgres", "valkey-server")
    ours = [(pid, command) for pid, command in processes() if str(home) in command]
    return [pid for pid, command in ours if any(program in command for program in programs)]


def processes() -> list[tuple[int, str]]:
    listing = subprocess.run(["ps", "-ww", "-eo", "pid=,command="], capture_output=True, text=True, check=True).stdout
    return [(int(pid), command) for pid, command in (line.split(None, 1) for line in listing.splitlines())]


def keeper_of(home: Path, store: str) -> int:
    ending = f"app.storage.keeper {store} {home / 'stores' / store}"
    (pid,) = [pid for pid, command in processes() if command.endswith(ending)]
    return pid


def kill_and_see_it_dead(*pids: int) -> None:
    """A process killed by its parent or child stays as a zombie, without a command line; an ended one may be gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not any(pid in pids for pid, command in processes() if "defunct" not in command), "it did not die")


def postmaster_of(home: Path) -> int:
    return int((home / "stores/postgres/data/postmaster.pid").read_text().split()[0])


def remember(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")


def recall(database_url: str) -> int:
    with psycopg.connect(database_url) as connection:
        return connection.execute("SELECT answer FROM kept").fetchone()[0]


def answers(database_url: str) -> bool:
    try:
        with psycopg.connect(database_url, connect_timeout=2):
            return True
    except psycopg.OperationalError:
        return False


def pings(redis_url: str) -> bool:
    try:
        return redis.Redis.from_url(redis_url).ping()
    except redis.ConnectionError:
        return False


def test_the_servers_listen_on_this_machine_only_and_ask_for_a_password(home):
    with stores_of(home) as addresses:
        with psycopg.connect(addresses.database_url) as connection:
            shown = [
                connection.execute(f"SHOW {name}").fetchone()[0] for name in ("listen_addresses", "fsync", "timezone")
            ]
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(addresses.database_url.replace(":", ":x", 2).replace(":x//", "://"))
        with pytest.raises(redis.AuthenticationError):
            redis.Redis.from_url("redis://" + addresses.redis_url.rpartition("@")[2]).ping()

    assert shown == ["127.0.0.1", "on", "UTC"]
    assert (home / "stores/postgres/address.json").stat().st_mode & 0o777 == 0o600


def test_two_processes_that_start_at_once_share_the_servers_and_the_last_one_out_stops_them(home):
    first, second = User(home), User(home)

    addresses = first.addresses()
    assert second.addresses() == addresses

    first.leave()
    time.sleep(2)
    assert answers(addresses[0])
    second.leave()
    wait_for(lambda: not server_processes(home), "nobody stopped the servers")


def test_data_is_kept_when_the_servers_stop_and_start(home):
    with stores_of(home) as addresses:
        remember(addresses.database_url)
    wait_for(lambda: not server_processes(home), "nobody stopped the servers")

    with stores_of(home) as addresses:
        assert recall(addresses.database_url) == 42


def test_a_killed_user_counts_as_gone(home):
    user = User(home)
    user.addresses()

    user.kill()

    wait_for(lambda: not server_processes(home), "a killed user kept the servers up")


def test_a_killed_keeper_is_replaced_and_those_still_there_notice_nothing(home):
    with stores_of(home) as addresses, psycopg.connect(addresses.database_url) as session:
        first = keeper_of(home, "postgres")
        kill_and_see_it_dead(first)

        with stores_of(home) as newcomer:
            assert newcomer == addresses
            assert keeper_of(home, "postgres") != first
            assert session.execute("SELECT 1").fetchone() == (1,)


def test_a_keeper_killed_with_its_server_is_replaced_without_a_newcomer(home):
    with stores_of(home) as addresses:
        remember(addresses.database_url)
        kill_and_see_it_dead(keeper_of(home, "postgres"), postmaster_of(home))

        wait_for(lambda: answers(addresses.database_url), "PostgreSQL did not come back")
        assert recall(addresses.database_url) == 42


def test_the_last_one_out_stops_the_servers_of_a_killed_keeper(home):
    with stores_of(home):
        kill_and_see_it_dead(keeper_of(home, "postgres"), keeper_of(home, "valkey"))

    wait_for(lambda: not server_processes(home), "the servers outlived their last user")


@pytest.mark.parametrize("store", ["postgres", "valkey"])
def test_a_killed_server_comes_back_at_the_same_address(home, store):
    with stores_of(home) as addresses, redis.Redis.from_url(addresses.redis_url) as cache:
        remember(addresses.database_url)
        main = postmaster_of(home) if store == "postgres" else cache.info()["process_id"]

        kill_and_see_it_dead(main)

        wait_for(lambda: answers(addresses.database_url), "PostgreSQL did not come back")
        wait_for(lambda: pings(addresses.redis_url), "Valkey did not come back")
        assert recall(addresses.database_url) == 42


def test_after_everything_was_killed_at_once_the_next_use_works(home):
    user = User(home)
    database_url, _ = user.addresses()
    remember(database_url)

    keepers = keeper_of(home, "postgres"), keeper_of(home, "valkey")
    kill_and_see_it_dead(user.process.pid, *keepers, postmaster_of(home))
    user.kill()

    with stores_of(home) as addresses:
        assert recall(addresses.database_url) == 42


@pytest.mark.parametrize("seconds", [0.3, 0.5, 0.7])
def test_a_first_start_that_was_killed_half_way_leaves_nothing_unusable(home, seconds):
    user = User(home)
    time.sleep(seconds)
    kill_and_see_it_dead(user.process.pid, *server_processes(home))
    user.kill()

    with stores_of(home) as addresses:
        remember(addresses.database_url)
        assert recall(addresses.database_url) == 42


def test_lock_files_that_name_another_program_are_no_obstacle(home):
    with stores_of(home):
        pass
    wait_for(lambda: not server_processes(home), "nobody stopped the servers")
    stranger = subprocess.Popen(["sleep", "60"])
    (home / "stores/postgres/data/postmaster.pid").write_text(f"{stranger.pid}\n")

    with stores_of(home) as addresses:
        assert answers(addresses.database_url)

    assert stranger.poll() is None
    stranger.kill()
    stranger.wait()


def test_a_port_taken_meanwhile_is_replaced_by_another(home):
    with stores_of(home) as addresses:
        pass
    wait_for(lambda: not server_processes(home), "nobody stopped the servers")
    port = json.loads((home / "stores/postgres/address.json").read_text())["port"]
    taker = (
        "import socket, sys; s = socket.create_server(('127.0.0.1', int(sys.argv[1]))); print(flush=True); s.accept()"
    )

    with subprocess.Popen([sys.executable, "-c", taker, str(port)], stdout=subprocess.PIPE) as stranger:
        stranger.stdout.readline()
        with stores_of(home) as again:
            assert again.database_url != addresses.database_url
            assert answers(again.database_url)
        stranger.kill()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root must become somebody else")
@pytest.mark.parametrize("mode", [0o755, 0o700])
def test_as_root_the_servers_run_as_another_user_whatever_the_folder_allows(home, mode):
    closed = home / "closed"
    closed.mkdir()
    closed.chmod(mode)

    with stores_of(closed / "home") as addresses:
        owner = Path(f"/proc/{postmaster_of(closed / 'home')}").stat().st_uid
        assert answers(addresses.database_url)

    assert owner != 0
    assert closed.stat().st_mode & 0o777 == mode


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_as_root_in_a_folder_of_another_user_everything_is_his(home):
    theirs = home / "theirs"
    theirs.mkdir()
    os.chown(theirs, 1, 1)

    with stores_of(theirs):
        owners = {path.lstat().st_uid for path in theirs.rglob("*")}

    assert owners == {1}


def test_a_store_given_by_address_is_not_embedded(home, addresses):
    given = Settings(home=home, database_url=SecretStr(addresses.database_url), redis_url=None)

    with store_addresses(given) as used:
        assert used.database_url == addresses.database_url
        assert redis.Redis.from_url(used.redis_url).ping()
        assert [path.name for path in (home / "stores").iterdir()] == ["valkey"]


def test_an_address_where_nobody_listens_is_named_with_its_remedy():
    with pytest.raises(Unavailable, match="TUWEN_DATABASE_URL"):
        migrate("postgresql://u:p@127.0.0.1:9/nothing")


def test_a_home_that_cannot_be_written_is_named_with_its_remedy(tmp_path):
    (tmp_path / "file").touch()

    with (
        pytest.raises(Unavailable, match=r"cannot write in .*file/home.*TUWEN_HOME"),
        stores_of(tmp_path / "file/home"),
    ):
        pass


def test_a_full_disk_is_named_before_anything_is_written(tmp_path):
    with pytest.raises(Unavailable, match=r"MB free at .* MB needed"):
        check_space(tmp_path, needed_bytes=1 << 60)


def test_a_server_that_cannot_start_says_why(home):
    (home / "stores/postgres/data").mkdir(parents=True)

    with (
        pytest.raises(Unavailable, match=r"postgres did not start: .*postgresql\.conf"),
        stores_of(home),
    ):
        pass
