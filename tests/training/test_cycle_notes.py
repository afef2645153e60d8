"""The notes of a cycle are followed as they were written, or not at all."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from app.plan import TrainingPlan
from app.training.cycle_notes import CYCLE, Cycle, read_notes, write_notes
from tests.models.tensors import small_sizes

NOTED = Cycle(
    base="20260101T000000-0001",
    arrived_since=datetime(2026, 1, 1, tzinfo=UTC),
    shown_since=None,
    arrived_until=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=8))),
    held_out_since=datetime(2026, 1, 2, tzinfo=UTC),
    plan=TrainingPlan().as_json(),
    network=asdict(small_sizes()),
)


@pytest.fixture
def folder(tmp_path):
    write_notes(NOTED, tmp_path)
    return tmp_path


def test_they_are_read_as_they_were_written(folder):
    read = read_notes(folder)

    assert read.sha256 == NOTED.sha256
    assert replace(read, plan={}, network={}) == replace(NOTED, plan={}, network={})
    assert read.plan == json.loads(json.dumps(NOTED.plan))


def test_no_flipped_bit_is_followed(folder, caplog):
    content = (folder / CYCLE).read_bytes()
    followed = []
    for at in range(len(content)):
        flipped = bytearray(content)
        flipped[at] ^= 1 << at % 8
        (folder / CYCLE).write_bytes(flipped)
        if read_notes(folder) is not None:
            followed.append(at)

    assert followed == []
    assert caplog.text.count("are damaged") == len(content)


@pytest.mark.parametrize(
    "changed",
    [{"arrived_until": 5}, {"arrived_until": "soon"}, {"arrived_until": None}, {"plan": []}, {"more": 1}, {"base": 1}],
)
def test_values_of_a_wrong_kind_are_not_followed(folder, changed):
    values = json.loads((folder / CYCLE).read_text())
    (folder / CYCLE).write_text(json.dumps(values | changed))

    assert read_notes(folder) is None


@pytest.mark.parametrize("content", ["", "[]", "5", "null", '"text"', "{}", "[" * 100_000])
def test_what_is_no_cycle_is_not_followed(folder, content):
    (folder / CYCLE).write_text(content)

    assert read_notes(folder) is None


def test_where_none_were_written_none_are_read(tmp_path, caplog):
    assert read_notes(tmp_path) is None
    assert caplog.text == ""
