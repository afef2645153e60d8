"""Posts -> semantic vectors and qualities, in batches, by one network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from app.candidates.index import set_index_threads
from app.samples.tokens import Content, TokenSource, TokenTable
from app.storage.pictures import PictureFolder
from app.storage.tokens import TokenCache
from models.artefact import sizes_from
from models.batch import PostTokens
from models.cascade import Cascade
from models.picture_tokens import installed_picture_backbone, picture_backbone
from models.sizes import NetworkSizes
from models.title_tokens import installed_title_backbone, title_backbone

POSTS_AT_ONCE = 128
POSTS_TO_WHITEN = 4000
TOKENS_FILE = "tokens.sqlite"


class PostEncoder:
    """The feature extraction network with the backbones it was trained on."""

    def __init__(self, network: Cascade, *, home: Path) -> None:
        self.network = network
        self._widths = (network.sizes.picture_width, network.sizes.title_width)
        self._source = token_source(network.sizes, home)

    def encode(
        self, contents: Sequence[Content], *, tell: Callable[[int, int], None] = lambda done, total: None
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Vectors (posts, width) of unit length and qualities (posts,)."""
        width = self.network.sizes.semantic_width
        vectors, quality = np.zeros((len(contents), width), np.float32), np.zeros(len(contents), np.float32)
        for at in range(0, len(contents), POSTS_AT_ONCE):
            tell(at, len(contents))
            some = slice(at, at + POSTS_AT_ONCE)
            with torch.inference_mode():
                found, worth = self.network.encode(self.tokens(contents[some]))
            vectors[some], quality[some] = found.numpy(), worth.numpy()
        return vectors, quality

    def tokens(self, contents: Sequence[Content]) -> PostTokens:
        """Backbone tokens of the posts, padded."""
        table = TokenTable(self._source, contents, widths=self._widths)
        return table.gather(np.arange(len(contents)))


def use_threads(threads: int) -> None:
    """Compute threads of torch and FAISS in this process; the two live in it together."""
    torch.set_num_threads(threads)
    set_index_threads(threads)


def token_source(sizes: NetworkSizes, home: Path) -> TokenSource:
    """The backbones of these sizes behind the cache in `home`."""
    cache = TokenCache(home / TOKENS_FILE)
    backbones = {"picture_backbone": sizes.picture_backbone, "title_backbone": sizes.title_backbone}
    return TokenSource(PictureFolder(home / "pictures"), cache, **backbones)


def start_sizes(**chosen: object) -> NetworkSizes:
    """Sizes for the backbones that are installed here, with the chosen ones put in."""
    picture = picture_backbone(str(chosen.pop("picture_backbone", installed_picture_backbone())))
    title = title_backbone(str(chosen.pop("title_backbone", installed_title_backbone())))
    backbones = {
        "picture_backbone": picture.name,
        "title_backbone": title.name,
        "picture_width": picture.width,
        "title_width": title.width,
    }
    return sizes_from(backbones | chosen)


def start_network(
    sizes: NetworkSizes,
    contents: Sequence[Content],
    *,
    home: Path,
    seed: int = 0,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Cascade:
    """The network before any training: its vectors are the whitened frozen features of these posts.

    The backbones may have to read every picture first; `tell` hears how many of how many posts are read.
    """
    torch.manual_seed(seed)
    network = Cascade(sizes)
    contents = contents[:: -(-len(contents) // POSTS_TO_WHITEN)] if contents else contents
    if contents:
        encoder = PostEncoder(network, home=home)
        for at in range(0, len(contents), POSTS_AT_ONCE):
            tell(at, len(contents))
            encoder.tokens(contents[at : at + POSTS_AT_ONCE])
        network.feature_extraction.whiten(encoder.tokens(contents))
    return network.eval()
