"""Picture bytes -> pixels, title -> cleaned text; the same code for training and serving."""

from __future__ import annotations

import io
import unicodedata

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

SIDE = 224  # pixels
FORMATS = ("JPEG", "PNG", "WEBP")
TITLE_CHARACTERS = 300  # a longer title is cut before it is split into tokens


def pixels_of(content: bytes) -> NDArray[np.uint8]:
    """Encoded picture -> (224, 224, 3) uint8 RGB, upright, squeezed to the square; transparency becomes white.

    Raises OSError or ValueError for bytes that are no readable JPEG, PNG or WebP.
    """
    with Image.open(io.BytesIO(content), formats=FORMATS) as opened:
        opened.draft("RGB", (2 * SIDE, 2 * SIDE))  # JPEG only: decode no more than is used
        picture = ImageOps.exif_transpose(opened)
        if picture.has_transparency_data:
            picture = picture.convert("RGBA")
            picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        return np.array(picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def clean_title(title: str) -> str:
    """NFC, without control characters, of bounded length."""
    kept = "".join(
        " " if unicodedata.category(letter) in {"Cc", "Cs"} else letter for letter in title[:TITLE_CHARACTERS]
    )
    return unicodedata.normalize("NFC", kept).strip()
