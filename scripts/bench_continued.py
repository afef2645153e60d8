"""MovieLens-100k -> what five updates with new exposures keep and learn, beside training from scratch on all of it.

    python -m scripts.bench continued --movielens FOLDER

The log up to a moment trains the first network; five later slices of it, a day each as it were, come one after the
other and are trained on. Everything goes through the command line, the gate included. Judged are, by the whole
recommend path: accounts that were active only before the updates, by likes of theirs that no network has seen
(forgetting), and accounts of the updates likewise (learning).
"""

from __future__ import annotations

import asyncio
import json
import shutil
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from app.candidates.encode import TOKENS_FILE
from app.candidates.generation import GenerationFolder
from app.candidates.listing import list_generations
from app.candidates.serving import ServingCandidates
from app.commands import REJECTED
from app.recommend.recommend import recommend
from app.recommend.request import RecommendRequest
from app.settings import Settings
from app.storage.stores import open_stores
from app.training.metrics import standard_error
from scripts.bench_figures import Figure, Floor, at_least, at_most
from scripts.bench_movielens import DEPTH, hits, mean
from scripts.bench_processes import say, tuwen
from scripts.bench_world import fresh_settings
from scripts.movielens import LIKED, Rating, exposure_of, read_ratings, write_posts_and_users

UPDATES = 5
FIRST_SHARE = 0.75  # of the log, before the updates
WITHHELD = 5  # latest likes of an account
LIKES_AT_LEAST = 20  # of an account that is judged
KEPT_SHARE = 0.95  # of what training from scratch reaches for the accounts of the time before
TIME_SHARE = 0.5  # of the time that scratch takes, for one update


@dataclass
class Slices:
    """The log cut by time, and the likes that are in none of it."""

    parts: list[list[Rating]] = field(default_factory=list)  # the first one, then the updates
    before: dict[str, set[str]] = field(default_factory=dict)  # account of the first part alone -> withheld likes
    during: dict[str, set[str]] = field(default_factory=dict)  # account of the updates alone -> withheld likes


@dataclass(frozen=True)
class Quality:
    """Recall of the withheld likes, account by account."""

    before: list[float]
    during: list[float]


def cut(ratings: Sequence[Rating]) -> Slices:
    """Ratings by time -> their slices."""
    first = int(len(ratings) * FIRST_SHARE)
    step = (len(ratings) - first) / UPDATES
    bounds = [0, *(first + round(step * number) for number in range(UPDATES + 1))]
    made = Slices()
    early, late = ({one.user_id for one in part} for part in (ratings[:first], ratings[first:]))
    withheld: set[tuple[str, str]] = set()
    for users, judged in ((early - late, made.before), (late - early, made.during)):
        for user, likes in _likes(ratings, users).items():
            if len(likes) >= LIKES_AT_LEAST:
                judged[user] = set(likes[-WITHHELD:])
                withheld |= {(user, post) for post in judged[user]}
    for begin, end in pairwise(bounds):
        made.parts.append([one for one in ratings[begin:end] if (one.user_id, one.post_id) not in withheld])
    return made


def _likes(ratings: Sequence[Rating], users: set[str]) -> dict[str, list[str]]:
    likes: dict[str, list[str]] = {}
    for one in ratings:
        if one.user_id in users and one.stars >= LIKED:
            likes.setdefault(one.user_id, []).append(one.post_id)
    return likes


def measure_continued(source: Path, home: Path) -> list[Figure]:
    """Both ways over the same log."""
    slices = cut(read_ratings(source))
    files = write_posts_and_users(source, home / "files")
    updated = _home(home / "updated", files)
    first_seconds = _learn(updated, home / "files" / "part-0.jsonl", slices.parts[0])
    before = asyncio.run(_quality(updated, slices))
    seconds = [
        _learn(updated, home / "files" / f"part-{number}.jsonl", part)
        for number, part in enumerate(slices.parts[1:], start=1)
    ]
    after = asyncio.run(_quality(updated, slices))
    states = Counter(one.word for one in list_generations(GenerationFolder(updated.generations)))
    scratch = fresh_settings(home / "scratch")
    scratch.home.mkdir(parents=True)
    shutil.copy(updated.home / TOKENS_FILE, scratch.home / TOKENS_FILE)  # neither reads the pictures in its time
    _home(home / "scratch", files)
    scratch_seconds = _learn(scratch, home / "files" / "all.jsonl", [one for part in slices.parts for one in part])
    anew = asyncio.run(_quality(scratch, slices))
    say(f"first training {first_seconds:.0f} s, updates {', '.join(f'{one:.0f}' for one in seconds)} s, {dict(states)}")
    return _figures(before, after, anew, seconds=(mean(seconds), scratch_seconds))


def _home(home: Path, files: tuple[Path, Path]) -> Settings:
    settings = fresh_settings(home)
    tuwen(settings, "import", "--posts", files[0], "--users", files[1])
    tuwen(settings, "reindex")
    return settings


def _learn(settings: Settings, file: Path, ratings: Sequence[Rating]) -> float:
    """Import this part of the log and train; gives the seconds of the training. A rejection is no error here."""
    file.write_text("".join(json.dumps(exposure_of(one)) + "\n" for one in ratings))
    tuwen(settings, "import", "--exposures", file)
    began = time.monotonic()
    tuwen(settings, "train", accepted=(0, REJECTED))
    return time.monotonic() - began


async def _quality(settings: Settings, slices: Slices) -> Quality:
    """Of what serves now."""
    async with open_stores(settings) as stores:
        serving = ServingCandidates(stores)
        await serving.refresh()

        async def recalls(judged: dict[str, set[str]]) -> list[float]:
            found = []
            for user, liked in judged.items():
                request = RecommendRequest(user, k=DEPTH)
                answer = await recommend(stores, serving.view(), request, moment=datetime.now(UTC))
                assert not answer.degraded, "the machine is overloaded: these would be pages without a history"
                found.append(hits([post.post_id for post in answer.posts], liked))
            return found

        return Quality(await recalls(slices.before), await recalls(slices.during))


def _figures(before: Quality, after: Quality, anew: Quality, *, seconds: tuple[float, float]) -> list[Figure]:
    """The table: what is kept, what is learnt, and what it costs."""
    kept, learnt = mean(after.before), mean(after.during)
    floors = (
        Floor("before the updates", mean(before.before)),
        Floor("from scratch on all", mean(anew.before)),
    )
    return [
        Figure(
            f"recall@{DEPTH} of earlier accounts after {UPDATES} updates",
            kept,
            "",
            floors,
            at_least(KEPT_SHARE * mean(anew.before)),
            _about(after.before, anew.before),
        ),
        Figure(
            f"recall@{DEPTH} of the updates' accounts",
            learnt,
            "",
            (Floor("from scratch on all", mean(anew.during)),),
            at_least(KEPT_SHARE * mean(anew.during)),
            _about(after.during, anew.during),
        ),
        Figure(
            "an update with all it does",
            seconds[0],
            "s",
            (Floor("from scratch on all", seconds[1]),),
            at_most(TIME_SHARE * seconds[1]),
        ),
    ]


def _about(updated: Sequence[float], anew: Sequence[float]) -> str:
    difference = np.asarray(updated) - np.asarray(anew)
    error = standard_error(difference)
    return f"{len(updated)} accounts, difference to scratch {difference.mean():+.3f}, standard error {error:.3f}"
