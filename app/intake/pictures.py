"""Untrusted picture bytes -> bytes to keep, upright and without the camera's notes, or what is wrong with them."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image, ImageOps

from app.domain import PictureStatus

FORMATS = ("JPEG", "PNG", "WEBP")
REENCODED_QUALITY = 92
# Where cameras and editors write places, names and dates.
_METADATA = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif", "photoshop", "comment")
# All that decoders were seen to raise on damaged files; every one of them means that the picture cannot be read.
_DAMAGED = (
    OSError,
    ValueError,
    SyntaxError,
    ArithmeticError,
    LookupError,
    TypeError,
    EOFError,
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
            if _has_metadata(picture):
                return _without_metadata(picture)
            # JPEG decodes at an eighth of its size and still shows damage anywhere in the file.
            picture.draft("RGB", (picture.width // 8, picture.height // 8))
            picture.load()
            return content
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        return PictureStatus.TOO_LARGE
    except _DAMAGED:
        return PictureStatus.UNREADABLE


def _has_metadata(picture: Image.Image) -> bool:
    return any(picture.info.get(name) for name in _METADATA) or bool(picture.getexif())


def _without_metadata(picture: Image.Image) -> bytes:
    """The pixels, turned the way the camera was held, encoded again with nothing but their colour profile."""
    encoding = "JPEG" if picture.format == "MPO" else str(picture.format)  # MPO: phones put a second view in a JPEG
    profile = picture.info.get("icc_profile")
    upright = ImageOps.exif_transpose(picture)
    upright.info = {}
    output = io.BytesIO()
    upright.save(output, encoding, quality=REENCODED_QUALITY, icc_profile=profile)
    return output.getvalue()
