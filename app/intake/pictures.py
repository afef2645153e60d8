"""Untrusted picture bytes -> bytes to keep, upright and without the camera's notes, or what is wrong with them."""

from __future__ import annotations

import io
import struct
import warnings
import zlib

from PIL import Image, ImageOps

from app.domain import PictureStatus
from app.intake.picture_parts import (
    JPEG_START,
    PNG_START,
    has_too_many_scans,
    is_colour_profile,
    shows_only_pixels,
)

FORMATS = ("JPEG", "PNG", "WEBP")
REENCODED_QUALITY = 92
THUMBNAIL_QUALITY = 80
LARGER_JPEG = 4  # times the pixels of other pictures
# All that decoders were seen to raise on damaged files; every one of them means that the picture cannot be read.
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    ArithmeticError,
    LookupError,
    TypeError,
    EOFError,
    RuntimeError,
    struct.error,
    zlib.error,
)


def check_picture(content: bytes, *, max_bytes: int, max_megapixels: float) -> bytes | PictureStatus:
    """A JPEG, PNG or WebP that decodes to the end, as it is to be stored; or the status that says why not.

    A JPEG may have `LARGER_JPEG` times as many pixels: it is decoded, and stored, at half its width and height.
    """
    if len(content) > max_bytes:
        return PictureStatus.TOO_LARGE
    if has_too_many_scans(content):
        return PictureStatus.UNREADABLE
    most_pixels = int(max_megapixels * 1_000_000)
    is_larger = False
    try:
        with _opened(content, most_pixels) as picture:
            is_larger = picture.width * picture.height > most_pixels
            if is_larger:
                picture.draft(None, (picture.width // 2, picture.height // 2))
            elif _is_plain(picture, content):
                # JPEG decodes at an eighth of its size and still shows damage anywhere in the file.
                picture.draft("RGB", (picture.width // 8, picture.height // 8))
                picture.load()
                return content
            upright = _upright(picture)
        del picture  # a WebP's decoder holds two copies of its pixels
        return _encoded(upright, _encoding_of(content))
    except Image.DecompressionBombError:
        return PictureStatus.TOO_LARGE
    except _DAMAGED:
        # Some need all their pixels at once even at half their size: what is larger and cannot be read is too large.
        return PictureStatus.TOO_LARGE if is_larger else PictureStatus.UNREADABLE


def shrink_picture(content: bytes, *, side: int) -> bytes | PictureStatus:
    """A stored picture so small that its longer side has `side` pixels, as WebP; as it is where it is no larger."""
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if max(picture.size) <= side:
                return content
            picture.thumbnail((side, side))
            output = io.BytesIO()
            picture.save(output, "WEBP", quality=THUMBNAIL_QUALITY, icc_profile=picture.info.get("icc_profile"))
            return output.getvalue()
    except _DAMAGED:
        return PictureStatus.UNREADABLE


def _opened(content: bytes, most_pixels: int) -> Image.Image:
    """The picture, of which only the head was read. Raises DecompressionBombError when that tells of too many pixels.

    Pillow compares before a WebP's decoder takes memory for them. Its limit is the process's: use no threads.
    """
    allowed = most_pixels * LARGER_JPEG if content.startswith(JPEG_START) else most_pixels
    before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, allowed // 2  # it warns at that and refuses at twice that
    try:
        with warnings.catch_warnings(action="ignore", category=Image.DecompressionBombWarning):
            return Image.open(io.BytesIO(content), formats=FORMATS)
    finally:
        Image.MAX_IMAGE_PIXELS = before


def _is_plain(picture: Image.Image, content: bytes) -> bool:
    """Whether the file holds one picture and what is needed to show it, and nothing more."""
    profile = picture.info.get("icc_profile")
    return shows_only_pixels(content) and (profile is None or is_colour_profile(profile))


def _upright(picture: Image.Image) -> Image.Image:
    """The first or only picture, turned the way the camera was held, with nothing beside it but its colours."""
    upright = ImageOps.exif_transpose(picture)
    profile, transparency = picture.info.get("icc_profile"), picture.info.get("transparency")
    upright.info = {} if transparency is None else {"transparency": transparency}
    if profile is not None and is_colour_profile(profile):
        upright.info["icc_profile"] = profile
    return upright


def _encoded(picture: Image.Image, encoding: str) -> bytes:
    """The file; at half its width and height where there is no memory for all, as for a large WebP full of detail."""
    output = io.BytesIO()
    try:
        picture.save(output, encoding, quality=REENCODED_QUALITY, icc_profile=picture.info.get("icc_profile"))
    except (MemoryError, ValueError):  # the latter is "encoding error 1", libwebp's word for it
        picture.thumbnail((picture.width // 2, picture.height // 2))
        picture.save(output, encoding, quality=REENCODED_QUALITY, icc_profile=picture.info.get("icc_profile"))
    return output.getvalue()


def _encoding_of(content: bytes) -> str:
    if content.startswith(JPEG_START):
        return "JPEG"  # also where Pillow says MPO: phones put a second view in a JPEG
    return "PNG" if content.startswith(PNG_START) else "WEBP"
