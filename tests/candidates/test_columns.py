from datetime import UTC, datetime, timedelta

import numpy as np

from app.candidates.columns import PostColumns, latest_first, read_columns, write_columns
from app.domain import Post

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def posts(first: int, last: int) -> list[Post]:
    return [
        Post(
            f"p{number}",
            f"标题 {number}",
            picture_hash="ab" * 32 if number % 2 else None,
            category=f"c{number % 3}" if number % 4 else None,
            author_id=f"a{number}",
            tags=tuple(f"t{tag}" for tag in range(number % 4)),
            latitude=31.0 + number if number % 5 else None,
            published_at=NOW + timedelta(hours=number * 7 % 11) if number % 3 else None,
            attributes={"price": number},
            picture_print=2**63 + number,
        )
        for number in range(first, last)
    ]


def rows_of(columns: PostColumns) -> list[tuple[object, ...]]:
    return [columns.row(row) for row in range(len(columns))]


def test_columns_come_back_from_their_file_without_a_copy(tmp_path):
    made = PostColumns.of(posts(0, 30))
    hidden = np.arange(30) % 7 == 0
    write_columns(made, hidden, tmp_path / "posts.arrow")

    read = read_columns(tmp_path / "posts.arrow")

    assert rows_of(read.columns) == rows_of(made)
    assert read.hidden.tolist() == hidden.tolist()
    assert read.row_of.find(list(made.post_ids)).tolist() == list(range(30))
    assert not read.columns.expires_at.flags.owndata
    assert not read.columns.tags.codes.flags.owndata


def test_no_posts_make_a_file_too(tmp_path):
    write_columns(PostColumns.of([]), np.zeros(0, bool), tmp_path / "posts.arrow")

    assert len(read_columns(tmp_path / "posts.arrow").columns) == 0


def test_rows_that_follow_say_what_they_said_alone():
    both = PostColumns.of(posts(0, 20)).followed_by(PostColumns.of(posts(20, 30)))

    assert rows_of(both) == rows_of(PostColumns.of(posts(0, 30)))
    assert np.flatnonzero(both.tags.mask(["t2"])).tolist() == [row for row in range(30) if row % 4 == 3]
    assert np.flatnonzero(both.attributes.mask(['["price",25]', "nothing"])).tolist() == [25]


def test_the_latest_come_first_and_those_without_a_time_last():
    published = np.asarray([3.0, np.nan, 9.0, 3.0])

    assert latest_first(published).tolist() == [2, 0, 3, 1]
