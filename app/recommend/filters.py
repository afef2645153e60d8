"""A request and what its user has seen -> which candidates may be recommended to him, before any matching."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from app.candidates.columns import PostColumns
from app.candidates.facets import attribute_word
from app.candidates.post_rows import UNKNOWN, PostRows
from app.candidates.view import CandidateView
from app.recommend.request import Near, PostFilter, RecommendRequest

Mask = NDArray[np.bool_]  # (posts,)
EARTH_RADIUS_KM = 6371.0088
KM_PER_DEGREE = EARTH_RADIUS_KM * np.pi / 180


@dataclass(frozen=True)
class Passing:
    """The posts that may be recommended, and how many were left after each step."""

    mask: Mask  # (posts,) without those held back
    available: int  # living posts
    filtered: int  # of those, posts that pass the request's filter
    seen: int  # of those, posts that the user has been shown, the session included
    left: int  # of those, posts neither excluded nor returned before; this page or a later one may have them


def passing_posts(
    view: CandidateView,
    request: RecommendRequest,
    *,
    seen: Collection[str],
    rejected: Collection[str] = (),
    returned: Collection[str],
    reserved: Sequence[str] = (),
    moment: datetime,
) -> Passing:
    """Living posts that pass the filter, without those seen, rejected, excluded, returned on earlier pages, or his own.

    Reserved posts, the one reserved longest ago first, are held back as far as the page can be filled without them.
    """
    columns = view.columns
    mask = view.alive_at(moment)
    available = int(np.count_nonzero(mask))
    apply_filter(mask, columns, request.filter)
    filtered = int(np.count_nonzero(mask))
    known = () if request.include_seen else (*seen, *(act.post_id for act in request.session))
    seen_rows, barred_rows, reserved_rows = _rows_of_each(
        view.row_of, known, (*request.exclude_post_ids, *returned, *rejected), reserved
    )
    mask[seen_rows] = False
    seen_count = filtered - int(np.count_nonzero(mask))
    mask[barred_rows] = False
    authors = [author for author in (request.user_id, *request.exclude_author_ids) if author in columns.author]
    if authors:
        mask &= ~columns.author.mask(authors)
    left = int(np.count_nonzero(mask))
    _hold_back(mask, reserved_rows, at_most=left - request.k)
    return Passing(mask, available, filtered, seen_count, left)


def _hold_back(mask: Mask, reserved: NDArray[np.int64], *, at_most: int) -> None:
    """Clear the mask (posts,) at the last `at_most` of the reserved rows (reserved,)."""
    standing = reserved[mask[reserved]]
    mask[standing[max(0, len(standing) - max(0, at_most)) :]] = False


def _rows_of_each(row_of: PostRows, *groups: Sequence[str]) -> list[NDArray[np.int64]]:
    """Rows of the candidates of each group, (rows,): looked up together."""
    found = row_of.find([*chain(*groups)])
    parts = np.split(found, np.cumsum([len(group) for group in groups])[:-1])
    return [part[part != UNKNOWN] for part in parts]


def rows_of(row_of: PostRows, post_ids: Collection[str]) -> NDArray[np.int64]:
    """Rows of those of the posts that are candidates, (rows,)."""
    return row_of.known(post_ids)


def unknown_ids(view: CandidateView, request: RecommendRequest) -> tuple[str, ...]:
    """Ids of the request's lists that no candidate has."""
    post_ids = (*request.exclude_post_ids, *(act.post_id for act in request.session))
    unknown = [post_id for post_id in post_ids if post_id not in view.row_of]
    unknown += [author for author in request.exclude_author_ids if author not in view.columns.author]
    return tuple(dict.fromkeys(unknown))


def apply_filter(mask: Mask, columns: PostColumns, wanted: PostFilter) -> None:
    """Clear the mask (posts,) where a post does not pass."""
    if wanted.category:
        mask &= columns.category.mask(wanted.category)
    if wanted.city:
        mask &= columns.city.mask(wanted.city)
    if wanted.tags:
        mask &= columns.tags.mask(wanted.tags)
    for name, values in wanted.attributes.items():
        mask &= columns.attributes.mask([attribute_word(name, value) for value in values])
    if wanted.near is not None:
        _apply_distance(mask, columns, wanted.near)


def _apply_distance(mask: Mask, columns: PostColumns, near: Near) -> None:
    """Clear the mask (posts,) where a post is farther away than the radius, or nobody knows where it is."""
    band_degrees = near.radius_km / KM_PER_DEGREE + 1e-4  # great circles cannot be shorter than the way north
    mask &= np.abs(columns.latitude - np.float32(near.latitude)) <= band_degrees
    rows = np.flatnonzero(mask)
    distance = distance_km(columns.latitude[rows], columns.longitude[rows], near=near)
    mask[rows] = distance <= near.radius_km


def distance_km(latitude: NDArray[np.float32], longitude: NDArray[np.float32], *, near: Near) -> NDArray[np.float64]:
    """Great-circle distances (places,) in km from the point; latitude, longitude (places,) in degrees; NaN stays."""
    north, east = np.radians(latitude.astype(np.float64)), np.radians(longitude.astype(np.float64))
    north_0, east_0 = np.radians(near.latitude), np.radians(near.longitude)
    chord = np.sin((north - north_0) / 2) ** 2 + np.cos(north) * np.cos(north_0) * np.sin((east - east_0) / 2) ** 2
    distance: NDArray[np.float64] = 2 * EARTH_RADIUS_KM * np.arcsin(np.sqrt(np.clip(chord, 0, 1)))
    return distance
