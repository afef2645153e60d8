"""What the pages need of the running service, put together once at its start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from starlette.requests import Request

from app.candidates.generation import GenerationFolder
from app.candidates.query import QueryEncoder
from app.candidates.serving import ServingCandidates
from app.domain import Role
from app.metrics import Metrics
from app.pages.session import SessionSeal, session_secret
from app.storage.jobs import Job
from app.storage.scene_book import SceneBook
from app.storage.stores import Stores

PARTS = "pages"  # in the state of the application
DEMO_SESSION_SECONDS = 30 * 86_400
ADMIN_SESSION_SECONDS = 8 * 3600
SEARCHES = "searches"  # in the home: what admins searched by, until the network changes


class StartReindex(Protocol):
    """Starts a reindex in a process of its own. Raises Conflict while one is under way."""

    async def __call__(self, *, requested_by: str) -> Job:
        """The job."""
        ...


class KeyOwner(Protocol):
    """Whose key a secret is."""

    @property
    def role(self) -> Role:
        """What the key may do."""
        ...

    @property
    def key_id(self) -> str:
        """Its id, which is no secret."""
        ...


class Keys(Protocol):
    """The keys as the API takes them: who guesses there has to wait here too."""

    async def caller(self, secret: str, *, address: str) -> KeyOwner:
        """Whose key it is. Raises Unauthenticated; TooMany after wrong ones, where it is not known to be good."""
        ...


@dataclass(frozen=True)
class PageParts:
    """The stores, the serving candidates, what can be done with them, and what guards each page."""

    stores: Stores
    candidates: ServingCandidates
    generations: GenerationFolder
    queries: QueryEncoder
    metrics: Metrics
    scenes: SceneBook
    start_reindex: StartReindex
    demo_seal: SessionSeal
    admin_seal: SessionSeal
    keys: Keys


def page_parts(
    stores: Stores,
    candidates: ServingCandidates,
    *,
    metrics: Metrics,
    scenes: SceneBook,
    start_reindex: StartReindex,
    keys: Keys,
) -> PageParts:
    """The parts of a service; goes into the application's state under PARTS."""
    secret = session_secret(stores.settings.home)
    return PageParts(
        stores=stores,
        candidates=candidates,
        generations=GenerationFolder(stores.settings.generations),
        queries=QueryEncoder(stores.settings.home / SEARCHES),
        metrics=metrics,
        scenes=scenes,
        start_reindex=start_reindex,
        demo_seal=SessionSeal(secret, "demo", DEMO_SESSION_SECONDS),
        admin_seal=SessionSeal(secret, "admin", ADMIN_SESSION_SECONDS),
        keys=keys,
    )


def parts_of(request: Request) -> PageParts:
    """The parts of the service that answers this request."""
    parts: PageParts = getattr(request.app.state, PARTS)
    return parts


def is_trained(parts: PageParts) -> bool:
    """Whether the serving network has learnt from the log; before that its probabilities mean nothing."""
    generation = parts.candidates.generation
    return generation is not None and generation.manifest.origin != "start"
