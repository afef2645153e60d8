"""Every page of the service with its guards, read from the router: a new one is there too."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi.routing import iter_route_contexts

from app.pages.admin.door import require_signed_in
from app.pages.looking import require_session
from app.pages.routes import router

# What is open, on purpose: ways in, which look for the session themselves, and files without a secret.
OPEN = {"/pages/static/{name}", "/demo", "/demo/visitor", "/admin", "/admin/sign-in", "/admin/preferences"}
GUARDS: dict[str, Callable[..., Any]] = {"/admin": require_signed_in, "/demo": require_session}


@dataclass(frozen=True)
class Door:
    """A page, or what a page fetches or sends."""

    method: str
    path: str
    guards: tuple[Callable[..., Any] | None, ...]

    @property
    def is_open(self) -> bool:
        return self.path in OPEN

    @property
    def is_guarded(self) -> bool:
        """By the session of its own part of the pages."""
        return GUARDS.get("/" + self.path.split("/")[1]) in self.guards

    def filled(self, value: str = "no-such") -> str:
        """The path with a value in each of its places."""
        return re.sub(r"\{\w+\}", value, self.path)


def doors() -> list[Door]:
    return [
        Door(method, str(one.path), tuple(needed.dependency for needed in one.dependencies))
        for one in iter_route_contexts(router.routes)
        for method in sorted(one.methods or ["?"])
    ]
