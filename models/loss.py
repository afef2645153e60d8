"""Predictions + labels -> loss: of the behaviours (step 314), and of the score that serves."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from models.batch import Batch
from models.cascade import Predictions


@dataclass(frozen=True)
class Losses:
    """Mean losses of one batch, each a scalar."""

    behaviour: Tensor
    serving: Tensor  # of the match alone
    ranking: Tensor  # of the match with what ranking adds

    def total(self, serving_weight: float) -> Tensor:
        """The scalar to minimise."""
        return self.behaviour + serving_weight * (self.serving + self.ranking)


def behaviour_loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy between predicted and first behaviour, (batch, kinds) twice -> scalar (claim 2, step 314)."""
    return F.binary_cross_entropy_with_logits(logits, labels)


def next_post_loss(scores: Tensor, targets: Tensor, batch: Batch) -> Tensor:
    """Softmax cross-entropy of scores (targets, posts): the post acted on against the others of the batch -> scalar.

    The negatives were drawn by their popularity; subtracting the log of a post's chance to be in the batch makes the
    sum stand for the whole catalogue (Bengio & Senécal 2008, importance-corrected sampled softmax). Posts known to be
    the account's own are no negatives.
    """
    if not len(targets):
        return scores.sum() * 0.0
    target = batch.exposed[targets][:, None]
    corrected = (scores - batch.log_presence).masked_fill(batch.known[targets], -torch.inf)
    positive = scores.gather(1, target)
    corrected = corrected.scatter(1, target, positive)
    return (torch.logsumexp(corrected, dim=1) - positive[:, 0]).mean()


def losses(predictions: Predictions, batch: Batch) -> Losses:
    """The losses of a batch."""
    return Losses(
        behaviour=behaviour_loss(predictions.logits, batch.labels),
        serving=next_post_loss(predictions.scores, predictions.targets, batch),
        ranking=next_post_loss(predictions.ranks, predictions.targets, batch),
    )
