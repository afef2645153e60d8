"""Network + posts -> a new generation that serves: encode all candidates, build the index, check, swap (step 406)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.candidates.columns import PostColumns
from app.candidates.encode import PostEncoder, start_network, start_sizes
from app.candidates.generation import Contents, GenerationFolder
from app.candidates.index import build_lists
from app.candidates.recall import REFERENCES_EACH, REQUESTS, calibrated, sampled_requests
from app.domain import Post
from app.errors import Conflict
from app.plan import load_plan
from app.samples.tokens import Content
from app.storage.catalogue import acted_on_together, popular_posts, stream_catalogue
from app.storage.job_run import job_run
from app.storage.jobs import JobKind
from app.storage.missing_prints import add_missing_prints
from app.storage.post_changes import catalogue_clock
from app.storage.stores import Stores
from models.cascade import Cascade

OVERTAKEN = (
    "{promoted} was promoted meanwhile, so {generation} does not serve: it has the network from before; reindex again"
)
Progress = Callable[[str, int, int | None], None]  # step, done, total


@dataclass(frozen=True)
class Artefact:
    """A network to index with, and what its generation says of it."""

    network: Cascade
    origin: str  # "start", "trained" or "reindexed"
    parent: str | None
    plan: Mapping[str, Any]
    report: Mapping[str, Any] = field(default_factory=dict)
    curves: bytes | None = None
    rejected: str | None = None  # why its generation must not serve by itself


async def run_reindex(
    stores: Stores,
    artefact: Artefact | None = None,
    *,
    requested_by: str,
    job_id: str | None = None,
    progress: Progress = lambda *_: None,
) -> str:
    """`reindex` as a job that anyone can follow. Raises Conflict while another one is under way."""
    async with job_run(stores.database, JobKind.REINDEX, job_id=job_id, requested_by=requested_by) as job:

        def tell(step: str, done: int, total: int | None) -> None:
            job.tell(step, done, total)
            progress(step, done, total)

        job.generation = await reindex(stores, artefact, progress=tell)
    return job.generation


async def reindex(stores: Stores, artefact: Artefact | None, *, progress: Progress) -> str:
    """Make a generation of all posts and promote it, unless the artefact was rejected; gives its id.

    Without an artefact, the serving network indexes anew; before the first one, the pretrained start does. Raises
    Conflict when another generation was promoted meanwhile: this one, of another network, does not take its place.
    """
    folder = GenerationFolder(stores.settings.generations)
    before, is_brought = folder.current(), artefact is not None
    changes_until = await catalogue_clock(stores.database)
    await add_missing_prints(stores.database, stores.pictures)
    posts = [post async for page in stream_catalogue(stores.database, with_deleted=False) for post in page]
    if artefact is None:
        artefact = await asyncio.to_thread(_serving_artefact, folder, stores, posts, progress)
    encoded = await asyncio.to_thread(_encode, artefact.network, posts, stores, progress)
    progress("indexing", len(posts), len(posts))
    popular = await popular_posts(stores.database)
    acted_on = await acted_on_together(stores.database, users=REQUESTS, posts_each=REFERENCES_EACH)
    contents = await asyncio.to_thread(_indexed, artefact, posts, *encoded, popular=popular, acted_on=acted_on)
    generation = await asyncio.to_thread(
        folder.write,
        contents,
        origin=artefact.origin,
        parent=artefact.parent,
        changes_until=changes_until,
        rejected=artefact.rejected,
    )
    if not is_brought and folder.current() not in (before, generation):
        raise Conflict(OVERTAKEN.format(generation=generation, promoted=folder.current()))
    if artefact.rejected is None:
        folder.promote(generation)
    folder.prune(stores.settings.generations_kept)
    progress("done", len(posts), len(posts))
    return generation


def _serving_artefact(folder: GenerationFolder, stores: Stores, posts: list[Post], progress: Progress) -> Artefact:
    """The network of the best generation there is, or the pretrained start fitted to these posts."""
    served = folder.load_best()
    if served is not None and served.manifest.origin != "start":
        generation = served.manifest.generation
        report, curves = folder.report(generation), folder.curves(generation)
        return Artefact(served.network, "reindexed", generation, served.plan, report, curves)
    return _start_artefact(stores, posts, progress)


def _start_artefact(stores: Stores, posts: list[Post], progress: Progress) -> Artefact:
    """The pretrained start of the plan, whitened on these posts."""
    plan, sizes = load_plan(stores.settings.plan)
    contents = [Content.of(post) for post in posts]
    network = start_network(
        start_sizes(**sizes),
        contents,
        home=stores.settings.home,
        tell=lambda done, total: progress("reading pictures and titles", done, total),
    )
    return Artefact(network, "start", None, plan.as_json(), {"origin": "start"})


def _indexed(
    artefact: Artefact,
    posts: Sequence[Post],
    vectors: NDArray[np.float32],
    quality: NDArray[np.float32],
    *,
    popular: Sequence[str],
    acted_on: Sequence[Sequence[str]],
) -> Contents:
    """All of the generation, in the order of its index; vectors (posts, width) and quality (posts,) as the posts."""
    order, index = build_lists(vectors, quality)
    posts, vectors, quality = [posts[row] for row in order], vectors[order], quality[order]
    matching = artefact.network.matching
    requests = sampled_requests(matching, [post.post_id for post in posts], acted_on)
    return Contents(
        network=artefact.network,
        columns=PostColumns.of(posts),
        hidden=np.asarray([post.hidden for post in posts], bool),
        vectors=vectors,
        quality=quality,
        index=calibrated(index, vectors, quality, requests, tau=matching.tau.item()),
        popular=popular,
        plan=artefact.plan,
        report=artefact.report,
        curves=artefact.curves,
    )


def _encode(
    network: Cascade, posts: list[Post], stores: Stores, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Vectors (posts, width) and qualities (posts,) of all posts, telling how far it is."""
    encoder = PostEncoder(network, home=stores.settings.home)
    contents = [Content.of(post) for post in posts]
    return encoder.encode(contents, tell=lambda done, total: progress("encoding", done, total))
