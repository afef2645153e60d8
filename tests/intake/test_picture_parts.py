from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from app.intake.picture_parts import is_colour_profile, shows_only_pixels
from app.intake.pictures import check_picture
from tests.intake.records import picture
from tests.intake.saying_more import (
    SECRET,
    chunk,
    colour_profile,
    exif,
    jpegs,
    plain_pictures,
    pngs,
    segment,
    webp_chunk,
    webp_of,
    webps,
)

SAYING_MORE, PLAIN = jpegs() | pngs() | webps(), plain_pictures()


def checked(content: bytes) -> bytes:
    kept = check_picture(content, max_bytes=1 << 20, max_megapixels=1)
    assert isinstance(kept, bytes)
    return kept


@pytest.mark.parametrize("name", SAYING_MORE)
def test_what_says_more_than_its_pixels_is_encoded_again(name: str):
    content = SAYING_MORE[name]
    assert content.count(SECRET[:4]) > 0

    kept = checked(content)

    assert SECRET[:4] not in kept
    assert shows_only_pixels(kept)
    assert checked(kept) == kept
    shown, sent = (
        Image.open(BytesIO(one)).convert("L").resize((4, 3), Image.Resampling.BOX) for one in (kept, content)
    )
    assert max(abs(a - b) for a, b in zip(shown.tobytes(), sent.tobytes(), strict=True)) < 5


@pytest.mark.parametrize("name", PLAIN)
def test_what_shows_pixels_only_is_kept_byte_for_byte(name: str):
    assert shows_only_pixels(PLAIN[name])
    assert checked(PLAIN[name]) == PLAIN[name]


@pytest.mark.parametrize("name", PLAIN)
def test_a_file_with_anything_behind_its_end_or_without_its_end_is_not_plain(name: str):
    content = PLAIN[name]

    assert not any(shows_only_pixels(content[:length]) for length in range(len(content)))
    for more in (b"\0", b"\n", b"\xff\xd9", SECRET, content):
        assert not shows_only_pixels(content + more)


def test_a_foreign_part_between_any_two_parts_is_found():
    jpeg, png, webp = picture(progressive=True), picture("PNG"), picture("WEBP", icc_profile=colour_profile())
    starts = [at for at in range(2, len(jpeg)) if jpeg[at] == 0xFF and jpeg[at + 1] in (0xC4, 0xDA, 0xDB, 0xC2, 0xD9)]
    assert len(starts) > 15, "tables and scans"
    for at in starts:
        assert not shows_only_pixels(jpeg[:at] + segment(0xFE, SECRET) + jpeg[at:])
    for name in (b"IDAT", b"IEND"):
        at = png.index(name) - 4
        assert not shows_only_pixels(png[:at] + chunk(b"zTXt", SECRET) + png[at:])
    for name in (b"VP8X", b"ICCP", b"VP8 "):
        at = webp.index(name)
        assert not shows_only_pixels(webp_of(webp[12:at] + webp_chunk(b"PRVT", SECRET) + webp[at:]))


def test_a_colour_profile_stays_when_a_picture_is_encoded_again():
    profile = colour_profile()
    for encoding in ("JPEG", "PNG", "WEBP"):
        kept = checked(picture(encoding, icc_profile=profile, exif=exif()))

        assert Image.open(BytesIO(kept)).info["icc_profile"] == profile

    assert is_colour_profile(profile)
    assert not is_colour_profile(profile + SECRET)
    assert not is_colour_profile(SECRET)


def test_what_was_transparent_is_so_when_it_is_encoded_again():
    image, output = Image.new("P", (20, 20), 1), BytesIO()
    image.putpalette(bytes(range(9)))
    image.save(output, "PNG", transparency=1, exif=exif())

    kept = Image.open(BytesIO(checked(output.getvalue())))

    assert kept.convert("RGBA").getpixel((5, 5)) == (3, 4, 5, 0)
