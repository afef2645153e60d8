"""A view of a few hundred posts around taste centres, with an untrained network: enough to see what serving does."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
import torch

from app.candidates.columns import PostColumns, latest_first
from app.candidates.index import build_lists
from app.candidates.post_rows import PostRows
from app.candidates.vectors import Vectors
from app.candidates.view import CandidateView
from app.domain import Post
from app.samples.history import HistoryLimits
from models.cascade import Cascade
from models.sizes import NetworkSizes

NOW = datetime(2026, 3, 2, tzinfo=UTC)
TASTES, WIDTH = 8, 16
CATEGORIES = ("food", "leisure", "travel", "beauty")
CITIES = ("上海", "北京", None)
SIZES = NetworkSizes("none", "none", 8, 8, width=16, layers=1, heads=2, semantic_width=WIDTH, history_heads=2)


def post_id(number: int) -> str:
    return f"p{number:04}"


def small_view(
    posts: int = 200, *, seed: int = 0, popular: int = 20, prints: Mapping[int, int] | None = None
) -> CandidateView:
    """Post number n is of taste n % TASTES; the lower the number the more popular and the older it is.

    prints has the perceptual print of the pictures of some posts.
    """
    random = np.random.default_rng(seed)
    torch.manual_seed(seed)
    centres = np.linalg.qr(random.normal(size=(WIDTH, TASTES)))[0].T
    vectors = centres[np.arange(posts) % TASTES] + random.normal(scale=0.1, size=(posts, WIDTH))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    columns = PostColumns.of([small_post(number, random, prints or {}) for number in range(posts)])
    return CandidateView(
        generation="g1",
        columns=columns,
        vectors=Vectors.of(vectors),
        quality=np.zeros(posts, np.float32),
        alive=np.ones(posts, bool),
        row_of=PostRows.of(columns.post_ids),
        latest_first=latest_first(columns.published_at),
        popular=[post_id(number) for number in range(min(popular, posts))],
        network=Cascade(SIZES).eval(),
        history_limits=HistoryLimits(),
        index=build_lists(vectors, np.zeros(posts, np.float32))[1],
    )


def small_post(number: int, random: np.random.Generator, prints: Mapping[int, int]) -> Post:
    place_known = random.random() < 0.8
    return Post(
        post_id(number),
        f"title {number}",
        picture_hash="ab" if number % 2 else None,
        category=CATEGORIES[int(random.integers(4))],
        city=CITIES[int(random.integers(3))],
        latitude=float(random.uniform(30.9, 31.5)) if place_known else None,
        longitude=float(random.uniform(121.1, 121.8)) if place_known else None,
        author_id=f"a{int(random.integers(20))}",
        tags=tuple(f"t{tag}" for tag in random.integers(6, size=2)),
        published_at=NOW - timedelta(days=100) + timedelta(hours=number),
        expires_at=NOW + timedelta(hours=int(random.integers(-4, 40))) if number % 10 == 0 else None,
        attributes={"price": number % 3, "open": number % 2 == 0, "styles": [f"s{number % 4}", "any"]},
        picture_print=prints.get(number),
    )
