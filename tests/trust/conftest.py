"""The scoreboard of faults and attacks: `@pytest.mark.trust(NUMBER)` names the row that a test proves.

In `make test` each runs with small counts; `make trust` runs them with `--trust-full`. A test fills the fixture `row`;
its figures are judged after it. A row that cannot be green has `xfail` with the reason, which the table repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import TypeVar

import psycopg
import pytest

from app.candidates.generation import GenerationFolder
from app.storage.embedded import Addresses
from tests.trust.attacked import Attacked, attacked_service
from tests.trust.figures import Row
from tests.trust.world import Broken, broken_world

Count = TypeVar("Count")
ROW = pytest.StashKey[Row]()


def row_number(item: pytest.Item) -> int | None:
    """The row that a test proves; None for a test of something else."""
    marker = item.get_closest_marker("trust")
    return None if marker is None else int(marker.args[0])


@pytest.fixture
def row(request: pytest.FixtureRequest) -> Row:
    """The row of the scoreboard that this test fills."""
    number = row_number(request.node)
    assert number is not None, "the test has no mark trust(NUMBER)"
    request.node.stash[ROW] = made = Row(number)
    return made


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    """A running service that the tests break; each leaves it whole."""
    with broken_world(tmp_path_factory.mktemp("broken")) as world:
        yield world


@pytest.fixture(scope="module")
def attacked(
    request: pytest.FixtureRequest,
    addresses: Addresses,
    server: psycopg.Connection,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Attacked]:
    """A running service that bad clients turn to; in `make test` it is less patient with them."""
    patience = {} if request.config.getoption("--trust-full") else {"head_seconds": 2.0, "body_seconds": 4.0}
    with attacked_service(addresses, server, tmp_path_factory.mktemp("attacked"), **patience) as service:
        yield service


@pytest.fixture
def at_full(request: pytest.FixtureRequest) -> Callable[[Count, Count], Count]:
    """`at_full(2, 20)`: the first in `make test`, the second in `make trust`."""
    is_full = bool(request.config.getoption("--trust-full"))
    return lambda small, full: full if is_full else small


@pytest.fixture
def folder(tmp_path: Path) -> GenerationFolder:
    """Generations that no service knows of."""
    return GenerationFolder(tmp_path / "generations")


@pytest.fixture
def empty_database_url(addresses: Addresses, server: psycopg.Connection) -> Iterator[str]:
    """Address of a database without any table."""
    server.execute("CREATE DATABASE without_tables")
    yield addresses.database_url.rsplit("/", 1)[0] + "/without_tables"
    server.execute("DROP DATABASE without_tables WITH (FORCE)")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Judge the figures once all of them are there."""
    result = yield
    row = item.stash.get(ROW, None)
    if row is not None and row.missed:
        pytest.fail("; ".join(row.missed), pytrace=False)
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Write down how a row came out; a test that could not begin or clean up, too, lest its row look whole."""
    report = yield
    file: str | None = item.config.getoption("--trust-figures")
    number = row_number(item)
    if file and number is not None and (report.when == "call" or not report.passed):
        row = item.stash.get(ROW, None) or Row(number)
        excuse = str(getattr(report, "wasxfail", ""))
        outcome = "failed" if excuse else report.outcome
        row.write(Path(file), test=item.nodeid, outcome=outcome, reason=excuse or _reason(call))
    return report


def _reason(call: pytest.CallInfo[None]) -> str:
    """Why a test failed or was skipped; empty for one that passed."""
    return call.excinfo.exconly().removeprefix("Skipped: ") if call.excinfo else ""
