from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.errors import BadSettings
from demo.files import DemoFiles, open_beginning, write_files

NOW = datetime(2026, 3, 15, 9, 30, tzinfo=UTC)


def test_the_files_name_pictures_that_exist_and_a_second_writing_changes_nothing(tmp_path: Path) -> None:
    files = DemoFiles(tmp_path / "demo")
    world = open_beginning(files, NOW).world
    small = type(world)(world.posts[:12], world.people, world.began_at)
    counted: list[int] = []

    write_files(files, small, lambda done, _: counted.append(done))
    first = files.posts.read_bytes()
    write_files(files, small, lambda done, _: None)

    lines = [json.loads(line) for line in first.splitlines()]
    assert counted == list(range(1, 13))
    assert files.posts.read_bytes() == first
    assert all((files.folder / line["picture"]).read_bytes().startswith(b"\x89PNG") for line in lines)
    assert {line["attributes"]["licence"] for line in lines} == {"CC BY-SA 4.0"}
    assert len(files.users.read_text().splitlines()) == len(world.people)


def test_a_later_start_opens_the_same_world(tmp_path: Path) -> None:
    files = DemoFiles(tmp_path / "demo")

    first = open_beginning(files, NOW)
    later = open_beginning(files, NOW.replace(month=5))

    assert later == first


def test_an_interrupted_replay_is_remembered(tmp_path: Path) -> None:
    files = DemoFiles(tmp_path)
    assert files.replayed_until() is None

    files.note_replayed(NOW)

    assert files.replayed_until() == NOW


def test_a_home_of_another_catalogue_is_refused(tmp_path: Path) -> None:
    files = DemoFiles(tmp_path / "demo")
    open_beginning(files, NOW)
    kept = json.loads(files.beginning.read_text())
    files.beginning.write_text(json.dumps(kept | {"catalogue": "of another version"}))

    with pytest.raises(BadSettings, match="another version"):
        open_beginning(files, NOW)
