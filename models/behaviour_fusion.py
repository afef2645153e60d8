"""Network 3, behaviour fusion: semantic vector + behaviour vector -> fused vector (step 310, claim 4)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.sizes import Fusion, NetworkSizes


class BehaviourFusion(nn.Module):
    """The patent's three ways: addition, multiplication, or a neural network."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.fusion = sizes.fusion
        width = sizes.semantic_width
        self.network = (
            nn.Sequential(nn.Linear(2 * width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
            if sizes.fusion is Fusion.NEURAL
            else None
        )

    def forward(self, semantic: Tensor, behaviour: Tensor) -> Tensor:
        """(batch, history, semantic_width) twice -> fused, the same shape."""
        if self.fusion is Fusion.ADD:
            return semantic + behaviour
        if self.fusion is Fusion.MULTIPLY:
            return semantic * behaviour
        assert self.network is not None
        fused: Tensor = semantic + self.network(torch.cat([semantic, behaviour], dim=-1))
        return fused
