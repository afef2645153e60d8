"""Row 28: pictures made to harm whoever decodes them."""

from __future__ import annotations

import asyncio
import io
import random
import struct
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest
from PIL import Image

from app.domain import PictureStatus
from app.intake.decoders import Decoder, Decoders
from app.settings import Settings
from tests.intake.records import picture
from tests.intake.saying_more import SECRET, chunk, exif, jpegs, pngs, webp_of, webps
from tests.intake.test_pictures import png_header
from tests.trust.figures import Row
from tests.trust.world import KEYS, Broken

ORIENTATION_TAG = 0x0112
MAX_BYTES, MAX_MEGAPIXELS = (Settings.model_fields[f"picture_max_{unit}"].default for unit in ("bytes", "megapixels"))
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
        "a JPEG of 500 scans": with_scans(encoded(Image.new("RGB", (4000, 3500)), "JPEG", progressive=True), 500),
    }


def with_scans(jpeg: bytes, count: int) -> bytes:
    """The same picture, whose last scan comes so many times more."""
    last = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + count * last + jpeg[-2:]


def animations(frames: int) -> dict[str, bytes]:
    """Files of very many pictures, of which one is to be kept."""
    two = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    webp = encoded(two[0], "WEBP", save_all=True, append_images=two[1:], lossless=True)
    at = webp.index(b"ANMF")
    frame = webp[at : webp.index(b"ANMF", at + 1)]
    png = encoded(two[0], "PNG", save_all=True, append_images=two[1:])
    control, pixels = (png[png.rindex(name) + 4 :] for name in (b"fcTL", b"fdAT"))
    moving = b"".join(
        chunk(b"fcTL", struct.pack(">I", 2 * number + 1) + control[4:26])
        + chunk(b"fdAT", struct.pack(">I", 2 * number + 2) + pixels[4 : pixels.index(b"IEND") - 8])
        for number in range(frames - 1)
    )
    head, still = png[:33], png[png.index(b"fcTL") - 4 : png.rindex(b"fcTL") - 4]
    return {
        f"a WebP of {frames} frames": webp_of(webp[12:at] + frame * frames),
        f"a PNG of {frames} frames": head + chunk(b"acTL", struct.pack(">II", frames, 0)) + still + moving + png[-12:],
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


def largest() -> Iterator[tuple[str, tuple[int, int], bytes]]:
    """Pictures as large as they may be, upright and turned, opaque and not: format, size when upright, file."""
    size = (4320, int(MAX_MEGAPIXELS * 1_000_000) // 4320)
    noise = Image.effect_noise((size[0] // 8, size[1] // 8), 60)
    opaque = noise.convert("RGB")
    clear = Image.merge("RGBA", (noise,) * 4)
    scene = opaque.resize(size)
    turned = Image.Exif()
    turned[ORIENTATION_TAG] = 6
    large = scene.resize((2 * size[0], 2 * size[1]))
    for notes, shown in (({}, size), ({"exif": turned}, size[::-1])):
        yield "JPEG", shown, encoded(scene, "JPEG", progressive=True, subsampling=0, **notes)
        yield "JPEG", shown, encoded(scene.convert("CMYK"), "JPEG", **notes)
        yield "JPEG of four times that", shown, encoded(large, "JPEG", quality=50, **notes)
        yield "JPEG of four times that", shown, encoded(large, "JPEG", quality=50, progressive=True, **notes)
        for small in (opaque, clear):
            yield "PNG", shown, encoded(small.resize(size, Image.Resampling.NEAREST), "PNG", **notes)
            yield "WEBP", shown, encoded(small.resize(size), "WEBP", method=0, quality=50, **notes)


@pytest.mark.trust(28)
def test_hostile_pictures_harm_nobody(row: Row, at_full: Callable[[int, int], int]) -> None:
    decoders = Decoders(max_bytes=MAX_BYTES, max_megapixels=MAX_MEGAPIXELS)
    decoder = decoders.all[-1]
    decoder.decode(picture())
    first_process = decoder.process_id
    worst_seconds, taken, still = 0.0, [], []
    hostile, moving = bombs(), animations(at_full(2_000, 50_000))
    damaged = mutants(random.Random(28), at_full(200, 3000))
    everything = {**hostile, **moving, **{f"mutant {number}": one for number, one in enumerate(damaged)}}
    for name, content in everything.items():
        began = time.monotonic()
        decoded = decoder.decode(content)
        worst_seconds = max(worst_seconds, time.monotonic() - began)
        if name in hostile and decoded.status not in REFUSED:
            taken.append(name)
        if name in moving and getattr(Image.open(io.BytesIO(decoded.content)), "n_frames", 1) == 1:
            still.append(name)
    peak = peak_bytes(decoder)

    row.done = f"{len(hostile)} bombs and foreign formats, {len(moving)} animations, {len(damaged)} damaged pictures"
    row.none(bombs_taken=len(taken), decoders_lost=int(decoder.process_id != first_process))
    row.none(animations_kept=len(moving) - len(still))
    row.at_most(300, "peak memory of the decoder", peak / 1e6, "MB")
    row.at_most(2, "longest of them", worst_seconds, "s")
    assert taken == []
    assert decoder.decode(picture()).status is PictureStatus.STORED


@pytest.mark.trust(28)
def test_what_is_kept_says_nothing_of_its_place_and_stands_upright(row: Row) -> None:
    decoders = Decoders(max_bytes=MAX_BYTES, max_megapixels=MAX_MEGAPIXELS)
    lying = exif()
    lying[ORIENTATION_TAG] = 6
    turned = {f"a {one} on its side": picture(one, size=(30, 40), exif=lying) for one in ("JPEG", "PNG", "WEBP")}
    saying_more = turned | jpegs() | pngs() | webps()
    flaws = []
    for name, content in saying_more.items():
        kept = decoders.decode(content).content
        with Image.open(io.BytesIO(kept)) as shown:
            if shown.getexif() or SECRET[:4] in kept or shown.size != (40, 30):
                flaws.append(name)

    row.done = f"{len(saying_more)} files that say more than their pixels, each in another place of the file"
    row.none(pictures_with_notes_or_lying_on_their_side=len(flaws))
    assert flaws == []


@pytest.mark.trust(28)
@pytest.mark.slow
def test_the_largest_pictures_that_are_allowed_are_decoded_in_little_memory(row: Row) -> None:
    peaks: dict[str, int] = {}
    refused, halved, count = [], [], 0
    decoders: dict[str, Decoder] = {}
    for kind, size, content in largest():
        decoder = decoders.setdefault(kind, Decoders(max_bytes=MAX_BYTES, max_megapixels=MAX_MEGAPIXELS).all[-1])
        decoded = decoder.decode(content)
        peaks[kind] = peak_bytes(decoder)
        count += 1
        if decoded.status is not PictureStatus.STORED:
            refused.append(kind)
        elif Image.open(io.BytesIO(decoded.content)).size != size:
            halved.append(kind)

    row.done = f"{count} pictures of {MAX_MEGAPIXELS:g} megapixels, upright and turned, opaque and with alpha"
    for kind, peak in peaks.items():
        row.at_most(300, f"memory for a {kind}", peak / 1e6, "MB")
    row.none(large_pictures_refused=len(refused))
    row.at_most(1, "WebP stored at half its sides, having a photograph as its alpha", len(halved))
    assert refused == []
    assert set(halved) <= {"WEBP"}


async def sent_beside_health(world: Broken, pictures: dict[str, bytes]) -> tuple[dict[str, int], list[float]]:
    """The status of each picture over HTTP, and the seconds of each answer of /health/live meanwhile (5: none)."""
    health: list[float] = []
    address, ops = world.api.address, {"Authorization": f"Bearer {KEYS['ops']}"}
    async with (
        httpx.AsyncClient(base_url=address, timeout=5) as asking,
        httpx.AsyncClient(base_url=address, timeout=60, headers=ops) as sending,
    ):

        async def ask() -> None:
            while True:
                began = time.monotonic()
                try:
                    alive = (await asking.get("/health/live")).is_success
                except httpx.TransportError:
                    alive = False
                health.append(time.monotonic() - began if alive else 5)
                await asyncio.sleep(0.02)

        (await sending.post("/posts", json={"posts": [{"post_id": "shown", "title": "shown"}]})).raise_for_status()
        beside = asyncio.create_task(ask())
        statuses = {
            name: (await sending.put("/posts/shown/picture", content=content)).status_code
            for name, content in pictures.items()
        }
        beside.cancel()
        (await sending.delete("/posts/shown")).raise_for_status()
    return statuses, health


@pytest.mark.trust(28)
@pytest.mark.slow
def test_the_service_lives_while_hostile_and_large_pictures_come(row: Row, world: Broken) -> None:
    upright = islice(largest(), 8)
    good = {kind: content for kind, _, content in upright} | animations(2_000)

    statuses, health = asyncio.run(sent_beside_health(world, bombs() | good))

    row.done = f"{len(statuses)} over HTTP, {len(good)} of them good, and /health/live {len(health)} times meanwhile"
    row.none(bombs_taken_over_http=sum(statuses[name] not in (413, 422) for name in bombs()))
    row.none(large_pictures_refused_over_http=sum(statuses[name] != 200 for name in good))
    row.at_most(1, "longest answer of /health/live", max(health), "s")
    assert len(health) > len(statuses)
