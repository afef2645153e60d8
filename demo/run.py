"""`make demo`: stores, catalogue, API, trainer and simulated people on this machine, until Ctrl-C.

    python -m demo.run

Settings come from the environment as everywhere (`TUWEN_HOME`, `TUWEN_PORT` ...). A later start goes on where the last
one stopped.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from pathlib import Path

from app.errors import TuwenError, Unavailable
from app.settings import Settings, load_settings
from demo.children import ChildDied, say
from demo.parts import run_parts

# The demo shows in minutes what a service does in hours: the first cycle begins when most of the past is
# there.
DEMO_SETTINGS = {
    "TUWEN_DEMO": "1",
    "TUWEN_TRAINER_INTERVAL_MINUTES": "10",
    "TUWEN_TRAINER_MINIMUM_EXPOSURES": "20000",
    "TUWEN_PLAN": str(Path(__file__).parent / "plan.toml"),
}


def main() -> int:
    """Run the demo. Exit code 0 after Ctrl-C, 1 with a message when something does not work."""
    for name, value in DEMO_SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        settings = load_settings()
        check_port(settings)
        asyncio.run(run_until_signal(settings))
    except (TuwenError, ChildDied) as problem:
        print(f"\nThe demo stops: {problem}", file=sys.stderr)
        return 1
    return 0


def check_port(settings: Settings) -> None:
    """Raises Unavailable when somebody else listens on the port."""
    with socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((settings.host, settings.port))
        except OSError as problem:
            where = f"{settings.host}:{settings.port}"
            hint = f"choose another port: TUWEN_PORT={settings.port % 65535 + 1} make demo"
            raise Unavailable(f"cannot listen on {where} ({problem.strerror}); {hint}") from None


async def run_until_signal(settings: Settings) -> None:
    """Everything, until Ctrl-C, SIGTERM or a closed terminal. Raises what stops it before."""
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    parts = asyncio.create_task(run_parts(settings))
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({parts, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not parts.done():
        say("\nStopping ...")
        parts.cancel()
    try:
        await parts
    except BaseExceptionGroup as group:  # of the task group that watches the children
        raise _first(group) from None
    except asyncio.CancelledError:
        say(f"Stopped. Everything is kept in {settings.home}; `make demo` goes on from here.")


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first thing that went wrong, without its wrappings."""
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


if __name__ == "__main__":
    sys.exit(main())
