"""The four networks, cascaded: a batch -> behaviour logits and serving scores (the patent's figure 1)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from models.batch import Batch, History, PostTokens
from models.behaviour_encoding import BehaviourEncoding
from models.behaviour_fusion import BehaviourFusion
from models.behaviour_prediction import BehaviourPrediction
from models.feature_extraction import FeatureExtraction
from models.interest import Interest
from models.matching import LATEST, Matching
from models.precision import exact
from models.sizes import NetworkSizes


@dataclass(frozen=True)
class Predictions:
    """What one pass over a batch gives."""

    logits: Tensor  # (batch, kinds)
    targets: Tensor  # (targets,): the samples that have scores, see `Batch.targets`
    scores: Tensor  # (targets, posts): serving score of every post of the batch
    ranks: Tensor  # (targets, posts): the same with what ranking adds to it


class Cascade(nn.Module):
    """Feature extraction 101, behaviour encoding 102, behaviour fusion 103, behaviour prediction 104, and the match."""

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.sizes = sizes
        self.feature_extraction = FeatureExtraction(sizes)
        self.behaviour_encoding = BehaviourEncoding(sizes)
        self.behaviour_fusion = BehaviourFusion(sizes)
        self.behaviour_prediction = BehaviourPrediction(sizes)
        self.interest = Interest(sizes)
        self.matching = Matching()

    def forward(self, batch: Batch) -> Predictions:
        """Logits (batch, kinds); serving scores and ranks (targets, posts) of the samples whose loss asks for them."""
        vectors, quality = self.feature_extraction(batch.posts)
        semantic = F.embedding(batch.history.post, vectors)  # its backward is many times faster than that of an index
        fused = self.fuse(semantic, batch.history)
        exposed, worth = vectors[batch.exposed][:, None], quality[batch.exposed][:, None]
        logits = self.predict(exposed, worth, fused, batch.history.mask, batch.position[:, None]).float()
        targets = batch.targets()
        history = batch.history.at(targets)
        scores, _ = self.match(vectors, quality, semantic.index_select(0, targets), history)
        if not len(targets):
            return Predictions(logits[:, 0], targets, scores, scores)
        interest = self.interest(fused.index_select(0, targets), history.mask)
        with exact():
            return Predictions(logits[:, 0], targets, scores, scores + interest.float() @ vectors.T)

    def encode(self, posts: PostTokens) -> tuple[Tensor, Tensor]:
        """Semantic vectors (posts, semantic_width) of unit length and qualities (posts,)."""
        encoded: tuple[Tensor, Tensor] = self.feature_extraction(posts)
        return encoded

    def fuse(self, semantic: Tensor, history: History) -> Tensor:
        """Fused history (batch, history, width): networks 102 and 103.

        semantic (batch, history, width) of unit length; stretched so that one component is about 1, which is what the
        layers behind expect.
        """
        stretched = semantic * self.sizes.semantic_width**0.5
        fused: Tensor = self.behaviour_fusion(stretched, self.behaviour_encoding(history))
        return fused

    def predict(
        self, exposed: Tensor, quality: Tensor, fused: Tensor, mask: Tensor, position: Tensor | None = None
    ) -> Tensor:
        """Behaviour logits (batch, exposed, kinds): network 104.

        exposed (batch, exposed, width) of unit length, quality (batch, exposed), fused (batch, history, width), mask
        (batch, history) bool, position (batch, exposed) int64 or None.
        """
        stretch = self.sizes.semantic_width**0.5
        logits: Tensor = self.behaviour_prediction(exposed * stretch, quality, fused, mask, position)
        return logits

    def rank(self, candidates: Tensor, quality: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
        """Behaviour probabilities (candidates, kinds) of one account.

        candidates (candidates, width), quality (candidates,), fused (1, history, width): its history, mask (1, history)
        bool.
        """
        return torch.sigmoid(self.predict(candidates[None], quality[None], fused, mask)[0])

    def follow(self, candidates: Tensor, fused: Tensor, mask: Tensor) -> Tensor:
        """How well each candidate follows on one account's history, to be added to its serving score, (candidates,).

        candidates (candidates, width), fused (1, history, width): its history, mask (1, history) bool.
        """
        following: Tensor = candidates @ self.interest(fused, mask)[0]
        return following

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
