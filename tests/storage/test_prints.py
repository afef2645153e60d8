"""Copies of one picture have nearly one print; other pictures have another."""

from __future__ import annotations

import io
from datetime import datetime

import numpy as np
import pytest
from PIL import Image
from sqlalchemy import text

from app.intake.posts import PostRecord, save_picture, save_posts
from app.storage.missing_prints import add_missing_prints
from app.storage.post_changes import changed_since
from app.storage.postgres import transaction
from app.storage.posts import posts_by_id
from app.storage.prints import print_of
from app.storage.stores import Stores
from tests.storage.logbook import START


def picture(seed: int, size: int = 160) -> Image.Image:
    """A few soft patches, as a photograph has them."""
    grey = np.random.default_rng(seed).uniform(0, 255, (6, 6)).astype(np.uint8)
    return Image.fromarray(grey).resize((size, size), Image.Resampling.BICUBIC).convert("RGB")


def encoded(image: Image.Image, kind: str = "PNG", **options: int) -> bytes:
    output = io.BytesIO()
    image.save(output, kind, **options)
    return output.getvalue()


def bits(one: bytes, other: bytes) -> int:
    return (print_of(one) ^ print_of(other)).bit_count()


@pytest.mark.parametrize("seed", range(5))
def test_a_picture_encoded_again_or_made_smaller_keeps_its_print(seed):
    original = encoded(picture(seed))

    assert bits(original, encoded(picture(seed), "JPEG", quality=50)) <= 2
    assert bits(original, encoded(picture(seed), "WEBP", quality=50)) <= 4
    assert bits(original, encoded(picture(seed).resize((70, 70)))) <= 4


def test_other_pictures_have_other_prints():
    pictures = [encoded(picture(seed)) for seed in range(20)]

    distances = [bits(one, other) for place, one in enumerate(pictures) for other in pictures[:place]]

    assert min(distances) > 10


@pytest.mark.parametrize("colour", ["white", "red", "#123456"])
def test_a_picture_of_one_colour_has_nothing_to_tell(colour):
    assert print_of(encoded(Image.new("RGB", (64, 64), colour))) == 0


def test_bytes_that_are_no_picture_have_nothing_to_tell():
    assert print_of(b"no picture") == 0


@pytest.mark.anyio
async def test_a_print_comes_with_the_picture(stores: Stores):
    await save_posts(stores, [PostRecord(post_id="p", title="t")])

    await save_picture(stores, "p", encoded(picture(1)))

    assert (await posts_by_id(stores.database, ["p"]))["p"].picture_print == print_of(encoded(picture(1)))


async def stamps(stores: Stores) -> dict[str, datetime]:
    return {one.post.post_id: one.changed_at async for page in changed_since(stores.database, START) for one in page}


@pytest.mark.anyio
async def test_missing_prints_are_added_without_making_the_posts_look_changed(stores: Stores):
    await save_posts(stores, [PostRecord(post_id=one, title="t") for one in ("p", "q", "plain")])
    for one in ("p", "q"):
        await save_picture(stores, one, encoded(picture(1)))
    async with transaction(stores.database) as connection:
        await connection.execute(text("UPDATE posts SET picture_print = NULL"))
    before = await stamps(stores)

    assert await add_missing_prints(stores.database, stores.pictures) == 1  # one picture, of two posts
    assert await add_missing_prints(stores.database, stores.pictures) == 0

    posts = await posts_by_id(stores.database, ["p", "q", "plain"])
    assert posts["p"].picture_print == posts["q"].picture_print == print_of(encoded(picture(1)))
    assert posts["plain"].picture_print is None
    assert await stamps(stores) == before
