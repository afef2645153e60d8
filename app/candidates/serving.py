"""The current generation, kept current: what each request asks for its view of the candidates.

Follows the pointer file (a swap takes effect within a second, without a restart), applies hides and deletes at once,
and encodes new and changed posts in the background.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from datetime import UTC, datetime
from itertools import islice

from app.candidates.encode import PostEncoder
from app.candidates.fresh import FreshPost, Overlay
from app.candidates.generation import RESTS, Generation, GenerationFolder
from app.candidates.view import CandidateView
from app.errors import BadArtefact, Unavailable, UnknownId
from app.samples.tokens import Content
from app.storage.post_changes import PostChange, changed_since
from app.storage.posts import pinned_posts, posts_by_id
from app.storage.stores import Stores

log = logging.getLogger(__name__)
POLL_SECONDS = 0.5  # how often the pointer and the changes are looked at
ENCODED_AT_ONCE = 64
PINS = 100  # that count: as many as a page can have
EXPIRY_SECONDS = 30  # how often expired posts are taken out


class ServingCandidates:
    """Holds the serving generation and its overlay; one per process."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._folder = GenerationFolder(stores.settings.generations)
        self._view: CandidateView | None = None
        self._overlay: Overlay | None = None
        self._encoder: PostEncoder | None = None
        self._applied: dict[str, datetime] = {}  # post id -> its latest change known here, since the generation
        self._since = datetime.now(UTC)
        self._refused: str | None = None  # a generation that could not be loaded
        self._pinned: list[str] = []
        self._is_news = True  # something was applied that no view shows yet
        self._version: int | None = None
        self._waiting: deque[tuple[str, datetime]] = deque()  # posts to be encoded, with the change that asks for it
        self._viewed_at = 0.0  # monotonic seconds
        self._loading = asyncio.Lock()  # a generation, beside the one that serves
        self._lock = asyncio.Lock()

    @property
    def generation(self) -> Generation | None:
        """The serving generation, None before the first."""
        return self._overlay.generation if self._overlay else None

    @property
    def waiting(self) -> int:
        """Posts that wait to be encoded."""
        return len(self._waiting)

    def view(self) -> CandidateView:
        """What a request sees. Raises Unavailable before the first generation."""
        if self._view is None:
            raise Unavailable("there is no generation yet: import posts, then POST /reindex or run `tuwen reindex`")
        return self._view

    async def run(self) -> None:
        """Follow the pointer and the changes until cancelled; what keeps it from that is said once."""
        said = None
        while True:
            pause_seconds = POLL_SECONDS
            try:
                await self.refresh()
                await self._encode_waiting()
                said, pause_seconds = None, 0 if self._waiting else POLL_SECONDS
            except Unavailable as error:
                if str(error) != said:
                    said = str(error)
                    log.warning("the catalogue cannot be followed, it is tried again: %s", said)
            await asyncio.sleep(pause_seconds)

    def is_behind(self, version: int | None) -> bool:
        """Whether the catalogue's version, read with a request, is not the one last seen."""
        return version is not None and version != self._version

    async def see_changes_of(self, version: int | None) -> None:
        """See what has changed when the catalogue's version, read with the request, is not the one last seen."""
        if self.is_behind(version):
            await self.see_changes()
            self._version = version

    async def refresh(self) -> None:
        """Load a newly promoted generation and apply what has changed since. Raises Unavailable (database)."""
        await self._follow_pointer()
        await self.see_changes()

    async def see_changes(self) -> None:
        """Apply what has changed since; no request is the one that loads a generation. Raises Unavailable."""
        async with self._lock:
            if self._overlay is None:
                return
            changed = await self._apply_changes(self._overlay)
            if changed or time.monotonic() - self._viewed_at > EXPIRY_SECONDS:
                await self._renew_view(self._overlay)

    async def promote(self, generation: str) -> None:
        """Let a generation serve at once. Raises UnknownId, BadArtefact; then the one before serves on."""
        async with self._loading:
            loaded = await asyncio.to_thread(self._folder.load, generation, rests=RESTS)
            await asyncio.to_thread(self._folder.point_to, generation)
            await self._serve(loaded)

    async def _follow_pointer(self) -> None:
        """Swap to the generation that the pointer names; a bad one is refused and the old one serves on.

        Right after a start there is no old one: then it is the newest whole one that the gate had let pass. Later
        nobody waits while one is loaded, which takes seconds for a million posts.
        """
        if self._loading.locked() and self._overlay is not None:
            return
        async with self._loading:
            wanted = self._folder.current()
            held = self._overlay.generation.manifest.generation if self._overlay else None
            if wanted is None or wanted in (held, self._refused):
                return
            generation = await (self._loaded(wanted) if held else asyncio.to_thread(self._folder.load_best))
            if generation is not None:
                await self._serve(generation)
            if generation is None or generation.manifest.generation != wanted:
                self._refused = wanted

    async def _serve(self, generation: Generation) -> None:
        """Let requests see a loaded generation. Raises Unavailable, and the one before serves on."""
        name = generation.manifest.generation
        try:
            encoder = PostEncoder(generation.network, home=self._stores.settings.home)
        except Unavailable as error:
            log.error("generation %s cannot serve: %s", name, error)
            raise
        async with self._lock:
            self._refused = None
            self._overlay, self._encoder = Overlay(generation), encoder
            self._since = datetime.fromisoformat(generation.manifest.changes_until)
            self._applied, self._pinned, self._is_news = {}, [], True
            self._waiting.clear()
            await self._catch_up(self._overlay)
            await self._renew_view(self._overlay)
        log.info("generation %s serves %d posts", name, len(generation.columns))

    async def _loaded(self, generation: str) -> Generation | None:
        """A generation, verified; None when it cannot be used."""
        try:
            return await asyncio.to_thread(self._folder.load, generation, rests=RESTS)
        except (BadArtefact, UnknownId) as error:
            log.error("generation %s is refused: %s", generation, error)
            return None

    async def _catch_up(self, overlay: Overlay) -> None:
        """Apply the changes since the generation was made; without the database, serve it as it is."""
        with contextlib.suppress(Unavailable):
            await self._apply_changes(overlay)

    async def _apply_changes(self, overlay: Overlay) -> bool:
        """Read the posts that changed; true when the view must be renewed."""
        async for page in changed_since(self._stores.database, self._since):
            for change in page:
                if self._applied.get(change.post.post_id) != change.changed_at:
                    self._is_news = True
                    self._apply(change, overlay)
        if not self._is_news:
            return False
        self._pinned = await pinned_posts(self._stores.database, limit=PINS)
        self._is_news = False
        return True

    def _apply(self, change: PostChange, overlay: Overlay) -> None:
        post = change.post
        self._applied[post.post_id] = change.changed_at
        self._since = max(self._since, change.changed_at)
        known = overlay.known_vector(Content.of(post), post.post_id)
        if not (change.deleted or post.hidden) and known is not None:
            overlay.put(FreshPost(post, *known))
            return
        overlay.drop(post.post_id)
        if not (change.deleted or post.hidden):
            self._waiting.append((post.post_id, change.changed_at))

    async def _encode_waiting(self) -> None:
        """Encode some of the waiting posts and show them; when that fails they wait on, behind the others."""
        overlay, encoder = self._overlay, self._encoder
        if overlay is None or encoder is None or not self._waiting:
            return
        some = list(islice(self._waiting, ENCODED_AT_ONCE))
        try:
            known = await posts_by_id(self._stores.database, [post_id for post_id, _ in some])
            posts = [known[post_id] for post_id, at in some if post_id in known and self._applied.get(post_id) == at]
            vectors, quality = await asyncio.to_thread(encoder.encode, [Content.of(post) for post in posts])
        except Exception:
            self._waiting.rotate(-len(some))
            raise
        async with self._lock:
            if overlay is not self._overlay:
                return  # a newer generation has taken over and read these changes itself
            for _ in some:
                self._waiting.popleft()
            asked_by = dict(some)
            for place, post in enumerate(posts):
                if self._applied[post.post_id] == asked_by[post.post_id]:  # else a later change has overtaken it
                    overlay.put(FreshPost(post, vectors[place], float(quality[place])))
            await self._renew_view(overlay)

    async def _renew_view(self, overlay: Overlay) -> None:
        """Let requests see what has changed; beside them, because a large catalogue takes some milliseconds."""
        self._view = await asyncio.to_thread(overlay.view, datetime.now(UTC), self._pinned)
        self._viewed_at = time.monotonic()
