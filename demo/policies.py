"""A feed without a recommender -> pages, each post with the chance that it was to stand there.

Plackett and Luce: the next place goes to one of the remaining posts, by weight. Equal weights are random pages; an
editor's weights put the same posts on top of everybody's page, which confuses how good a post is with where it stands.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from app.domain import Act, ShownPost
from demo.visits import Visit
from demo.world import World

PLACES = 12
EDITOR_SPREAD = 2.0  # of the log weights
RANDOM_SHARE = 0.2  # of an editor's pages are random ones: he explores


@dataclass(frozen=True, slots=True)
class Drawn:
    """A page."""

    rows: list[int]  # of the posts
    propensities: list[float]  # chance of each to be at its place, given those before it


@dataclass(frozen=True)
class Past:
    """A log with what only its maker knows."""

    shown: dict[str, list[ShownPost]]  # account -> showings, oldest first
    propensities: dict[str, float]  # exposure id -> chance
    editor: NDArray[np.float64]  # (posts,) log weights


def draw_page(rows: NDArray[np.int64], log_weights: NDArray[np.float64], dice: np.random.Generator) -> Drawn:
    """A page of some of the posts at `rows` by their log weights (posts,)."""
    weights = np.exp(log_weights[rows])
    noisy = log_weights[rows] + dice.gumbel(size=len(rows))  # the highest of these is a draw by weight
    order = np.argsort(-noisy)[:PLACES]
    left = weights.sum() - np.concatenate([[0.0], np.cumsum(weights[order])[:-1]])
    return Drawn(rows[order].tolist(), (weights[order] / left).tolist())


def logged_past(world: World, visits: Sequence[Visit], *, seed: int, random_from: float) -> Past:
    """What people did on an editor's pages, and on random ones in the last part, `random_from` to 1 of all visits."""
    dice, fortune = np.random.default_rng(seed), random.Random(f"past:{seed}")  # noqa: S311 (a simulation)
    editor = dice.normal(0, EDITOR_SPREAD, len(world.posts))
    equal = np.zeros(len(world.posts))
    past = Past({}, {}, editor)
    for number, visit in enumerate(visits):
        edited = number < random_from * len(visits) and fortune.random() >= RANDOM_SHARE
        page = draw_page(world.published_rows(visit.at), editor if edited else equal, dice)
        for showing, propensity in zip(_shown(world, visit, page, fortune), page.propensities, strict=True):
            past.shown.setdefault(visit.person.user_id, []).append(showing)
            past.propensities[showing.exposure_id] = propensity
    return past


def _shown(world: World, visit: Visit, page: Drawn, dice: random.Random) -> list[ShownPost]:
    """The page as the log has it."""
    posts = [world.posts[row].post_id for row in page.rows]
    acts: dict[int, list[Act]] = {}
    for doing in world.visit(visit.person, posts, moment=visit.at, dice=dice):
        acts.setdefault(doing.place, []).append(
            Act(doing.kind, visit.at + timedelta(seconds=doing.seconds_after_shown))
        )
    user_id, stem = visit.person.user_id, f"{visit.person.user_id}-{visit.at.isoformat()}"
    return [
        ShownPost(
            exposure_id=f"{stem}-{place:02d}",
            user_id=user_id,
            post_id=post_id,
            shown_at=visit.at,
            position=place,
            acts=tuple(sorted(acts.get(place, ()), key=lambda act: act.at)),
        )
        for place, post_id in enumerate(posts)
    ]
