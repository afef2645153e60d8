"""The four networks, cascaded: a batch -> behaviour logits and serving scores (the patent's figure 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from models.batch import Batch, History, PostTokens
from models.behaviour_encoding import BehaviourEncoding
from models.behaviour_fusion import BehaviourFusion
from models.behaviour_prediction import BehaviourPrediction
from models.feature_extraction import FeatureExtraction
from models.matching import LATEST, Matching
from models.sizes import NetworkSizes


@dataclass(frozen=True)
class Predictions:
    """What one pass over a batch gives."""

    logits: Tensor  # (batch, kinds)
    scores: Tensor  # (batch, posts): serving score of every post of the batch for every sample
    has_reference: Tensor  # (batch,) bool: samples whose scores mean something


class Cascade(nn.Module):
    """Feature extraction 101, behaviour encoding 102, behaviour fusion 103, behaviour prediction 104, and the match."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.feature_extraction = FeatureExtraction(sizes)
        self.behaviour_encoding = BehaviourEncoding(sizes)
        self.behaviour_fusion = BehaviourFusion(sizes)
        self.behaviour_prediction = BehaviourPrediction(sizes)
        self.matching = Matching()

    def forward(self, batch: Batch) -> Predictions:
        """Logits (batch, kinds) and serving scores (batch, posts)."""
        vectors, quality = self.feature_extraction(batch.posts)
        exposed = (vectors[batch.exposed][:, None], quality[batch.exposed][:, None])
        logits = self.predict(*exposed, vectors[batch.history.post], batch.history, batch.position[:, None])
        scores, has_reference = self.match(vectors, quality, vectors[batch.history.post], batch.history)
        return Predictions(logits[:, 0], scores, has_reference)

    def encode(self, posts: PostTokens) -> tuple[Tensor, Tensor]:
        """Semantic vectors (posts, semantic_width) of unit length and qualities (posts,)."""
        encoded: tuple[Tensor, Tensor] = self.feature_extraction(posts)
        return encoded

    def predict(
        self, exposed: Tensor, quality: Tensor, semantic: Tensor, history: History, position: Tensor | None = None
    ) -> Tensor:
        """Behaviour logits (batch, exposed, kinds): networks 102, 103 and 104.

        exposed (batch, exposed, width), quality (batch, exposed), semantic (batch, history, width), all of unit length;
        position (batch, exposed) int64 or None. Unit vectors are stretched so that one component is about 1, which is
        what the layers behind expect.
        """
        stretch = self.sizes.semantic_width**0.5
        fused = self.behaviour_fusion(semantic * stretch, self.behaviour_encoding(history))
        logits: Tensor = self.behaviour_prediction(exposed * stretch, quality, fused, history.mask, position)
        return logits

    def rank(self, candidates: Tensor, quality: Tensor, semantic: Tensor, history: History) -> Tensor:
        """Behaviour probabilities (candidates, kinds) of one account.

        candidates (candidates, width), quality (candidates,), semantic (1, history, width): vectors of its history.
        """
        return torch.sigmoid(self.predict(candidates[None], quality[None], semantic, history)[0])

    def match(self, candidates: Tensor, quality: Tensor, semantic: Tensor, history: History) -> tuple[Tensor, Tensor]:
        """Serving scores (batch, candidates) by each sample's latest references, and who has any, (batch,) bool.

        candidates (candidates, width), quality (candidates,), semantic (batch, history, width): the histories.
        """
        has_reference = history.is_reference.any(dim=1)
        if history.post.shape[1] == 0:
            return quality.expand(len(has_reference), -1), has_reference
        age = history.seconds_since_shown.masked_fill(~history.is_reference, torch.inf)
        count = min(LATEST, age.shape[1])
        latest = age.topk(count, dim=1, largest=False, sorted=True).indices  # (batch, references), latest first
        is_reference = history.is_reference.gather(1, latest)
        happened = history.happened.gather(1, latest[..., None].expand(-1, -1, history.happened.shape[-1]))
        rank = torch.arange(count).expand(latest.shape)
        log_weights = self.matching.log_weights(happened, rank).masked_fill(~is_reference, -torch.inf)
        log_weights = torch.where(has_reference[:, None], log_weights, torch.zeros_like(log_weights))
        references = semantic.gather(1, latest[..., None].expand(-1, -1, semantic.shape[-1]))
        return self.matching(references, log_weights, candidates, quality), has_reference
