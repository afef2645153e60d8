from __future__ import annotations

import io
import os
import signal
import threading
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
    assert decoders.decode(picture(size=(6000, 4000))).status is PictureStatus.TOO_LARGE


def test_a_decoder_that_dies_is_replaced(decoders: Decoders):
    decoders.decode(picture())
    for decoder in decoders.all:
        if decoder.process_id is not None:
            os.kill(decoder.process_id, signal.SIGKILL)

    assert [decoders.decode(picture()).status for _ in range(2)][-1] is PictureStatus.STORED


def test_a_picture_for_which_the_machine_ends_the_decoder_is_too_large(decoders: Decoders):
    decoder = decoders.all[-1]
    decoder.decode(picture())
    assert decoder.process_id is not None
    os.kill(decoder.process_id, signal.SIGSTOP)
    threading.Timer(0.5, os.kill, (decoder.process_id, signal.SIGKILL)).start()

    assert decoder.decode(picture()).status is PictureStatus.TOO_LARGE
    assert decoder.decode(picture()).status is PictureStatus.STORED


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


def of_mode(mode: str) -> bytes:
    output = io.BytesIO()
    Image.new(mode, (200, 200)).save(output, "JPEG")
    return output.getvalue()


def test_a_picture_is_shrunk_to_a_side_and_a_small_one_stays_as_it_is(decoders: Decoders):
    for content, size in (
        (picture(size=(900, 300)), (90, 30)),
        (picture("JPEG", size=(300, 600)), (45, 90)),
        (of_mode("CMYK"), (90, 90)),
    ):
        shrunk = Image.open(io.BytesIO(decoders.shrink(content, side=90).content))
        assert (shrunk.format, shrunk.size) == ("WEBP", size)

    small = picture(size=(90, 60))
    assert decoders.shrink(small, side=90).content == small
    assert decoders.shrink(b"no picture", side=90).status is PictureStatus.UNREADABLE
