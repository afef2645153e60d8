"""A user's attributes -> traits: (name, value) words that are equal where two people are alike.

text        as it is                        ("gender", "M")
true, false "true", "false"                 ("vegetarian", "true")
age         bands of five years             24   -> ("age", "20-24")
numbers     bands between powers of two     5    -> ("visits", "4 to 8"), which holds 4 and not 8; 0 -> "0"
lists       one trait for each of the above ("likes", "ramen"), ("likes", "hotpot")

Whatever else there is (objects, nulls, long texts) says nothing comparable and makes no trait.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

TRAIT_CHARACTERS = 100
TRAITS_PER_USER = 200
AGE_BAND_YEARS = 5
OLDEST_YEARS = 130


def traits_of(attributes: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Distinct (name, value) words in a stable order; at most so many for one user."""
    traits: dict[tuple[str, str], None] = {}
    for name, value in attributes.items():
        for part in value if isinstance(value, list) else [value]:
            word = _word(name, part)
            if word and 0 < len(name) <= TRAIT_CHARACTERS and len(word) <= TRAIT_CHARACTERS:
                traits[name, word] = None
    return sorted(traits)[:TRAITS_PER_USER]


def _word(name: str, value: object) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, int | float):
        return None
    if name == "age" and 0 <= value < OLDEST_YEARS:
        youngest = int(value) // AGE_BAND_YEARS * AGE_BAND_YEARS
        return f"{youngest}-{youngest + AGE_BAND_YEARS - 1}"
    return _band(value)


def _band(number: float) -> str:
    """The band of a number between neighbouring powers of two, the larger in size not included."""
    if number == 0:
        return "0"
    # frexp: |number| = mantissa * 2**exponent with mantissa in [1/2, 1)
    exponent = math.frexp(abs(number))[1]
    lower, upper = math.ldexp(1.0, exponent - 1), 2 * math.ldexp(1.0, exponent - 1)
    return f"{lower:.15g} to {upper:.15g}" if number > 0 else f"-{lower:.15g} to -{upper:.15g}"
