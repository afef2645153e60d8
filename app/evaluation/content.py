"""Posts -> frozen features of pictures and titles, and their whitening."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from app.candidates.encode import token_source
from app.evaluation.split import Rows
from app.samples.tokens import Content, TokenTable
from models.feature_extraction import mean_word
from models.sizes import NetworkSizes

POSTS_AT_ONCE = 512
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class FrozenFeatures:
    """Mean backbone tokens of every post; zero where it has no picture, or no word."""

    picture: Floats  # (posts, picture_width)
    title: Floats  # (posts, title_width)


def frozen_features(contents: list[Content], sizes: NetworkSizes, *, home: Path) -> FrozenFeatures:
    """Read every picture and title once, or their tokens from the cache."""
    table = TokenTable(token_source(sizes, home), contents, widths=(sizes.picture_width, sizes.title_width))
    pictures, titles = [], []
    for at in range(0, len(table), POSTS_AT_ONCE):
        tokens = table.gather(np.arange(at, min(at + POSTS_AT_ONCE, len(table))))
        pictures.append(tokens.picture.float().mean(dim=1).numpy())
        titles.append(mean_word(tokens.title.float(), tokens.title_mask).numpy())
    return FrozenFeatures(np.concatenate(pictures), np.concatenate(titles))


@dataclass(frozen=True)
class Axes:
    """Principal axes of some rows, each divided by its spread, longest first."""

    mean: Floats  # (in,)
    scaled: Floats  # (kept, in)

    def whitened(self, features: Floats, *, width: int) -> Floats:
        """PCA whitening and unit length, (posts, in) -> (posts, width); zero stays zero."""
        present = np.abs(features).sum(axis=1, keepdims=True) > 0
        projected = (features - self.mean) @ self.scaled[:width].T
        length = np.linalg.norm(projected, axis=1, keepdims=True)
        found = np.zeros((len(features), width), np.float32)
        found[:, : projected.shape[1]] = projected / np.maximum(length, 1e-9) * present
        return found


def axes_of(features: Floats, rows: Rows) -> Axes:
    """Fitted on those of the rows that have anything."""
    some = features[rows]
    some = some[np.abs(some).sum(axis=1) > 0]
    if len(some) < 2:
        return Axes(np.zeros(features.shape[1], np.float32), np.zeros((0, features.shape[1]), np.float32))
    mean = some.mean(axis=0)
    _, spread, directions = np.linalg.svd(some - mean, full_matrices=False)
    kept = int((spread > spread[0] * 1e-4).sum())
    return Axes(mean, directions[:kept] / spread[:kept, None])
