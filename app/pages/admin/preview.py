"""A user -> the request whose answer an admin looks at in his place."""

from __future__ import annotations

from app.pages.parts import PageParts
from app.recommend.arms import preview
from app.recommend.request import RecommendRequest


async def preview_of(parts: PageParts, user_id: str, *, k: int) -> RecommendRequest:
    """What he would ask for in the default scene, as its settings and his arm have it now."""
    return preview(await parts.scenes.current(), parts.stores.settings, user_id, k=k)
