"""Perceptual prints: 63 bits per picture, few of which differ between two copies of one picture, however re-encoded.

The signs of the lowest frequencies of the grey picture against their median (pHash). Kept with the post; 0 stands for a
picture that shows too little to be told from others.
"""

from __future__ import annotations

import io

import numpy as np
from PIL import Image

SIDE = 32  # pixels of the shrunken picture
LARGE_SIDE = 2048  # pixels
LOW = 8  # lowest frequencies in each direction; without the mean that makes 63 bits, which PostgreSQL's bigint holds
FLAT_CONTRAST = 4.0  # standard deviation of the grey, of 255, below which a picture shows nothing
NOTHING_TO_TELL = 0

_PLACES, _WAVES = np.arange(SIDE), np.arange(LOW)
COSINES = np.cos(np.pi * (2 * _PLACES[None, :] + 1) * _WAVES[:, None] / (2 * SIDE))  # (LOW, SIDE)
BITS = 1 << np.arange(LOW * LOW - 1, dtype=np.int64)


def print_of(content: bytes) -> int:
    """The print of a picture that has been checked; 0 where it shows too little, or cannot be read after all."""
    try:
        with Image.open(io.BytesIO(content)) as picture:
            picture.draft("RGB", (4 * SIDE, 4 * SIDE))
            if "A" in picture.getbands() or "transparency" in picture.info:
                # A large one is thinned out first: three more copies of it would take half a gigabyte.
                size = (min(picture.width, LARGE_SIDE), min(picture.height, LARGE_SIDE))
                shown = picture.resize(size, Image.Resampling.NEAREST).convert("RGBA")
                white = Image.new("RGBA", shown.size, "white")
                small = Image.alpha_composite(white, shown).convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
            else:
                small = picture.convert("L").resize((SIDE, SIDE), Image.Resampling.BOX)
    except (OSError, ValueError, SyntaxError):
        return NOTHING_TO_TELL
    grey = np.asarray(small, np.float64)
    if grey.std() < FLAT_CONTRAST:
        return NOTHING_TO_TELL
    low = (COSINES @ grey @ COSINES.T).ravel()[1:]
    return int(BITS[low > np.median(low)].sum())
