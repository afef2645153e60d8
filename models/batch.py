"""The tensors of one batch: what `app/samples/collate.py` builds and the networks read.

Axis words: posts (distinct posts of the batch), cells (picture grid), words (title tokens), batch (samples), history
(items of all sequences, padded), kinds (the five behaviours in the order of BEHAVIOUR_KINDS).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

BEHAVIOURS = 5
POSITIONS = 32  # known positions on a page; later ones share the last; 0 = not known


@dataclass(frozen=True)
class PostTokens:
    """Frozen-backbone tokens of the distinct posts; padding is zero."""

    picture: Tensor  # (posts, cells, picture_width) float32 or float16
    has_picture: Tensor  # (posts,) bool
    title: Tensor  # (posts, words, title_width) float32 or float16
    title_mask: Tensor  # (posts, words) bool, True = a token

    def __len__(self) -> int:
        return len(self.has_picture)

    def at(self, rows: Tensor, words: int) -> PostTokens:
        """The posts at `rows` (some,), their titles cut to `words` tokens."""
        return PostTokens(
            self.picture[rows], self.has_picture[rows], self.title[rows, :words], self.title_mask[rows, :words]
        )


@dataclass(frozen=True)
class History:
    """What each sample's account saw and did before the sample's moment (patent steps 304, 306)."""

    post: Tensor  # (batch, history) int64: row among the distinct posts; 0 where padded
    mask: Tensor  # (batch, history) bool, True = an item
    sequence: Tensor  # (batch, history) int64: index in SEQUENCES
    order: Tensor  # (batch, history) int64: 0 = the latest item of its sequence
    happened: Tensor  # (batch, history, kinds) float32, 1 = had happened by the moment
    seconds_since: Tensor  # (batch, history, kinds) float32, from the behaviour to the moment; 0 where not happened
    seconds_since_shown: Tensor  # (batch, history) float32
    is_reference: Tensor  # (batch, history) bool: acted on, and the only copy of that showing

    def at(self, rows: Tensor) -> History:
        """Those of the samples at `rows` (some,)."""
        return History(**{one.name: getattr(self, one.name)[rows] for one in fields(self)})


@dataclass(frozen=True)
class Batch:
    """Samples with their labels; posts are deduplicated because histories repeat them."""

    posts: PostTokens
    exposed: Tensor  # (batch,) int64: row among the distinct posts
    history: History
    labels: Tensor  # (batch, kinds) float32, the first behaviour (step 302)
    position: Tensor  # (batch,) int64: 1 = first of the page, 0 = not known
    log_presence: Tensor  # (posts,) float32: log of the chance that a post is in a batch of this kind
    known: Tensor  # (batch, posts) bool: posts known to be the account's own; no negatives of the serving loss

    def __len__(self) -> int:
        return len(self.exposed)

    def targets(self) -> Tensor:
        """Rows (targets,) of the samples that show what to recommend: acted on, by an account with references.

        A post shown again is no target: serving never offers it again.
        """
        again = ((self.history.post == self.exposed[:, None]) & self.history.mask).any(dim=1)
        acted = self.labels.any(dim=1) & self.history.is_reference.any(dim=1) & ~again
        return acted.nonzero().squeeze(1)
