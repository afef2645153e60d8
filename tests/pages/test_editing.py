"""What becomes of a post whose form is sent."""

from __future__ import annotations

import pytest

from app.domain import Post
from app.pages.admin.post import _edited
from app.pages.admin.posts import _counts
from app.storage.rates import Rates

POST = Post("p", "old", tags=("salt, pepper", "tea"))


@pytest.mark.parametrize(
    ("typed", "tags"),
    [("salt, pepper, tea", ["salt, pepper", "tea"]), ("salt, tea，茶", ["salt", "tea", "茶"]), ("", [])],
)
def test_tags_that_nobody_touched_stay_as_they_are(typed: str, tags: list[str]) -> None:
    edited = _edited(POST, {"title": "new", "category": "", "city": "", "tags": typed})

    assert (edited.title, edited.tags) == ("new", tags)


def test_a_sheet_has_no_zeros_where_nothing_could_be_counted() -> None:
    assert set(_counts(None)) == {None}
    assert set(_counts(Rates())) == {0}
    assert len(_counts(None)) == len(_counts(Rates()))
