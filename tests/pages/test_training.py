from __future__ import annotations

from app.pages.admin.training import figure_table, figure_tables


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
