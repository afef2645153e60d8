"""Who looks -> what the demo page shows him: cards, his strip, the people to choose from, the serving generation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from app.domain import User
from app.errors import ExpiredCursor
from app.pages.cards import cards_of
from app.pages.live import live_values
from app.pages.looking import PATH, PERSON, RADII_KM, Looking
from app.pages.parts import PageParts, is_trained
from app.pages.strips import StripItem, acted_on, strip_of
from app.recommend.arms import page_parameters
from app.recommend.recommend import recommend
from app.recommend.request import Near, PostFilter, RecommendRequest
from app.storage.overview import users_named
from app.storage.posts import posts_by_id
from app.storage.user_state import load_user_state

THUMBNAILS = f"{PATH}/thumbnails"
SCENE = "demo page"
POSTS_PER_PAGE = 16
STRIP_ITEMS = 12
PEOPLE_LISTED = 500
DIVERSITY = 0.2


@dataclass(frozen=True, slots=True)
class PersonOption:
    """A simulated person in the list to choose from."""

    user_id: str
    label: str


async def feed_values(parts: PageParts, looking: Looking) -> dict[str, object]:
    """Everything the page shows."""
    people = await users_named(parts.stores.database, PERSON, limit=PEOPLE_LISTED)
    columns = parts.candidates.view().columns
    return {
        "language": looking.language,
        "user_id": looking.user_id,
        "visitor_id": looking.visitor_id,
        "category": looking.category,
        "people": [_option(user, looking.words) for user in people],
        "strip": await strip_items(parts, looking.user_id),
        "categories": sorted(columns.category.values),
        "cities": sorted(columns.city.values),
        "city": looking.city,
        "radii": RADII_KM,
        "radius_km": looking.radius_km,
        "live": await live_values(parts, looking.words),
        **serving_values(parts, looking.words),
        **await cards_values(parts, looking, cursor=None, first_position=0),
    }


async def cards_values(
    parts: PageParts, looking: Looking, *, cursor: str | None, first_position: int
) -> dict[str, object]:
    """Cards, the cursor for more, and why there are fewer; a cursor that has expired starts anew."""
    book = await parts.scenes.current()
    defaults = page_parameters(book, parts.stores.settings, SCENE, user_id=looking.user_id)
    request = RecommendRequest(
        user_id=looking.user_id,
        k=POSTS_PER_PAGE,
        scene=SCENE,
        filter=_filter(parts, looking),
        cursor=cursor or None,
        **{"diversity": DIVERSITY, **defaults},
    )
    now = datetime.now(UTC)
    try:
        found = await recommend(parts.stores, parts.candidates.view(), request, moment=now)
    except ExpiredCursor:
        return await cards_values(parts, looking, cursor=None, first_position=first_position)
    cards = await cards_of(parts.stores, found, words=looking.words, pictures=THUMBNAILS, first_position=first_position)
    return {
        "cards": cards,
        "cursor": found.cursor,
        "shortfall": found.shortfall,
        "generation": found.generation,
        "trained": is_trained(parts),
        "words": looking.words,
    }


def _filter(parts: PageParts, looking: Looking) -> PostFilter:
    """What the visitor chose; a radius is around the middle of the city's posts."""
    category = (looking.category,) if looking.category else ()
    if looking.city is None:
        return PostFilter(category=category)
    columns = parts.candidates.view().columns
    rows = np.flatnonzero(columns.city.mask([looking.city]))
    middle = (
        (float(np.nanmedian(columns.latitude[rows])), float(np.nanmedian(columns.longitude[rows])))
        if len(rows)
        else None
    )
    if looking.radius_km is None or middle is None or np.isnan(middle).any():
        return PostFilter(category=category, city=(looking.city,))
    return PostFilter(category=category, near=Near(*middle, radius_km=looking.radius_km))


async def strip_items(parts: PageParts, user_id: str) -> list[StripItem]:
    """What the user did lately."""
    loaded = await load_user_state(parts.stores, user_id)
    shown = acted_on(loaded.state.shown, count=STRIP_ITEMS)
    posts = await posts_by_id(parts.stores.database, {one.post_id for one in shown})
    return strip_of(shown, posts, now=datetime.now(UTC), pictures=THUMBNAILS)


def serving_values(parts: PageParts, words: Mapping[str, str]) -> dict[str, object]:
    """Which generation serves, and what it was made from."""
    generation = parts.candidates.generation
    if generation is None:
        return {"generation": None, "made_from": words["starting"]}
    made_from = words["trained"] if is_trained(parts) else words["pretrained"]
    return {"generation": generation.manifest.generation, "made_from": made_from}


def _option(user: User, words: Mapping[str, str]) -> PersonOption:
    attributes = user.attributes
    profile = attributes.get("profile")
    name = profile.get("name", user.user_id) if isinstance(profile, Mapping) else user.user_id
    known = [str(attributes[key]) for key in ("age", "city", "occupation") if key in attributes]
    known = [words.get(word, word) for word in known]
    return PersonOption(user.user_id, " · ".join([str(name), *known]))
