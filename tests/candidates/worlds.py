"""The toy world in real stores, with a small network: what the tests of candidates and of training start from."""

from dataclasses import replace

import numpy as np

from app.candidates.columns import PostColumns
from app.candidates.generation import Contents
from app.candidates.index import build_lists
from app.candidates.recall import calibrated, sampled_requests
from app.domain import Post
from app.intake.event_records import ExposureRecord
from app.intake.events import save_exposures
from app.intake.posts import PostRecord, save_picture, save_posts
from app.intake.users import UserRecord, save_users
from app.storage.stores import Stores
from models.cascade import Cascade
from tests.models.tensors import small_sizes
from tests.toy_world import ToyWorld

WIDTH = 8  # of the vectors


def contents(posts: int = 30, seed: int = 0, *, width: int = WIDTH) -> Contents:
    """A generation of random vectors."""
    random = np.random.default_rng(seed)
    vectors = random.standard_normal((posts, width)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    quality = random.standard_normal(posts).astype(np.float32) * 0.1
    return Contents(
        network=Cascade(small_sizes(semantic_width=width)).eval(),
        columns=PostColumns.of([Post(f"p{number}", f"title {number}") for number in range(posts)]),
        hidden=np.zeros(posts, bool),
        vectors=vectors,
        quality=quality,
        index=build_lists(vectors, quality)[1],
        popular=[f"p{number}" for number in range(min(posts, 5))],
        plan={"history": {"sequences": ["browse", "click", "other"], "count": 20, "window_seconds": None}},
        report={"origin": "start"},
        curves=None,
    )


def with_vectors(made: Contents, vectors: np.ndarray, quality: np.ndarray) -> Contents:
    """The same posts with other vectors, in the order of an index over these."""
    order, index = build_lists(vectors, quality)
    posts = [Post(made.columns.post_ids[row], made.columns.titles[row]) for row in order.tolist()]
    vectors, quality = vectors[order], quality[order]
    tau = made.network.matching.tau.item()
    requests = sampled_requests(made.network.matching, [post.post_id for post in posts], ())
    index = calibrated(index, vectors, quality, requests, tau=tau)
    return replace(made, columns=PostColumns.of(posts), vectors=vectors, quality=quality, index=index)


async def fill(stores: Stores, world: ToyWorld, *, pictures: bool = True) -> None:
    """Send the toy world's posts, pictures, users and log through intake."""
    posts, users, exposures = world.import_lines()
    await save_posts(stores, [PostRecord.model_validate(post) for post in posts])
    if pictures:
        for post in world.posts:
            await save_picture(stores, post.post_id, world.picture(post))
    await save_users(stores, [UserRecord.model_validate(user) for user in users])
    for at in range(0, len(exposures), 500):
        await save_exposures(stores, [ExposureRecord.model_validate(one) for one in exposures[at : at + 500]])
