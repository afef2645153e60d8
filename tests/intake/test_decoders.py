from __future__ import annotations

import io
import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from app.domain import PictureStatus
from app.intake.decoders import Decoders
from tests.intake.records import picture


@pytest.fixture(scope="module")
def decoders() -> Iterator[Decoders]:
    return Decoders(max_bytes=1 << 20, max_megapixels=4)


def test_a_good_picture_comes_back_as_it_was_with_its_print(decoders: Decoders):
    decoded = decoders.decode(picture())

    assert (decoded.status, decoded.content) == (PictureStatus.STORED, picture())
    assert decoded.picture_print is not None


def test_what_is_no_good_is_said_so(decoders: Decoders):
    assert decoders.decode(b"<svg/>").status is PictureStatus.UNREADABLE
    assert decoders.decode(b"x" * (2 << 20)).status is PictureStatus.TOO_LARGE
    assert decoders.decode(picture(size=(3000, 2000))).status is PictureStatus.TOO_LARGE


def test_a_decoder_that_dies_is_replaced(decoders: Decoders):
    decoders.decode(picture())
    for decoder in decoders.all:
        if decoder.process_id is not None:
            os.kill(decoder.process_id, signal.SIGKILL)

    assert [decoders.decode(picture()).status for _ in range(2)][-1] is PictureStatus.STORED


def test_many_may_ask_at_once(decoders: Decoders):
    with ThreadPoolExecutor(8) as pool:
        decoded = list(pool.map(lambda side: decoders.decode(picture(size=(side, side))), range(20, 60)))

    assert [Image.open(io.BytesIO(one.content)).width for one in decoded] == list(range(20, 60))


def test_of_an_animation_the_first_picture_is_kept(decoders: Decoders):
    frames = [Image.new("RGB", (30, 20), colour) for colour in ("red", "green", "blue")]
    for encoding in ("WEBP", "PNG"):
        output = io.BytesIO()
        frames[0].save(output, encoding, save_all=True, append_images=frames[1:])

        kept = Image.open(io.BytesIO(decoders.decode(output.getvalue()).content))

        assert not getattr(kept, "is_animated", False)
        red, green, blue = kept.convert("RGB").getpixel((5, 5))  # type: ignore[misc]
        assert red > 200 > green + blue


def test_what_hides_behind_the_pixels_is_dropped(decoders: Decoders):
    kept = decoders.decode(picture() + b"a film with a place in it")

    assert kept.status is PictureStatus.STORED
    assert b"film" not in kept.content
