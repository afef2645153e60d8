"""Sizes and choices of the networks; saved with the weights, so that an artefact rebuilds itself."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Modality(StrEnum):
    """Which parts of a post the feature extraction reads."""

    BOTH = "both"
    PICTURE = "picture"
    TITLE = "title"


class Fusion(StrEnum):
    """How behaviour vector and semantic vector become one (claim 4)."""

    ADD = "add"
    MULTIPLY = "multiply"
    NEURAL = "neural"


class Prediction(StrEnum):
    """How the exposed post meets the fused history (step 312)."""

    ATTENTION = "attention"
    POOLED_DOT = "pooled_dot"
    CONCAT = "concat"


@dataclass(frozen=True)
class NetworkSizes:
    """Widths, depths and the patent's options."""

    picture_backbone: str  # name of the frozen backbone whose tokens come in
    title_backbone: str
    picture_width: int
    title_width: int
    picture_cells: int = 9  # a 3 x 3 grid
    title_words: int = 24  # tokens read of a title; the rest is cut
    width: int = 128  # of the joint transformer
    layers: int = 1
    heads: int = 4
    semantic_width: int = 64
    history_heads: int = 4
    sequences: int = 3
    history_order: int = 32  # items told apart by their place in a sequence; older ones share the last
    modality: Modality = Modality.BOTH
    fusion: Fusion = Fusion.NEURAL
    prediction: Prediction = Prediction.ATTENTION
