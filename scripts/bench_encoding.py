"""An indexed home -> posts reindexed and new pictures read a second, each beside its bare network."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from app.candidates.encode import POSTS_AT_ONCE, PostEncoder, use_threads
from app.candidates.generation import Generation, GenerationFolder
from app.candidates.reindex import Artefact, reindex
from app.samples.tokens import Content, TokenSource
from app.storage.pictures import PictureFolder
from app.storage.stores import open_stores
from app.storage.tokens import TokenCache
from models.batch import PostTokens
from models.cascade import Cascade
from models.picture_tokens import picture_backbone
from models.preprocess import pixels_of
from scripts.bench_figures import Figure, Floor, at_least
from scripts.bench_processes import say
from scripts.bench_world import BenchWorld, Sizes

SHARE_OF_BARE_PERCENT = 80


@dataclass
class EncodingTime:
    """Hears of a reindex how far it is; keeps how long its encoding took."""

    began: float = 0.0
    seconds: float = 0.0

    def tell(self, step: str, done: int, total: int | None) -> None:
        """The encoding begins with its first post and ends when the index is built."""
        if step == "encoding" and done == 0:
            self.began = time.perf_counter()
        if step == "indexing":
            self.seconds = time.perf_counter() - self.began


def measure_encoding(made: BenchWorld, sizes: Sizes) -> list[Figure]:
    """Reindex with all tokens in the cache; then read some pictures as if they were new."""
    return [*asyncio.run(_reindexing(made, sizes)), _pictures(made, sizes)]


async def _reindexing(made: BenchWorld, sizes: Sizes) -> list[Figure]:
    settings = made.settings.for_batch_work()
    use_threads(settings.threads)
    folder = GenerationFolder(settings.generations)
    current = folder.current()
    assert current is not None
    loaded = folder.load(current)
    batches = ready_tokens(loaded, settings.home)
    artefact = Artefact(loaded.network, "reindexed", current, loaded.plan, folder.report(current))
    say("reindexing, and the bare encoder")
    real, bare = [], []
    async with open_stores(settings) as stores:
        for _ in range(sizes.repeats + 1):  # the first one warms up
            heard = EncodingTime()
            await reindex(stores, artefact, progress=heard.tell)
            real.append(len(loaded.columns) / heard.seconds)
            bare.append(bare_rate(loaded.network, batches))
    rate, floor = statistics.median(real[1:]), statistics.median(bare[1:])
    share = Figure("  share of the bare encoder's rate", 100 * rate / floor, "%", (), at_least(SHARE_OF_BARE_PERCENT))
    return [Figure("posts reindexed, tokens cached", rate, "/s", (Floor("encoder on ready tensors", floor),)), share]


def ready_tokens(generation: Generation, home: Path) -> list[PostTokens]:
    """Tokens of all posts in the batches that reindexing takes."""
    encoder = PostEncoder(generation.network, home=home)
    columns = generation.columns
    contents = [Content(title, picture) for title, picture in zip(columns.titles, columns.picture_hashes, strict=True)]
    return [encoder.tokens(contents[at : at + POSTS_AT_ONCE]) for at in range(0, len(contents), POSTS_AT_ONCE)]


def bare_rate(network: Cascade, batches: Sequence[PostTokens]) -> float:
    """Posts a second of the feature extraction network alone."""
    began = time.perf_counter()
    with torch.inference_mode():
        for batch in batches:
            network.encode(batch)
    return sum(len(batch) for batch in batches) / (time.perf_counter() - began)


def _pictures(made: BenchWorld, sizes: Sizes) -> Figure:
    """Pictures from file to tokens in the cache, beside the convolutional network on decoded pixels."""
    folder = GenerationFolder(made.settings.generations)
    network = folder.load(folder.ids()[0]).network
    columns = folder.load(folder.ids()[0]).columns
    hashes = sorted({one for one in columns.picture_hashes if one is not None})[: sizes.pictures]
    pictures = PictureFolder(made.settings.pictures)
    backbone = picture_backbone(network.sizes.picture_backbone)()
    pixels = np.stack([pixels_of(pictures.read(one)) for one in hashes])
    say("reading pictures as if they were new")
    with TemporaryDirectory(prefix="tuwen-tokens-") as cache:
        names = {"picture_backbone": network.sizes.picture_backbone, "title_backbone": network.sizes.title_backbone}
        source = TokenSource(pictures, TokenCache(Path(cache) / "tokens.sqlite"), **names)
        backbone.tokens(pixels[:1])
        source.tokens([Content("", hashes[0])])  # loads the backbone
        before = seconds_of(lambda: backbone.tokens(pixels))
        real = seconds_of(lambda: source.tokens([Content("", one) for one in hashes[1:]]))
        after = seconds_of(lambda: backbone.tokens(pixels))
    floor = Floor("backbone on decoded pixels", 2 * len(hashes) / (before + after))
    return Figure("new pictures read into tokens", (len(hashes) - 1) / real, "/s", (floor,))


def seconds_of(work: Callable[[], object]) -> float:
    """How long it takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
