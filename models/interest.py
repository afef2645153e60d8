"""Fused history -> what the account is after now: one vector, whose product with a post's says how well it follows."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.sizes import NetworkSizes
from models.summary import first_output


class Interest(nn.Module):
    """Pools the fused history in its order, as part of predicting behaviour (step 312: pooling, then a dot product).

    A summary token and all items, which carry their place, age and behaviours, attend to each other: as SASRec (arXiv
    1808.09781) shows, what came last tells most of what comes next. It starts at zero: before any training it changes
    no order.
    """

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        width = sizes.semantic_width
        self.summary = nn.Parameter(torch.randn(width) * 0.1)
        self.layer = nn.TransformerEncoderLayer(
            width, sizes.history_heads, 2 * width, dropout=0.1, activation="gelu", batch_first=True, norm_first=True
        )
        self.norm = nn.LayerNorm(width)
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, fused: Tensor, mask: Tensor) -> Tensor:
        """(batch, history, semantic_width), (batch, history) bool -> interest (batch, semantic_width), any length."""
        items = torch.cat([self.summary.expand(len(fused), 1, -1), fused], dim=1)
        seen = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)
        interest: Tensor = self.out(self.norm(first_output(self.layer, items, seen)))
        return interest
