from __future__ import annotations

import csv
import io
from datetime import UTC, datetime

import pytest

from app.pages.admin.charts import line_chart
from app.pages.admin.sheets import cell, sheet


@pytest.mark.parametrize("words", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =HYPERLINK(1)", "＝1"])
def test_words_that_would_run_in_a_spreadsheet_are_made_text(words: str) -> None:
    assert cell(words) == f"'{words}"


@pytest.mark.parametrize(
    ("value", "words"), [(-1.5, "-1.5"), (3, "3"), (True, "true"), (None, ""), ("牛角面包", "牛角面包")]
)
def test_numbers_and_plain_words_stay_as_they_are(value: object, words: str) -> None:
    assert cell(value) == words


def test_a_sheet_is_read_back_as_it_was() -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    answer = sheet("posts", ("title", "at"), [('a "quoted", line\nbreak', at)])

    rows = list(csv.reader(io.StringIO(bytes(answer.body).decode("utf-8-sig"), newline="")))

    assert rows == [["title", "at"], ['a "quoted", line\nbreak', "2026-03-01T00:00:00+00:00"]]
    assert answer.headers["Content-Disposition"] == 'attachment; filename="posts.csv"'


def test_a_line_has_gaps_where_nothing_is_known_and_reaches_its_highest() -> None:
    chart = line_chart([0.0, None, 1.0, 2.0])

    assert chart.path.count("M") == 2
    assert (chart.highest, chart.latest) == (2.0, 2.0)
    assert chart.path.endswith("236.0 4.0")
    assert line_chart([None, None]).path == ""
