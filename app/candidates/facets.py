"""A post's attributes -> words that are equal where name and value are, so that filters can ask for them like tags."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

WORDS_AT_MOST = 100  # of one post; attributes beyond them are kept, but no filter finds them
WORD_CHARACTERS = 300


def attribute_words(attributes: Mapping[str, Any]) -> tuple[str, ...]:
    """One word for each plain value; of a list, one for each of its values. Objects within have none."""
    words: dict[str, None] = {}
    for name, value in attributes.items():
        for one in value if isinstance(value, list) else (value,):
            if isinstance(one, str | int | float):
                words[attribute_word(name, one)] = None
    return tuple([word for word in words if len(word) <= WORD_CHARACTERS][:WORDS_AT_MOST])


def attribute_word(name: str, value: str | float | bool) -> str:
    """The word of one name and value; 2 and 2.0 are the same, 1 and true are not."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return orjson.dumps((name, value)).decode()
