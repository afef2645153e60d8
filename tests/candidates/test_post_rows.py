from zlib import crc32

import numpy as np

from app.candidates.post_rows import UNKNOWN, PostRows
from app.candidates.texts import Texts

# Two ids with one hash, found by trying.
TWINS = ("plumless", "buckeroo")


def test_ids_that_share_a_hash_are_told_apart():
    assert crc32(TWINS[0].encode()) == crc32(TWINS[1].encode())
    rows = PostRows.of(Texts.of(["a", TWINS[0], "b", TWINS[1]]))

    assert (rows[TWINS[0]], rows[TWINS[1]]) == (1, 3)
    assert rows.find(["b", TWINS[1], "nobody", TWINS[0]]).tolist() == [2, 3, UNKNOWN, 1]


def test_every_id_is_found_and_no_other():
    ids = [f"post-{number}" for number in range(3000)]
    rows = PostRows.of(Texts.of(ids))

    assert rows.find(ids).tolist() == list(range(3000))
    assert [rows[post_id] for post_id in ids[:50]] == list(range(50))
    assert "post-3000" not in rows
    assert len(rows) == len(list(rows)) == 3000


def test_a_newer_post_lies_over_the_row_it_supersedes():
    old = PostRows.of(Texts.of(["a", "b"]))

    rows = old.with_newer({"b": 2, "c": 3})

    assert rows.find(["a", "b", "c"]).tolist() == [0, 2, 3]
    assert (rows["b"], old["b"]) == (2, 1)
    assert sorted(rows) == ["a", "b", "c"]
    assert len(rows) == 3


def test_no_post_has_no_rows():
    rows = PostRows.of(Texts.of([]))

    assert rows.find(["a"]).tolist() == [UNKNOWN]
    assert rows.find([]).dtype == np.int64
    assert "a" not in rows
