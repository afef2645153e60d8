"""Picture bytes -> whether the file holds the parts that show its pixels, and nothing beside, between or behind them.

A part that is not known here may be a place, a name, a date, or another picture. Whether the known ones are whole is
for a decoder to say.
"""

from __future__ import annotations

import re
import struct

PNG_START, WEBP_START, JPEG_START = b"\x89PNG\r\n\x1a\n", b"RIFF", b"\xff\xd8"
JPEG_END = b"\xff\xd9"
ANY_LENGTH = 1 << 32
# Part -> the most bytes that it needs.
_PNG_PARTS = {
    **{b"IHDR": 13, b"PLTE": 3 * 256, b"IDAT": ANY_LENGTH, b"IEND": 0, b"tRNS": 256, b"bKGD": 6, b"sBIT": 4},
    **{b"gAMA": 4, b"cHRM": 32, b"sRGB": 1, b"cICP": 4, b"iCCP": ANY_LENGTH, b"pHYs": 9},
}
_WEBP_PARTS = {b"VP8 ": ANY_LENGTH, b"VP8L": ANY_LENGTH, b"VP8X": 10, b"ALPH": ANY_LENGTH, b"ICCP": ANY_LENGTH}
# Frame, tables and scan; JFIF without a thumbnail, a piece of a colour profile, Adobe's colour transform.
_JPEG_PART = re.compile(
    rb"\xff(?:[\xc0\xc1\xc2\xc4\xda\xdb\xdd]|\xe0\x00\x10JFIF\0.{7}\0\0|\xe2..ICC_PROFILE\0|\xee\x00\x0eAdobe)",
    re.DOTALL,
)
_JPEG_SCAN = b"\xff\xda"
SCANS_AT_MOST = 100  # a progressive JPEG has a dozen; each takes a decoder as long as the whole picture
_BEHIND_SCAN = re.compile(rb"\xff[^\0\xd0-\xd7]")  # within a scan 0xff comes before 0, or counts a restart
_PNG_HEAD, _WEBP_HEAD, _JPEG_HEAD = struct.Struct(">I4s"), struct.Struct("<4sI"), struct.Struct(">2sH")


def shows_only_pixels(content: bytes) -> bool:
    """Whether a JPEG, PNG or WebP has only known parts, and ends where the last of them does."""
    if content.startswith(PNG_START):
        return _is_plain_png(content)
    return _is_plain_webp(content) if content.startswith(WEBP_START) else _is_plain_jpeg(content)


def has_too_many_scans(content: bytes) -> bool:
    """Whether a JPEG would have a decoder go over its pixels again and again."""
    return content.startswith(JPEG_START) and content.count(_JPEG_SCAN) > SCANS_AT_MOST


def is_colour_profile(profile: bytes) -> bool:
    """Whether these bytes are an ICC profile, and no more than that."""
    return profile[36:40] == b"acsp" and int.from_bytes(profile[:4], "big") == len(profile)


def _is_plain_png(content: bytes) -> bool:
    length: int
    at, seen = len(PNG_START), set()
    while at + _PNG_HEAD.size <= len(content):
        length, name = _PNG_HEAD.unpack_from(content, at)
        if length > _PNG_PARTS.get(name, -1) or (name in seen and name != b"IDAT"):
            return False
        seen.add(name)
        at += _PNG_HEAD.size + length + 4  # the checksum
        if name == b"IEND":
            return at == len(content)
    return False


def _is_plain_webp(content: bytes) -> bool:
    length: int
    at, seen = len(b"RIFF....WEBP"), set()
    while at + _WEBP_HEAD.size <= len(content):
        name, length = _WEBP_HEAD.unpack_from(content, at)
        if length > _WEBP_PARTS.get(name, -1) or name in seen:
            return False
        seen.add(name)
        at += _WEBP_HEAD.size + length + length % 2
    return at == len(content) == int.from_bytes(content[4:8], "little") + _WEBP_HEAD.size


def _is_plain_jpeg(content: bytes) -> bool:
    at = len(JPEG_START)
    while _JPEG_PART.match(content, at) and at + _JPEG_HEAD.size <= len(content):
        marker, length = _JPEG_HEAD.unpack_from(content, at)
        at += 2 + length
        if marker == _JPEG_SCAN:
            behind = _BEHIND_SCAN.search(content, at)
            at = behind.start() if behind else len(content)
    return content[at:] == JPEG_END
