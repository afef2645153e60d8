"""MovieLens-100k with posters -> time and memory from its files to recommendations, and whether they were liked later.

Import, index and training go through the command line, as a user would do it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from app.candidates.generation import GenerationFolder
from app.candidates.serving import ServingCandidates
from app.recommend.recommend import recommend
from app.recommend.request import RecommendRequest
from app.settings import Settings
from app.storage.stores import Stores, open_stores
from scripts.bench_figures import Figure, Floor, at_least, at_most
from scripts.bench_processes import Ran, say, tuwen
from scripts.bench_world import fresh_settings
from scripts.movielens import Movielens, write_import_files

DEPTH = 10
SHOWN_AT_LEAST = 5  # people with less history get the popular posts whatever the network
MINUTES_ALLOWED, GIBIBYTES_ALLOWED = 15, 3


def measure_movielens(source: Path, home: Path) -> list[Figure]:
    """Convert, import, index, train, measure."""
    data = write_import_files(source, home / "files")
    settings = fresh_settings(home / "tuwen")
    began = time.monotonic()
    ran = {
        "import": tuwen(
            settings, "import", "--posts", data.posts, "--users", data.users, "--exposures", data.exposures
        ),
        "reindex": tuwen(settings, "reindex"),
        "train": tuwen(settings, "train"),
    }
    say("recommending to those who liked something later")
    figures = asyncio.run(recalls(settings, data))
    minutes = (time.monotonic() - began) / 60
    parts = ", ".join(f"{name} {one.seconds:.0f} s" for name, one in ran.items())
    return [
        Figure("from files to recommendations", minutes, "min", (), at_most(MINUTES_ALLOWED), parts),
        Figure("largest process", _peak(ran.values()), "GiB", (), at_most(GIBIBYTES_ALLOWED)),
        *figures,
    ]


def _peak(ran: Iterable[Ran]) -> float | None:
    return max((one.peak_gib for one in ran if one.peak_gib is not None), default=None)


async def recalls(settings: Settings, data: Movielens) -> list[Figure]:
    """Recall of the posts liked later: trained, start, popularity, random."""
    people = [user for user in data.left_out if len(data.seen.get(user, ())) >= SHOWN_AT_LEAST]
    folder = GenerationFolder(settings.generations)
    trained, start = folder.current(), folder.ids()[0]
    assert trained is not None
    async with open_stores(settings) as stores:
        by_start = await recall(stores, folder, start, people, data)
        by_trained = await recall(stores, folder, trained, people, data)
    popular = sorted(data.likes, key=lambda post: -data.likes[post])
    unseen = {user: [post for post in popular if post not in data.seen[user]] for user in people}
    by_popularity = mean([hits(unseen[user], data.left_out[user]) for user in people])
    posts = len(data.posts.read_text().splitlines())
    by_chance = mean([DEPTH / (posts - len(data.seen[user])) for user in people])
    floors = (Floor("frozen start", by_start), Floor("popularity", by_popularity), Floor("random", by_chance))
    name = f"recall@{DEPTH} of what was liked later"
    return [Figure(name, by_trained, "", floors, at_least(by_start), f"{len(people)} people")]


async def recall(
    stores: Stores, folder: GenerationFolder, generation: str, people: Sequence[str], data: Movielens
) -> float:
    """Of the whole recommend path, as generation `generation` serves it."""
    folder.promote(generation)
    serving = ServingCandidates(stores)
    await serving.refresh()
    found = []
    for user in people:
        answer = await recommend(stores, serving.view(), RecommendRequest(user, k=DEPTH), moment=datetime.now(UTC))
        assert not answer.degraded, "the machine is overloaded: these would be pages without a history"
        found.append(hits([post.post_id for post in answer.posts], data.left_out[user]))
    return mean(found)


def hits(ranked: Sequence[str], liked: set[str]) -> float:
    """Share of the liked posts among the first ten, of as many as ten can hold."""
    return len(liked & set(ranked[:DEPTH])) / min(DEPTH, len(liked))


def mean(values: Sequence[float]) -> float:
    """Mean of some values."""
    return sum(values) / len(values)
