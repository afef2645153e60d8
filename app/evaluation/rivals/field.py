"""All rivals by the name of their row, each with how its settings are chosen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from app.evaluation.choice import best_settings, validation_recall
from app.evaluation.content import FrozenFeatures
from app.evaluation.measure import Scores
from app.evaluation.rivals.content import by_frozen, by_ridge
from app.evaluation.rivals.factors import by_als, by_bpr
from app.evaluation.rivals.neighbours import by_ease, by_item_neighbours
from app.evaluation.rivals.popularity import HALF_LIVES_DAYS, by_chance, by_popularity, by_recent_popularity
from app.evaluation.rivals.sasrec import by_sasrec
from app.evaluation.split import Split, validation_split

Settings = Mapping[str, Any]
HALF_LIVES_ACTS = (5.0, 10.0, 20.0, 40.0)
MOST_EPOCHS, LOOK_EVERY, PATIENCE = 300, 10, 40
FACTORS = {"factors": (32, 64, 128), "regularisation": (0.01, 0.1, 1.0)}


@dataclass(frozen=True)
class Rival:
    """Somebody else's method."""

    name: str
    fit: Callable[[Split, int, Settings], Scores]  # split, seed, settings
    choose: Callable[[Split], Settings]
    package: str | None = None  # without it the row says so
    sees_cold: bool = False  # has a score for posts without history
    varies: bool = False  # with the seed

    @property
    def is_installed(self) -> bool:
        """Whether its package is there."""
        return self.package is None or find_spec(self.package) is not None


def rivals(features: FrozenFeatures) -> tuple[Rival, ...]:
    """In the order of the table."""
    return (
        Rival(
            "random", lambda split, seed, _: by_chance(split.visible, seed=seed), _nothing, sees_cold=True, varies=True
        ),
        Rival("popularity", lambda split, seed, _: by_popularity(split.visible), _nothing),
        _chosen("recent popularity", lambda split, **of: by_recent_popularity(split.visible, **of), RECENT),
        _chosen("item-kNN", lambda split, **of: by_item_neighbours(split.visible, **of), NEIGHBOURS),
        _chosen("EASE", lambda split, **of: by_ease(split.visible, **of), EASE | {"half_life": (None,)}),
        _chosen("EASE + recency", lambda split, **of: by_ease(split.visible, **of), EASE),
        _chosen("ALS", lambda split, **of: by_als(split.visible, **of), FACTORS, package="implicit"),
        _chosen("BPR", lambda split, **of: by_bpr(split.visible, **of), FACTORS, package="implicit"),
        Rival(
            "SASRec by id",
            lambda split, seed, of: by_sasrec(split.visible, seed=seed, **of),
            _sasrec_epochs,
            varies=True,
        ),
        _chosen("frozen, whitened", lambda split, **of: by_frozen(features, split, **of), FROZEN, sees_cold=True),
        _chosen("ridge", lambda split, **of: by_ridge(features, split, **of), RIDGE, sees_cold=True),
    )


RECENT = {"half_life_days": HALF_LIVES_DAYS}
NEIGHBOURS = {"neighbours": (20, 50, 100, 300), "shrinkage": (0.0, 10.0), "half_life": (None, *HALF_LIVES_ACTS)}
EASE = {"regularisation": (100.0, 300.0, 1000.0, 3000.0), "half_life": HALF_LIVES_ACTS}
FROZEN = {
    "width": (32, 64, 128),
    "picture_share": (0.0, 0.25, 0.5, 1.0),
    "sharpness": (None, 5.0, 10.0, 20.0),
    "half_life": (None, 10.0, 30.0),
}
RIDGE = {
    "factors": (32, 64, 128),
    "regularisation": (1.0, 10.0, 100.0, 1000.0, 10000.0),
    "half_life": (None, 10.0, 30.0),
}


def _nothing(split: Split) -> Settings:
    return {}


def _chosen(
    name: str,
    fit: Callable[..., Scores],
    grid: Mapping[str, tuple[Any, ...]],
    *,
    package: str | None = None,
    sees_cold: bool = False,
) -> Rival:
    """A rival whose settings are the best of a grid on the validation cut; the seed changes nothing in it."""
    return Rival(
        name,
        lambda split, seed, of: fit(split, **of),
        lambda split: best_settings(fit, split, grid),
        package=package,
        sees_cold=sees_cold,
    )


def _sasrec_epochs(split: Split) -> Settings:
    """As many epochs as do best on the validation cut."""
    inner = validation_split(split)
    best, reached = LOOK_EVERY, -1.0

    def enough(epochs: int, scores: Scores) -> bool:
        nonlocal best, reached
        if epochs % LOOK_EVERY:
            return False
        recall = validation_recall(scores, inner)
        if recall > reached:
            best, reached = epochs, recall
        return epochs - best >= PATIENCE

    by_sasrec(inner.visible, seed=0, epochs=MOST_EPOCHS, stop=enough)
    return {"epochs": best}
