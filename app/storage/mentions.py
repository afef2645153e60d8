"""A rejected item, or a row of text -> every word in it that may be somebody's id."""

from __future__ import annotations

import csv
import re

import orjson

_WORDS = re.compile(r"[\w-]+")
_BETWEEN = re.compile(r"""[\s,;"'{}\[\]]+""")
_QUOTED = re.compile(r'"(?:[^"\\]|\\.)*"')


def mentions_of(item: object) -> set[str]:
    """All texts and numbers of a parsed item as texts, names of its fields included, however deep."""
    found: set[str] = set()
    waiting = [item]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one, *one.values()]
        elif isinstance(one, list | tuple):
            waiting += one
        elif isinstance(one, str):
            found.add(one)
        elif isinstance(one, int | float) and not isinstance(one, bool):
            found.add(str(int(one)) if isinstance(one, float) and one.is_integer() else str(one))
    return found


def mentions_in(text: str) -> set[str]:
    """The same of text that may be JSON, CSV or neither: its values as far as it can be read, and its words."""
    found = {*_WORDS.findall(text), *_BETWEEN.split(text)}
    for part in (text, *_QUOTED.findall(text), *_cells(text)):
        try:
            found |= mentions_of(orjson.loads(part))
        except ValueError:
            found.add(part)
    return found


def _cells(text: str) -> list[str]:
    try:
        return [cell for row in csv.reader(text.splitlines(keepends=True)) for cell in row]
    except csv.Error:
        return []
