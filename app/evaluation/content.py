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


@dataclass(frozen=True)
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


def whitened(features: Floats, fitted_on: Rows, *, width: int) -> Floats:
    """PCA whitening and unit length, (posts, in) -> (posts, width); fitted on some rows, zero stays zero."""
    present = np.abs(features).sum(axis=1) > 0
    rows = fitted_on[present[fitted_on]]
    found = np.zeros((len(features), width), np.float32)
    if len(rows) < 2:
        return found
    mean = features[rows].mean(axis=0)
    _, spread, directions = np.linalg.svd(features[rows] - mean, full_matrices=False)
    kept = min(width, int((spread > spread[0] * 1e-4).sum()))
    projected = (features - mean) @ (directions[:kept] / spread[:kept, None]).T
    length = np.linalg.norm(projected, axis=1, keepdims=True)
    found[:, :kept] = projected / np.maximum(length, 1e-9) * present[:, None]
    return found
