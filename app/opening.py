"""Settings -> the bound port, and what is printed when the API opens."""

from __future__ import annotations

import socket
from collections.abc import Sequence

from app.errors import Unavailable
from app.settings import Settings
from app.storage.keys import NewKey


def listen(host: str, port: int) -> socket.socket:
    """A bound socket. Raises Unavailable with what to do."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as problem:
        listener.close()
        hint = "stop what uses it, or choose another TUWEN_HOST or TUWEN_PORT"
        raise Unavailable(f"cannot listen on {host}:{port}: {problem.strerror}; {hint}") from None
    listener.set_inheritable(False)
    return listener


def announce(settings: Settings, made: Sequence[NewKey]) -> None:
    """Print keys just made, whose secrets are written nowhere else, and the address."""
    if made:
        print("API keys, shown this once (`tuwen keys create` makes others):")
        for new in made:
            print(f"  {new.key.role:<6} {new.secret}", flush=True)
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    workers = f" with {settings.workers} workers" if settings.workers > 1 else ""
    print(f"Tuwen listens on http://{host}:{settings.port}{workers}", flush=True)
