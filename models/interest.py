"""Fused history -> what the account is after now: one vector, whose product with a post's says how well it follows."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention

from models.behaviour_prediction import by_head
from models.sizes import NetworkSizes


class Interest(nn.Module):
    """Pools the fused history in its order, as part of predicting behaviour (step 312: pooling, then a dot product).

    The latest items ask all items, which carry their place, age and behaviours, as the last position of a SASRec layer
    does (arXiv 1808.09781): what came last tells most of what comes next. It starts at zero: before any training it
    changes no order.
    """

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        width = sizes.semantic_width
        self.heads = sizes.history_heads
        self.summary = nn.Parameter(torch.randn(width) * 0.1)
        self.items_norm, self.query_norm, self.pooled_norm = (nn.LayerNorm(width) for _ in range(3))
        self.query, self.value_out = nn.Linear(width, width), nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.network = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Dropout(0.1), nn.Linear(4 * width, width)
        )
        self.out = nn.Linear(width, width)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, fused: Tensor, mask: Tensor, order: Tensor) -> Tensor:
        """Interest (batch, semantic_width), of any length.

        fused (batch, history, semantic_width), mask (batch, history) bool, order (batch, history) int64, 0 = the latest
        of its sequence.
        """
        latest = (mask & (order == 0)).unsqueeze(-1)
        asking = self.summary + (fused * latest).sum(dim=1) / latest.sum(dim=1).clamp(min=1)
        items = self.items_norm(torch.cat([self.summary.expand(len(fused), 1, -1), fused], dim=1))
        seen = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)[:, None, None]
        key, value = (self._split(part) for part in self.key_value(items).chunk(2, dim=-1))
        query = self._split(self.query(self.query_norm(asking))[:, None])
        met = scaled_dot_product_attention(query, key, value, attn_mask=seen).flatten(1)
        pooled = asking + self.value_out(met)
        pooled = pooled + self.network(self.pooled_norm(pooled))
        interest: Tensor = self.out(pooled)
        return interest

    def _split(self, items: Tensor) -> Tensor:
        """(batch, items, width) -> (batch, heads, items, width / heads)."""
        return by_head(items, self.heads).transpose(1, 2)
