"""Network 4, behaviour prediction: exposed post + fused history -> one logit per behaviour (step 312).

One sample may have many exposed posts: training gives one, ranking gives all candidates of a request at once.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.batch import BEHAVIOURS, POSITIONS
from models.sizes import NetworkSizes, Prediction


class BehaviourPrediction(nn.Module):
    """The patent's three ways of meeting the history, then a network with one output per behaviour.

    A showing's place on the page adds a learnt offset, so that what the place did is not learnt of the post. Asked
    without a place, as ranking does, it predicts for all the places together that it has learnt from.
    """

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        width = sizes.semantic_width
        self.meet: AttentionMeeting | PooledDotMeeting | ConcatMeeting
        if sizes.prediction is Prediction.ATTENTION:
            self.meet = AttentionMeeting(width, sizes.history_heads)
        elif sizes.prediction is Prediction.POOLED_DOT:
            self.meet = PooledDotMeeting(width, sizes.history_heads)
        else:
            self.meet = ConcatMeeting(width)
        self.predict = nn.Sequential(
            nn.Linear(width + 1 + self.meet.out_width, 2 * width), nn.GELU(), nn.Linear(2 * width, BEHAVIOURS)
        )
        self.position = nn.Embedding(POSITIONS + 1, BEHAVIOURS, padding_idx=0)
        nn.init.zeros_(self.position.weight)
        self.showings: Tensor
        self.register_buffer("showings", torch.zeros(POSITIONS + 1))  # learnt from, at each place

    def forward(
        self, exposed: Tensor, quality: Tensor, fused: Tensor, mask: Tensor, position: Tensor | None = None
    ) -> Tensor:
        """Logits (batch, exposed, kinds).

        exposed (batch, exposed, width), quality (batch, exposed), fused (batch, history, width), mask (batch, history)
        bool, position (batch, exposed) int64 or None.
        """
        met: Tensor = self.meet(exposed, fused, mask)
        logits: Tensor = self.predict(torch.cat([exposed, quality[..., None], met], dim=-1))
        if position is None:
            return logits + self._any_place()
        if self.training:
            self.showings += torch.bincount(position.flatten(), minlength=POSITIONS + 1)
        offset: Tensor = self.position(position)
        return logits + offset

    def _any_place(self) -> Tensor:
        """The offset whose odds are the mean of all showings' odds, (kinds,)."""
        share = self.showings / self.showings.sum().clamp(min=1)
        odds = share @ self.position.weight.exp()
        return torch.where(odds > 0, odds, 1).log()


class AttentionMeeting(nn.Module):
    """The exposed post attends to the fused history; an always present empty item stands for "nothing fits"."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))
        self.nothing = nn.Parameter(torch.zeros(width))
        self.out_width = 2 * width + heads
        for same in (self.query, self.key):  # alike posts attend to each other from the start
            nn.init.eye_(same.weight)
            nn.init.zeros_(same.bias)

    def forward(self, exposed: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
        """(batch, exposed, width), (batch, history, width), (batch, history) bool -> (batch, exposed, out_width)."""
        fused = torch.cat([self.nothing.expand(len(fused), 1, -1), fused], dim=1)
        mask = torch.cat([mask.new_ones(len(mask), 1), mask], dim=1)
        query, key, value = (self._split(part) for part in (self.query(exposed), self.key(fused), self.value(fused)))
        met = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask[:, None, None, :])
        met = met.transpose(1, 2)  # (batch, exposed, heads, width / heads)
        alike = (met * by_head(exposed, self.heads)).sum(dim=-1) / met.shape[-1]
        return torch.cat([met.flatten(2), met.flatten(2) * exposed, alike], dim=-1)

    def _split(self, items: Tensor) -> Tensor:
        """(batch, items, width) -> (batch, heads, items, width / heads)."""
        return by_head(items, self.heads).transpose(1, 2)


class PooledDotMeeting(nn.Module):
    """Mean of the history, projected; its dot products with the exposed post, one a head."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.history, self.exposed = nn.Linear(width, width), nn.Linear(width, width)
        self.out_width = heads

    def forward(self, exposed: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
        """(batch, exposed, width), (batch, history, width), (batch, history) bool -> (batch, exposed, heads)."""
        pooled = by_head(self.history(masked_mean(fused, mask))[:, None], self.heads)
        return (pooled * by_head(self.exposed(exposed), self.heads)).sum(dim=-1)


class ConcatMeeting(nn.Module):
    """Mean and maximum of the history, laid beside the exposed post."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out_width = 2 * width

    def forward(self, exposed: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
        """(batch, exposed, width), (batch, history, width), (batch, history) bool -> (batch, exposed, 2 width)."""
        highest = (
            fused.masked_fill(~mask[..., None], -torch.inf).amax(dim=1) if fused.shape[1] else masked_mean(fused, mask)
        )
        highest = torch.where(mask.any(dim=1, keepdim=True), highest, torch.zeros_like(highest))
        pooled = torch.cat([masked_mean(fused, mask), highest], dim=-1)
        return pooled[:, None].expand(-1, exposed.shape[1], -1)


def by_head(items: Tensor, heads: int) -> Tensor:
    """(batch, items, width) -> (batch, items, heads, width / heads)."""
    return items.reshape(*items.shape[:2], heads, items.shape[2] // heads)


def masked_mean(items: Tensor, mask: Tensor) -> Tensor:
    """Mean over the true items: (batch, items, width), (batch, items) bool -> (batch, width); zero for none."""
    return (items * mask[..., None]).sum(dim=1) / mask.sum(dim=1, keepdim=True).clamp(min=1)
