"""Near copies of one picture: told by print and vector together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from app.candidates.vectors import Vectors
from app.recommend.room import COPY_BITS, LIKELY_COPY_BITS, Room
from tests.recommend.small_view import small_view

PRINT = 0b1010_1100_0111 << 20


def room_with(other_bits: int, *, alike: bool) -> tuple[Room, bool]:
    """A room with post 0 in it, and whether post 1 may join, whose print differs in some bits."""
    view = small_view(prints={0: PRINT, 1: PRINT ^ ((1 << other_bits) - 1)})
    vectors = view.vectors.base.copy()
    vectors[1] = vectors[0] if alike else -vectors[0]
    room = Room(replace(view, vectors=Vectors.of(vectors)))
    assert room.takes(0)
    return room, room.takes(1)


def test_the_same_picture_under_another_title_does_not_join():
    room, joined = room_with(COPY_BITS, alike=False)

    assert (joined, room.copies) == (False, 1)


def test_a_picture_a_little_different_does_not_join_when_the_vectors_agree():
    assert room_with(LIKELY_COPY_BITS, alike=True)[1] is False
    assert room_with(LIKELY_COPY_BITS, alike=False)[1] is True
    assert room_with(LIKELY_COPY_BITS + 1, alike=True)[1] is True


def test_many_posts_at_once_are_admitted_as_each_would_be_alone():
    view = small_view(prints={row: PRINT ^ ((1 << row) - 1) for row in range(40)})
    room = Room(view, category_posts_at_most=2)
    assert all([room.takes(0), room.takes(30)])
    rows = list(range(1, 60))

    alone = []
    for row in rows:
        other = Room(view, category_posts_at_most=2)
        assert all([other.takes(0), other.takes(30)])
        if other.takes(row):
            alone.append(row)

    assert room.admitted(rows) == alone
    assert 0 < len(alone) < len(rows)
    assert room.admitted([]) == []


def test_posts_without_a_print_always_join():
    room = Room(small_view())

    assert all(room.takes(row) for row in range(50))


def test_posts_without_author_or_category_have_no_limit():
    view = small_view()
    columns = replace(view.columns, author=replace(view.columns.author, codes=np.full(200, -1, np.int32)))
    room = Room(replace(view, columns=columns), author_posts_at_most=1)

    assert all(room.takes(row) for row in range(50))
