"""A log or its tokens -> the same with one thing destroyed, to see what the figures owe to it."""

from __future__ import annotations

import random
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.domain import Act, ShownPost
from app.evaluation.log import Log
from app.storage.tokens import TokenCache
from models.sizes import NetworkSizes

AT_ONCE = 500


def with_shuffled_labels(log: Log, *, seed: int) -> Log:
    """What anybody did on any showing now belongs to a showing by chance; how often posts were shown stays."""
    everything = [one for shown in log.shown.values() for one in shown]
    delays = [[(act.kind, act.at - one.shown_at) for act in one.acts] for one in everything]
    random.Random(f"labels {seed}").shuffle(delays)  # noqa: S311 - not for secrets
    dealt = iter(delays)
    return log.with_shown(
        {user_id: [_with_acts(one, next(dealt)) for one in shown] for user_id, shown in log.shown.items()}
    )


def _with_acts(showing: ShownPost, delays: Sequence[tuple[object, object]]) -> ShownPost:
    acts = tuple(Act(kind, showing.shown_at + delay) for kind, delay in delays)  # type: ignore[arg-type,operator]
    return replace(showing, acts=acts)


def with_swapped_titles(log: Log, *, seed: int) -> Log:
    """Every post has the title of another."""
    titles = [post.title for post in log.posts]
    random.Random(f"titles {seed}").shuffle(titles)  # noqa: S311 - not for secrets
    posts = tuple(replace(post, title=title) for post, title in zip(log.posts, titles, strict=True))
    return Log(posts, log.shown, log.attributes)


def write_random_tokens(tokens: Path, out: Path, sizes: NetworkSizes, *, seed: int) -> None:
    """For every picture and title in the file of tokens a vector by chance, in as many tokens as before."""
    known, made = TokenCache(tokens), TokenCache(out)
    widths = {sizes.picture_backbone: sizes.picture_width, sizes.title_backbone: sizes.title_width}
    for backbone, width in widths.items():
        keys = known.keys_of(f"{backbone}:")
        for at in range(0, len(keys), AT_ONCE):
            found = known.get(keys[at : at + AT_ONCE], width)
            made.put(
                {
                    key: np.repeat(
                        np.random.default_rng([seed, zlib.crc32(key.encode())]).standard_normal((1, width)),
                        len(value),
                        axis=0,
                    ).astype(np.float16)
                    for key, value in found.items()
                }
            )
