"""Semantic vectors of references and candidates -> serving score (step 408), the same in training and at serving.

score(c) = logsumexp_r(log_weight_r + tau * cos(r, c)) + quality_c
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from models.batch import BEHAVIOURS
from models.precision import exact

LATEST = 30  # references looked at, the latest ones
FIRST_TAU = 10.0


class Matching(nn.Module):
    """What the serving score learns: its temperature and how behaviours and recency weigh a reference."""

    def __init__(self) -> None:
        super().__init__()
        self.log_tau = nn.Parameter(torch.tensor(FIRST_TAU).log())
        self.behaviour_weight = nn.Parameter(torch.tensor([0.0, 0.3, 0.3, 0.3, 0.3]))
        self.recency = nn.Parameter(torch.tensor(0.5))
        assert len(self.behaviour_weight) == BEHAVIOURS

    @property
    def tau(self) -> Tensor:
        """Sharpness of the match, a scalar in 1..50."""
        return self.log_tau.exp().clamp(1, 50)

    def log_weights(self, happened: Tensor, rank: Tensor) -> Tensor:
        """happened (…, references, kinds) 0/1, rank (…, references) 0 = latest -> log weights (…, references)."""
        return happened @ self.behaviour_weight - self.recency.clamp(min=0) * torch.log1p(rank.float())

    def forward(self, references: Tensor, log_weights: Tensor, candidates: Tensor, quality: Tensor) -> Tensor:
        """Scores (batch, candidates).

        references (batch, references, width), log_weights (batch, references) with -inf where padded,
        candidates (candidates, width), quality (candidates,). Exact, whatever the precision around it: hundredths of a
        score decide what is first.
        """
        # As logsumexp, in half of its passes over (batch, references, candidates): tau bounds what exp gets to +-50.
        heaviest = log_weights.amax(dim=1, keepdim=True).detach()
        with exact():
            match = ((self.tau * references) @ candidates.T).add_((log_weights - heaviest)[..., None])
            return match.exp_().sum(dim=1).log() + heaviest + quality
