"""MovieLens-100k from its files to recommendations: time, memory, and whether what is recommended was liked later.

`python -m scripts.bench_movielens SOURCE [FOLDER]`; everything goes through the command line, as a user would do it.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from app.candidates.generation import GenerationFolder
from app.candidates.serving import ServingCandidates
from app.recommend.recommend import recommend
from app.recommend.request import RecommendRequest
from app.settings import Settings
from app.storage.stores import Stores, open_stores
from scripts.movielens import Movielens, write_import_files

DEPTH = 10
SHOWN_AT_LEAST = 5  # people with less history get the popular posts whatever the network
MINUTES_ALLOWED, GIBIBYTES_ALLOWED = 15, 3


def main() -> None:
    """Run it all and print the table."""
    source = Path(sys.argv[1])
    if not (source / "ratings.csv").exists():
        sys.exit(f"{source} has no ratings.csv: give the folder with MovieLens-100k and its posters")
    with tempfile.TemporaryDirectory(prefix="movielens-") as temporary:
        folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(temporary)
        run(source, folder)


def run(source: Path, folder: Path) -> None:
    """Convert, import, index, train, measure; prints as it goes."""
    data = write_import_files(source, folder / "files")
    home = folder / "home"
    began = time.monotonic()
    tuwen(home, "import", "--posts", data.posts, "--users", data.users, "--exposures", data.exposures)
    tuwen(home, "reindex")
    tuwen(home, "train")
    asyncio.run(measure(Settings(home=home), data))
    minutes = (time.monotonic() - began) / 60
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(f"import, index, train, measure: {minutes:.1f} minutes (allowed {MINUTES_ALLOWED})")
    print(f"largest process: {peak:.2f} GiB (allowed {GIBIBYTES_ALLOWED})")


def tuwen(home: Path, *arguments: str | Path) -> None:
    """Run one command of the command line and print what it took."""
    began = time.monotonic()
    command = [sys.executable, "-m", "app.cli", *map(str, arguments)]
    subprocess.run(command, check=True, env=os.environ | {"TUWEN_HOME": str(home)})
    print(f"  tuwen {arguments[0]}: {time.monotonic() - began:.1f} s", flush=True)


async def measure(settings: Settings, data: Movielens) -> None:
    """Recall@10 of the posts liked later: trained, start, popularity, random."""
    people = [user for user in data.left_out if len(data.seen.get(user, ())) >= SHOWN_AT_LEAST]
    folder = GenerationFolder(settings.generations)
    trained, start = folder.current(), folder.ids()[0]
    assert trained is not None
    async with open_stores(settings) as stores:
        figures = {
            "trained": await recall(stores, folder, trained, people, data),
            "start": await recall(stores, folder, start, people, data),
        }
        folder.promote(trained)
    popular = sorted(data.likes, key=lambda post: -data.likes[post])
    figures["popularity"] = mean(
        [hits([p for p in popular if p not in data.seen[u]], data.left_out[u]) for u in people]
    )
    posts = len(data.posts.read_text().splitlines())
    figures["random"] = mean([DEPTH / (posts - len(data.seen[user])) for user in people])
    print(f"recall@{DEPTH} of what {len(people)} people liked later:")
    for name, figure in figures.items():
        print(f"  {name:12} {figure:.4f}")


async def recall(
    stores: Stores, folder: GenerationFolder, generation: str, people: list[str], data: Movielens
) -> float:
    """Of the whole recommend path, as generation `generation` serves it."""
    folder.promote(generation)
    serving = ServingCandidates(stores)
    await serving.refresh()
    found = []
    for user in people:
        answer = await recommend(stores, serving.view(), RecommendRequest(user, k=DEPTH), moment=datetime.now(UTC))
        found.append(hits([post.post_id for post in answer.posts], data.left_out[user]))
    return mean(found)


def hits(ranked: list[str], liked: set[str]) -> float:
    """Share of the liked posts among the first ten, of as many as ten can hold."""
    return len(liked & set(ranked[:DEPTH])) / min(DEPTH, len(liked))


def mean(values: list[float]) -> float:
    """Mean of some values."""
    return sum(values) / len(values)


if __name__ == "__main__":
    main()
