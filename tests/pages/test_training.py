from __future__ import annotations

import pytest

from app.pages.admin.charts import EDGE, SIDE, reliability_chart
from app.pages.admin.training import figure_table, figure_tables, reliability_of


def test_groups_of_figures_become_rows_and_single_figures_go_into_the_title() -> None:
    matching = {"targets": 206, "recall@10": {"trained": 0.29612, "random": 0.0131}, "recall@20": {"trained": 0.5}}

    table = figure_table("matching", matching)

    assert table.title == "matching, targets 206"
    assert table.columns == ["trained", "random"]
    assert table.rows == [("recall@10", ["0.296", "0.013"]), ("recall@20", ["0.500", ""])]


def test_groups_within_groups_become_tables_of_their_own() -> None:
    evaluation = {"samples": 9, "groups": {"cold": {"click": {"auc": 0.5}}, "warm": {"click": {"auc": 0.7}}}}

    tables = figure_tables(evaluation)

    assert [(table.title, table.rows) for table in tables] == [
        ("groups: cold", [("click", ["0.500"])]),
        ("groups: warm", [("click", ["0.700"])]),
    ]


def test_what_happens_as_often_as_promised_lies_on_the_diagonal() -> None:
    chart = reliability_chart([(0.1, 0.1, 50), (0.2, 0.3, 50), (0.5, 0.5, 50)])

    (x, y), (_, above), last = chart.points
    assert x == pytest.approx(SIDE - y)
    assert above < SIDE - EDGE - 0.2 * (SIDE - 2 * EDGE) / 0.5, "more happened than was promised: above the diagonal"
    assert last == (SIDE - EDGE, EDGE)
    assert chart.highest == 0.5


def test_nothing_happened_and_nothing_promised_is_drawn_too() -> None:
    assert reliability_chart([(0.0, 0.0, 5)]).points == [(EDGE, SIDE - EDGE)]


def test_reports_from_before_the_diagrams_have_none() -> None:
    assert reliability_of({"behaviours": {"click": {"auc": 0.7, "calibration": 1.0}}}) == []
