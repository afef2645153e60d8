"""A folder with MovieLens-100k and its posters -> import files; the latest part may be left out for measuring.

    python -m scripts.movielens FOLDER OUT    writes all of it, for `tuwen evaluate`

A rating is read as an exposure: 4 and 5 as a click and a like, 5 also as a favourite, less as an exposure without
behaviour. There is no share or comment in it, and no true log of showings.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

LEFT_OUT = 0.1
LIKED = 4
FAVOURITE = 5


@dataclass(frozen=True)
class Rating:
    """One judgement of one person."""

    user_id: str
    post_id: str
    stars: int
    unix_seconds: int


@dataclass(frozen=True)
class Movielens:
    """Where the import files are, and what was left out of them."""

    posts: Path
    users: Path
    exposures: Path
    seen: dict[str, set[str]]  # user -> posts in the log
    left_out: dict[str, set[str]]  # user -> posts liked later
    likes: dict[str, int]  # post -> likes in the log


def read_ratings(source: Path) -> list[Rating]:
    """All ratings by time; within a second in the order of the file."""
    with (source / "ratings.csv").open(newline="") as lines:
        ratings = [
            Rating(row["user_id"], row["post_id"], int(row["rating"]), int(row["unix_seconds"]))
            for row in csv.DictReader(lines)
        ]
    return sorted(ratings, key=lambda rating: rating.unix_seconds)


def write_import_files(source: Path, folder: Path, *, left_out: float = LEFT_OUT) -> Movielens:
    """Write posts.jsonl, users.jsonl and exposures.jsonl into `folder`, the pictures copied beside them.

    The latest `left_out` of the ratings is not in them; 0 leaves nothing out.
    """
    posts, users = write_posts_and_users(source, folder)
    ratings = read_ratings(source)
    first_out = int(len(ratings) * (1 - left_out))
    moment = ratings[first_out].unix_seconds if first_out < len(ratings) else math.inf
    log = [rating for rating in ratings if rating.unix_seconds < moment]
    later = [rating for rating in ratings if rating.unix_seconds >= moment]
    _write(folder / "exposures.jsonl", (exposure_of(rating) for rating in log))
    found = Movielens(posts, users, folder / "exposures.jsonl", {}, {}, {})
    for rating in log:
        found.seen.setdefault(rating.user_id, set()).add(rating.post_id)
        found.likes[rating.post_id] = found.likes.get(rating.post_id, 0) + (rating.stars >= LIKED)
    for rating in later:
        if rating.stars >= LIKED:
            found.left_out.setdefault(rating.user_id, set()).add(rating.post_id)
    return found


def write_posts_and_users(source: Path, folder: Path) -> tuple[Path, Path]:
    """Write posts.jsonl with its pictures and users.jsonl; gives both."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "posts.jsonl", _posts(source, folder))
    _write(folder / "users.jsonl", _users(source))
    return folder / "posts.jsonl", folder / "users.jsonl"


def _posts(source: Path, folder: Path) -> Iterator[dict[str, object]]:
    """Films; a genre serves as the category."""
    pictures = folder / "pictures"
    if not pictures.exists():
        pictures.mkdir()
        for picture in (source / "pictures").iterdir():
            (pictures / picture.name).write_bytes(picture.read_bytes())
    with (source / "posts.jsonl").open() as lines:
        for line in lines:
            film = json.loads(line)
            kept = {name: film[name] for name in ("post_id", "title", "picture")}
            yield kept | {"category": (film["genres"] or [None])[0], "tags": film["genres"]}


def _users(source: Path) -> Iterator[dict[str, object]]:
    with (source / "users.csv").open(newline="") as lines:
        for row in csv.DictReader(lines):
            attributes = {"age": int(row["age"]), "gender": row["gender"], "occupation": row["occupation"]}
            yield {"user_id": row["user_id"], "attributes": attributes}


def exposure_of(rating: Rating) -> dict[str, object]:
    """A rating as a line of exposures.jsonl."""
    kinds = ["click", "like"] if rating.stars >= LIKED else []
    kinds += ["favourite"] if rating.stars >= FAVOURITE else []
    return {
        "exposure_id": f"{rating.user_id}-{rating.post_id}",
        "user_id": rating.user_id,
        "post_id": rating.post_id,
        "shown_at": rating.unix_seconds,
        "behaviours": [{"kind": kind, "at": rating.unix_seconds} for kind in kinds],
    }


def _write(file: Path, rows: Iterator[dict[str, object]]) -> None:
    with file.open("w") as out:
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_import_files(Path(sys.argv[1]), Path(sys.argv[2]), left_out=0.0)
