"""Untrusted picture bytes -> bytes to keep, upright and without the camera's notes, or what is wrong with them."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageOps

from app.domain import PictureStatus

FORMATS = ("JPEG", "PNG", "WEBP")
REENCODED_QUALITY = 92
THUMBNAIL_QUALITY = 80
# What a file may say of itself beside its pixels; anything else may be a place, a name or a date, and is dropped.
_HARMLESS = frozenset(
    {
        *("icc_profile", "gamma", "chromaticity", "srgb", "transparency", "background", "dpi", "aspect", "bit_depth"),
        *("jfif", "jfif_version", "jfif_unit", "jfif_density", "adobe", "adobe_transform"),
        *("interlace", "progressive", "progression"),
        *("loop", "duration", "timestamp", "default_image", "bbox", "blend", "disposal", "mp", "mpoffset"),
    }
)
_HARMLESS_SEGMENTS = frozenset({"APP0", "APP2", "APP14"})  # JFIF, colour profile, Adobe's colour transform
_JPEG_END = b"\xff\xd9"
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
    """A JPEG, PNG or WebP that decodes to the end, as it is to be stored; or the status that says why not."""
    if len(content) > max_bytes:
        return PictureStatus.TOO_LARGE
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            # The header tells the size: a bomb is refused before a pixel of it is decoded.
            if picture.width * picture.height > max_megapixels * 1_000_000:
                return PictureStatus.TOO_LARGE
            if _says_more(picture, content):
                return _pixels_alone(picture)
            # JPEG decodes at an eighth of its size and still shows damage anywhere in the file.
            picture.draft("RGB", (picture.width // 8, picture.height // 8))
            picture.load()
            # A PNG may have words behind its pixels.
            return _pixels_alone(picture) if _has_words(picture) else content
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return PictureStatus.TOO_LARGE
    except _DAMAGED:
        return PictureStatus.UNREADABLE


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


def _says_more(picture: Image.Image, content: bytes) -> bool:
    """Whether the file holds more than one picture and what is needed to show it."""
    if picture.format == "MPO" or getattr(picture, "is_animated", False) or _has_words(picture):
        return True
    segments = {name for name, _ in getattr(picture, "applist", ())}
    hides_something = picture.format == "JPEG" and not content.rstrip(b"\0\r\n ").endswith(_JPEG_END)
    return hides_something or bool(segments - _HARMLESS_SEGMENTS)


def _has_words(picture: Image.Image) -> bool:
    return not _HARMLESS.issuperset(name for name in picture.info if isinstance(name, str)) or bool(picture.getexif())


def _pixels_alone(picture: Image.Image) -> bytes:
    """The first or only picture, turned the way the camera was held, with nothing beside it but its colour profile."""
    encoding = "JPEG" if picture.format == "MPO" else str(picture.format)  # MPO: phones put a second view in a JPEG
    profile = picture.info.get("icc_profile")
    upright = ImageOps.exif_transpose(picture)
    upright.info = {}
    output = io.BytesIO()
    upright.save(output, encoding, quality=REENCODED_QUALITY, icc_profile=profile)
    return output.getvalue()
