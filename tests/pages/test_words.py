from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

from app.pages.admin.frame import ROOMS
from app.pages.admin.why import BARRED_WORDS
from app.pages.words import NAMES, chinese, translator

PAGES = Path(__file__).parents[2] / "app" / "pages"
WORDS = re.compile(r"""\bt\(\s*(?:"((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)')\s*([,)])""")


def _used() -> Iterator[str]:
    """What templates and rooms ask to be translated, as far as it stands there in full."""
    for file in (*PAGES.glob("templates/**/*.html"), *PAGES.glob("admin/*.py")):
        yield from (found[0] or found[1] for found in WORDS.findall(file.read_text()))
    yield from BARRED_WORDS.values()
    yield from NAMES.values()
    for group, rooms in ROOMS:
        yield from (group, *(room.title for room in rooms))


def test_all_words_of_the_console_have_their_chinese() -> None:
    assert sorted({words for words in _used() if words not in chinese()}) == []


def test_the_chinese_has_the_places_of_the_english() -> None:
    def places(words: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(words) if name}

    assert [english for english, words in chinese().items() if places(english) != places(words)] == []


def test_a_name_of_the_code_is_told_in_words_of_either_language() -> None:
    assert translator("en")("origin_trained") == "training on the log"
    assert translator("zh")("origin_trained") == "用日志训练"
