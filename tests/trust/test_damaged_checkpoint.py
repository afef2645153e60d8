"""Row 11: nothing of a damaged checkpoint is trained on, and the damaged notes of a cycle are not followed."""

from __future__ import annotations

import random
from dataclasses import asdict
from datetime import UTC, datetime

import pytest

from app.training.cycle_notes import Cycle, read_notes, write_notes
from tests.toy_world import ToyWorld
from tests.training.test_checkpoint import Beginner
from tests.training.test_learning import CYCLE, PLAN, Lesson
from tests.trust.figures import Row
from tests.trust.test_damaged_files import damaged


@pytest.mark.trust(11)
def test_every_damage_to_a_checkpoint_or_its_cycle_is_refused_whole(row: Row, tmp_path, at_full):
    lesson = Lesson(tmp_path, ToyWorld(users_count=10, showings_each=30))
    lesson.train(tmp_path / "checkpoint")
    now = datetime.now(UTC)
    write_notes(Cycle(None, None, None, now, now, PLAN.as_json(), asdict(lesson.start.sizes)), tmp_path)
    beginner, chance, done = Beginner(lesson.start.sizes), random.Random(11), {"cut": 0, "flipped": 0}
    accepted = touched = followed = 0
    files = [tmp_path / "checkpoint", tmp_path / "cycle.json"]
    whole = {file: file.read_bytes() for file in files}

    for file in files:
        for _ in range(at_full(40, 500)):
            done[damaged(file, chance)] += 1
            accepted += file == files[0] and beginner.load(file, cycle=CYCLE) is not None
            followed += file == files[1] and read_notes(tmp_path) is not None
            touched += not beginner.is_untouched
            file.write_bytes(whole[file])

    row.done = (
        f"{done['flipped']} bits flipped, {done['cut']} ends cut off, in a trainer's checkpoint and its cycle.json"
    )
    row.none(checkpoints_accepted=accepted, networks_touched_by_a_refusal=touched, cycles_followed=followed)
    assert read_notes(tmp_path) is not None, "undamaged it is followed"
    assert beginner.load(files[0], cycle=CYCLE) is not None, "undamaged it is accepted"
