"""Network 2, behaviour encoding: what happened on a history post, and when -> behaviour vector (step 310)."""

from __future__ import annotations

from math import log1p

import torch
from torch import Tensor, nn

from models.batch import BEHAVIOURS, History
from models.sizes import NetworkSizes

LONGEST_SECONDS = 10 * 365 * 86400.0  # ages are told apart up to ten years
LONGEST_LOG = log1p(LONGEST_SECONDS)


class BehaviourEncoding(nn.Module):
    """Kinds, their ages, the age of the showing, its place and its sequence -> one vector per history item."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        width = sizes.semantic_width
        self.sequence = nn.Embedding(sizes.sequences, width)
        self.order = nn.Embedding(sizes.history_order, width)
        self.encode = nn.Sequential(nn.Linear(2 * BEHAVIOURS + 1, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        for table in (self.sequence, self.order):
            nn.init.normal_(table.weight, std=0.1)

    def forward(self, history: History) -> Tensor:
        """Behaviour vectors, (batch, history, semantic_width)."""
        ages = log_age(history.seconds_since) * history.happened
        shown = log_age(history.seconds_since_shown)[..., None]
        acts = self.encode(torch.cat([history.happened, ages, shown], dim=-1))
        order = history.order.clamp(max=self.order.num_embeddings - 1)
        vector: Tensor = acts + self.sequence(history.sequence) + self.order(order)
        return vector


def log_age(seconds: Tensor) -> Tensor:
    """Seconds -> 0..1 on a log scale, so that minutes and months are both told apart; any shape."""
    return torch.log1p(seconds.clamp(0, LONGEST_SECONDS)) / LONGEST_LOG
