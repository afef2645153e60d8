"""Row 28: pictures made to harm whoever decodes them."""

from __future__ import annotations

import io
import random
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from app.domain import PictureStatus
from app.intake.decoders import Decoder, Decoders
from tests.intake.records import picture
from tests.intake.test_pictures import png_header
from tests.trust.figures import Row

GPS_TAG, ORIENTATION_TAG = 0x8825, 0x0112
REFUSED = (PictureStatus.UNREADABLE, PictureStatus.TOO_LARGE)


def peak_bytes(decoder: Decoder) -> int:
    """The most memory that the decoder's process has had."""
    lines = Path(f"/proc/{decoder.process_id}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


def encoded(image: Image.Image, encoding: str, **options: object) -> bytes:
    output = io.BytesIO()
    image.save(output, encoding, **options)
    return output.getvalue()


def bombs() -> dict[str, bytes]:
    """Small files that claim to be huge, or are no pictures of ours."""
    frames = [Image.new("P", (8, 8), number % 250) for number in range(2000)]
    return {
        "a PNG of 256 megapixels": encoded(Image.new("1", (16_000, 16_000)), "PNG"),
        "a WebP of 144 megapixels": encoded(Image.new("RGB", (12_000, 12_000)), "WEBP", method=0),
        "a JPEG of 400 megapixels": encoded(Image.new("L", (20_000, 20_000)), "JPEG"),
        "a PNG head of 3600 megapixels": png_header(60_000, 60_000),
        "a PNG head of 40 megapixels without pixels": png_header(8_000, 4_900),
        "a GIF of 2000 frames": encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]),
        "an EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{} loop\n",
        "an SVG": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        "a TIFF": encoded(Image.new("RGB", (9, 9)), "TIFF"),
    }


def mutants(chance: random.Random, count: int) -> list[bytes]:
    """Pictures with some bytes changed or the end missing."""
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    whole = [picture(one, size=(120, 90)) for one in ("JPEG", "PNG", "WEBP")]
    whole += [picture(one, exif=exif) for one in ("JPEG", "PNG", "WEBP")]
    made = []
    for _ in range(count):
        damaged = bytearray(chance.choice(whole))
        for _ in range(chance.randint(1, 8)):
            damaged[chance.randrange(min(len(damaged), chance.choice([64, len(damaged)])))] = chance.randrange(256)
        made.append(bytes(damaged[: chance.choice([len(damaged), chance.randrange(1, len(damaged))])]))
    return made


@pytest.mark.trust(28)
def test_hostile_pictures_harm_nobody(row: Row, at_full: Callable[[int, int], int]) -> None:
    decoders = Decoders(max_bytes=8 << 20, max_megapixels=40)
    decoder = decoders.all[-1]
    decoder.decode(picture())
    first_process = decoder.process_id
    worst_seconds, taken = 0.0, []
    hostile = bombs()
    damaged = mutants(random.Random(28), at_full(200, 3000))
    for name, content in [*hostile.items(), *((f"mutant {n}", one) for n, one in enumerate(damaged))]:
        began = time.process_time(), time.monotonic()
        decoded = decoder.decode(content)
        worst_seconds = max(worst_seconds, time.monotonic() - began[1])
        if name in hostile and decoded.status not in REFUSED:
            taken.append(name)
    peak = peak_bytes(decoder)

    row.done = f"{len(hostile)} bombs and foreign formats, {len(damaged)} damaged pictures"
    row.none(bombs_taken=len(taken), decoders_lost=int(decoder.process_id != first_process))
    row.at_most(300, "peak memory of the decoder", peak / 1e6, "MB")
    row.at_most(2, "longest of them", worst_seconds, "s")
    assert taken == []
    assert decoder.decode(picture()).status is PictureStatus.STORED


@pytest.mark.trust(28)
def test_what_is_kept_says_nothing_of_its_place_and_stands_upright(row: Row) -> None:
    decoders = Decoders(max_bytes=8 << 20, max_megapixels=40)
    flaws = []
    for encoding in ("JPEG", "PNG", "WEBP"):
        exif = Image.Exif()
        exif[ORIENTATION_TAG] = 6
        exif[0x010E] = "taken at home"
        exif.get_ifd(GPS_TAG)[1] = "N"
        kept = decoders.decode(picture(encoding, size=(40, 30), exif=exif))
        shown = Image.open(io.BytesIO(kept.content))
        if shown.getexif() or b"home" in kept.content or shown.size != (30, 40):
            flaws.append(encoding)

    row.none(pictures_with_notes_or_lying_on_their_side=len(flaws))


@pytest.mark.trust(28)
@pytest.mark.slow
def test_the_largest_pictures_that_are_allowed_are_decoded(row: Row) -> None:
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6
    large = Image.effect_noise((790, 500), 60).convert("RGB").resize((7900, 5000))
    refused = []
    for encoding, options in (("JPEG", {"exif": exif}), ("WEBP", {"method": 0}), ("PNG", {"compress_level": 1})):
        decoder = Decoders(max_bytes=80 << 20, max_megapixels=40).all[-1]
        if decoder.decode(encoded(large, encoding, **options)).status is not PictureStatus.STORED:
            refused.append(encoding)
        else:
            row.saw(f"memory for a {encoding} of 39.5 megapixels", peak_bytes(decoder) / 1e6, "MB")

    row.none(large_pictures_refused=len(refused))
