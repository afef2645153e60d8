from __future__ import annotations

import random
import struct
import zlib
from io import BytesIO

import pytest
from PIL import Image

from app.domain import PictureStatus
from app.intake.picture_parts import shows_only_pixels
from app.intake.pictures import check_picture
from tests.intake.records import picture


def check(content: bytes, *, max_bytes: int = 1 << 20, max_megapixels: float = 1) -> bytes | PictureStatus:
    return check_picture(content, max_bytes=max_bytes, max_megapixels=max_megapixels)


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""
    chunks = b""
    parts = ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0" * 99)))
    for name, body in (*parts, (b"IEND", b"")):
        chunks += struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    return b"\x89PNG\r\n\x1a\n" + chunks


def notes(text: str, *, orientation: int = 1) -> Image.Exif:
    exif = Image.Exif()
    exif[0x010E] = text
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP"])
def test_a_good_picture_is_kept_byte_for_byte(encoding: str):
    content = picture(encoding)

    assert check(content) == content


@pytest.mark.parametrize("encoding", ["GIF", "BMP", "TIFF", "PPM", "ICO"])
def test_other_formats_are_refused_by_content_whatever_the_name(encoding: str):
    assert check(picture(encoding)) is PictureStatus.UNREADABLE


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%!PS-Adobe"])
def test_what_is_no_picture_is_refused(content: bytes):
    assert check(content) is PictureStatus.UNREADABLE


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP"])
def test_half_a_picture_is_refused(encoding: str):
    content = picture(encoding, size=(200, 150))

    assert check(content[: len(content) // 2]) is PictureStatus.UNREADABLE


def test_a_picture_over_the_limits_is_refused_before_it_is_decoded():
    assert check(picture(), max_bytes=100) is PictureStatus.TOO_LARGE
    for encoding in ("PNG", "WEBP"):
        assert isinstance(check(picture(encoding, size=(250, 200)), max_megapixels=0.05), bytes)
        assert check(picture(encoding, size=(251, 200)), max_megapixels=0.05) is PictureStatus.TOO_LARGE
    assert check(png_header(9_000, 9_000), max_megapixels=40) is PictureStatus.TOO_LARGE
    assert check(png_header(60_000, 60_000), max_megapixels=40) is PictureStatus.TOO_LARGE


def test_a_jpeg_of_up_to_four_times_the_limit_is_stored_at_half_its_sides():
    fits = check(picture(size=(250, 200)), max_megapixels=0.05)
    halved = check(picture(size=(500, 400), exif=notes("at home", orientation=6)), max_megapixels=0.05)

    assert fits == picture(size=(250, 200))
    assert isinstance(halved, bytes)
    assert Image.open(BytesIO(halved)).size == (200, 250)
    assert check(picture(size=(501, 400)), max_megapixels=0.05) is PictureStatus.TOO_LARGE
    assert check(picture(size=(500, 400))[:999], max_megapixels=0.05) is PictureStatus.TOO_LARGE, "and damaged"


@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP"])
def test_the_notes_of_the_camera_are_dropped(encoding: str):
    content = picture(encoding, exif=notes("taken at home"))
    assert b"taken at home" in content

    kept = check(content)

    assert isinstance(kept, bytes)
    assert b"taken at home" not in kept
    assert check(kept) == kept


def test_a_picture_taken_sideways_is_turned_upright():
    kept = check(picture(size=(40, 30), exif=notes("", orientation=6)))

    assert isinstance(kept, bytes)
    assert Image.open(BytesIO(kept)).size == (30, 40)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("encoding", ["JPEG", "PNG", "WEBP"])
def test_damaged_pictures_never_raise(encoding: str):
    chance = random.Random(encoding)
    whole = [picture(encoding), picture(encoding, exif=notes("x", orientation=3))]

    for _ in range(700):
        damaged = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(min(len(damaged), chance.choice([64, len(damaged)])))] = chance.randrange(256)

        kept = check(bytes(damaged[: chance.choice([len(damaged), chance.randrange(len(damaged))])]))

        assert kept in (PictureStatus.UNREADABLE, PictureStatus.TOO_LARGE) or shows_only_pixels(kept)
