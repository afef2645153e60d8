"""Pictures of which each says something beside its pixels, in one of the places where files can."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO

from PIL import Image, ImageCms

from tests.intake.records import picture

SECRET = b"48.8584 N 2.2945 E"
GPS, DESCRIPTION = 0x8825, 0x010E


def exif() -> Image.Exif:
    """Notes with the secret as text and a place."""
    made = Image.Exif()
    made[DESCRIPTION] = SECRET.decode()
    made.get_ifd(GPS)[1] = "N"
    return made


def colour_profile() -> bytes:
    """An ICC profile of sRGB."""
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def segment(marker: int, content: bytes) -> bytes:
    """A segment of a JPEG."""
    return struct.pack(">BBH", 0xFF, marker, len(content) + 2) + content


def chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def webp_chunk(name: bytes, content: bytes) -> bytes:
    """A chunk of a WebP."""
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def webp_of(chunks: bytes) -> bytes:
    """The file of these chunks."""
    return b"RIFF" + struct.pack("<I", len(chunks) + 4) + b"WEBP" + chunks


def jpegs() -> dict[str, bytes]:
    """JPEGs that say more."""
    plain, other = picture(), picture(exif=exif())
    scans = picture(progressive=True)
    between = scans.rindex(b"\xff\xda")
    tables = scans.rfind(b"\xff\xc4", 0, between)
    thumbnail = segment(0xE0, b"JFIF\0\1\1\0\0\1\0\1\6\1" + SECRET)
    inserted = {
        "a comment": segment(0xFE, SECRET),
        "an EXIF": segment(0xE1, exif().tobytes()),
        "a JFXX thumbnail": segment(0xE0, b"JFXX\0\x10" + SECRET),
        "a foreign APP2": segment(0xE2, b"FPXR\0" + SECRET),
        "a foreign APP14": segment(0xEE, SECRET),
        "an Adobe segment that goes on": segment(0xEE, b"Adobe\0\x64\0\0\0\0\1" + SECRET),
        "a colour profile that is none": segment(0xE2, b"ICC_PROFILE\0\1\1" + SECRET),
        "a colour profile that goes on": segment(0xE2, b"ICC_PROFILE\0\1\1" + colour_profile() + SECRET),
    }
    return {
        "a JPEG behind a JPEG": plain + other,
        "a JPEG behind a progressive JPEG": scans + other,
        "zeros and words behind a JPEG": plain + bytes(99) + SECRET + b"\xff\xd9",
        "a thumbnail in the JFIF of a JPEG": plain[:2] + thumbnail + plain[20:],
        "a comment between the scans of a JPEG": scans[:tables] + segment(0xFE, SECRET) + scans[tables:],
        **{f"{name} in a JPEG": plain[:20] + more + plain[20:] for name, more in inserted.items()},
    }


def pngs() -> dict[str, bytes]:
    """PNGs that say more."""
    plain = picture("PNG")
    after_head, end = 8 + 25, len(plain) - 12
    inserted = {
        "text": chunk(b"tEXt", b"Comment\0" + SECRET),
        "a time": chunk(b"tIME", SECRET[:7]),
        "an EXIF": chunk(b"eXIf", exif().tobytes()[6:]),
        "an unknown chunk": chunk(b"prVt", SECRET),
        "a gamma that goes on": chunk(b"gAMA", struct.pack(">I", 45455) + SECRET),
        "two gammas": 2 * chunk(b"gAMA", SECRET[:4]),
    }
    return {
        "a larger PNG left behind a PNG": plain + SECRET + picture("PNG", size=(90, 60))[60:],
        "a chunk behind a PNG": plain + inserted["text"],
        **{f"{name} in a PNG": plain[:after_head] + more + plain[after_head:] for name, more in inserted.items()},
        **{
            f"{name} behind the pixels of a PNG": plain[:end] + inserted[name] + plain[end:]
            for name in ("text", "a time")
        },
    }


def webps() -> dict[str, bytes]:
    """WebPs that say more."""
    plain = picture("WEBP")
    return {
        "words behind a WebP": plain + SECRET,
        "a WebP behind a WebP": plain + picture("WEBP", exif=exif()),
        "an unknown chunk in a WebP": webp_of(plain[12:] + webp_chunk(b"PRVT", SECRET)),
        "a second picture in a WebP": webp_of(plain[12:] + webp_chunk(b"VP8 ", SECRET)),
        "an EXIF in a WebP": picture("WEBP", exif=exif()),
        "an XMP in a WebP": picture("WEBP", xmp=SECRET),
    }


def plain_pictures() -> dict[str, bytes]:
    """Pictures that say nothing more, of all kinds that are common."""
    profile = colour_profile()
    whole = Image.open(BytesIO(picture("PNG")))
    made = {f"a {one} with a colour profile": picture(one, icc_profile=profile) for one in ("JPEG", "PNG", "WEBP")}
    kinds = {
        "a JPEG of many scans": (whole, "JPEG", {"progressive": True}),
        "a JPEG with restarts": (whole, "JPEG", {"restart_marker_blocks": 1, "quality": 100}),
        "a JPEG of four inks": (whole.convert("CMYK"), "JPEG", {}),
        "a grey JPEG": (whole.convert("L"), "JPEG", {"dpi": (300, 300)}),
        "a PNG of a palette": (whole.convert("P"), "PNG", {"transparency": 0, "dpi": (72, 72)}),
        "a PNG with alpha": (whole.convert("RGBA"), "PNG", {}),
        "a grey PNG of 16 bits": (whole.convert("L").convert("I;16"), "PNG", {}),
        "a WebP with alpha": (Image.merge("RGBA", (*whole.split(), whole.convert("L"))), "WEBP", {}),
        "a lossless WebP": (whole, "WEBP", {"lossless": True}),
    }
    for name, (image, encoding, options) in kinds.items():
        output = BytesIO()
        image.save(output, encoding, **options)
        made[name] = output.getvalue()
    png = picture("PNG")
    return made | {"a PNG with a gamma": png[:33] + chunk(b"gAMA", struct.pack(">I", 45455)) + png[33:]}
