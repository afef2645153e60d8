"""A user -> the request whose answer an admin looks at in his place."""

from __future__ import annotations

from app.pages.parts import PageParts
from app.recommend.arms import page_parameters
from app.recommend.request import RecommendRequest
from app.storage.scene_book import DEFAULT_SCENE


async def preview_of(parts: PageParts, user_id: str, *, k: int) -> RecommendRequest:
    """What he would ask for in the default scene, as its settings and his arm have it; nothing is left to chance, so
    that looking twice shows the same, and nothing is held back from his own next call.
    """
    book = await parts.scenes.current()
    defaults = page_parameters(book, parts.stores.settings, DEFAULT_SCENE, user_id=user_id)
    return RecommendRequest(
        user_id=user_id, k=k, scene=DEFAULT_SCENE, **{**defaults, "exploration_share": 0.0, "reserved_seconds": 0.0}
    )
