"""Network 1, feature extraction: picture and title tokens -> one semantic vector and a content quality (step 308)."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from models.batch import PostTokens
from models.sizes import Modality, NetworkSizes
from models.summary import first_output

SHORT_TITLE = 10  # tokens


class FeatureExtraction(nn.Module):
    """A transformer over [summary, picture cells, title words] of one post, like ImageBERT (arXiv 2001.07966).

    The semantic vector starts as the whitened frozen features of picture and title, half of its width each, and the
    transformer's output is added to it; so an untrained network is already the best frozen encoder, and training only
    moves away from it.
    """

    def __init__(self, sizes: NetworkSizes) -> None:
        super().__init__()
        self.modality = sizes.modality
        half = sizes.semantic_width // 2
        self.picture_start = nn.Linear(sizes.picture_width, half)
        self.title_start = nn.Linear(sizes.title_width, sizes.semantic_width - half)
        self.picture_in = nn.Linear(sizes.picture_width, sizes.width)
        self.title_in = nn.Linear(sizes.title_width, sizes.width)
        self.picture_norm = nn.LayerNorm(sizes.width)
        self.title_norm = nn.LayerNorm(sizes.width)
        self.summary = nn.Parameter(torch.randn(sizes.width) * 0.02)
        self.cell_place = nn.Parameter(torch.randn(sizes.picture_cells, sizes.width) * 0.02)
        self.word_place = nn.Parameter(torch.randn(sizes.title_words, sizes.width) * 0.02)
        self.lower_layers = nn.ModuleList(_layer(sizes) for _ in range(sizes.layers - 1))
        self.last_layer = _layer(sizes)
        self.norm = nn.LayerNorm(sizes.width)
        self.semantic = nn.Linear(sizes.width, sizes.semantic_width)
        self.quality = nn.Linear(sizes.width, 1)
        for head in (self.semantic, self.quality):
            nn.init.zeros_(head.weight)
            nn.init.zeros_(head.bias)

    def forward(self, posts: PostTokens) -> tuple[Tensor, Tensor]:
        """Semantic vectors (posts, semantic_width) of unit length, and content qualities (posts,).

        Most titles are short; the few long ones go through apart, so that the others need not be padded to them.
        """
        is_long = posts.title_mask[:, SHORT_TITLE:].any(dim=1)
        long, short = is_long.nonzero().squeeze(1), (~is_long).nonzero().squeeze(1)
        if not len(long) or not len(short):
            return self._joint(posts)
        parts = [self._joint(posts.at(short, SHORT_TITLE)), self._joint(posts.at(long, posts.title.shape[1]))]
        place = torch.cat([short, long]).argsort()
        return torch.cat([part[0] for part in parts])[place], torch.cat([part[1] for part in parts])[place]

    def _joint(self, posts: PostTokens) -> tuple[Tensor, Tensor]:
        """The same for posts that all go through the transformer together."""
        picture, title = posts.picture.float(), posts.title.float()
        has_picture, title_mask = self._seen(posts)
        start = self._start(picture, has_picture, title, title_mask)

        cells = self.picture_norm(self.picture_in(picture)) + self.cell_place
        words = self.title_norm(self.title_in(title)) + self.word_place[: title.shape[1]]
        summary = self.summary.expand(len(posts), 1, -1)
        tokens = torch.cat([summary, cells, words], dim=1)
        seen = torch.cat(
            [has_picture.new_ones(len(posts), 1), has_picture[:, None].expand(cells.shape[:2]), title_mask], 1
        )

        for layer in self.lower_layers:
            tokens = layer(tokens, src_key_padding_mask=~seen)
        joint = self.norm(first_output(self.last_layer, tokens, seen))
        vector = F.normalize(start.float() + self.semantic(joint).float(), dim=-1)
        return vector, self.quality(joint).squeeze(-1).float()

    def _seen(self, posts: PostTokens) -> tuple[Tensor, Tensor]:
        """What the chosen modality may look at: (posts,) and (posts, words) bool."""
        has_picture, title_mask = posts.has_picture, posts.title_mask
        if self.modality is Modality.PICTURE:
            title_mask = torch.zeros_like(title_mask)
        if self.modality is Modality.TITLE:
            has_picture = torch.zeros_like(has_picture)
        return has_picture, title_mask

    def _start(self, picture: Tensor, has_picture: Tensor, title: Tensor, title_mask: Tensor) -> Tensor:
        """The whitened frozen features, (posts, semantic_width); each half has unit length or is zero where absent."""
        from_picture = F.normalize(self.picture_start(picture.mean(dim=1)), dim=-1) * has_picture[:, None]
        from_title = F.normalize(self.title_start(mean_word(title, title_mask)), dim=-1)
        return torch.cat([from_picture, from_title * title_mask.any(dim=1, keepdim=True)], dim=-1)

    @torch.no_grad()
    def whiten(self, posts: PostTokens) -> None:
        """Set the start to PCA-whitened frozen features, fitted on these posts (a few thousand are enough)."""
        if bool(posts.has_picture.any()):
            _set_to_whitening(self.picture_start, posts.picture[posts.has_picture].float().mean(dim=1))
        if bool(posts.title_mask.any()):
            _set_to_whitening(self.title_start, mean_word(posts.title.float(), posts.title_mask))


def _layer(sizes: NetworkSizes) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        sizes.width, sizes.heads, 2 * sizes.width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def mean_word(title: Tensor, title_mask: Tensor) -> Tensor:
    """Mean of a title's tokens: (posts, words, width), (posts, words) bool -> (posts, width); zero for no token."""
    return (title * title_mask[..., None]).sum(dim=1) / title_mask.sum(dim=1, keepdim=True).clamp(min=1)


def _set_to_whitening(linear: nn.Linear, features: Tensor) -> None:
    """Make `linear` the PCA whitening of features (posts, in); directions the posts do not span stay zero."""
    mean = features.mean(dim=0)
    _, spread, directions = torch.linalg.svd(features - mean, full_matrices=False)
    kept = min(linear.out_features, int((spread > spread.max().clamp(min=1e-6) * 1e-4).sum()))
    weight = torch.zeros_like(linear.weight)
    weight[:kept] = directions[:kept] / spread[:kept, None] * len(features) ** 0.5
    linear.weight.copy_(weight)
    linear.bias.copy_(-(weight @ mean))
    if kept < linear.out_features:  # too few posts to whiten: any fixed direction keeps them apart
        generator = torch.Generator().manual_seed(0)
        rest = torch.randn(linear.out_features - kept, linear.in_features, generator=generator)
        linear.weight[kept:] = rest / linear.in_features**0.5
