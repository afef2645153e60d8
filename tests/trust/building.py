"""`python -m tests.trust.building FOLDER KILLS`: builds generations in children that are killed, and counts harm.

First once before every step that Python sees (a file opened, a folder made, a rename), then at random moments. The
interpreter's own audit events tell of the steps: the product knows nothing of it. Prints the counts as JSON.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from app.candidates.encode import use_threads
from app.candidates.generation import TEMPORARY, GenerationFolder
from app.errors import BadArtefact, UnknownId
from tests.candidates.worlds import contents

NOW = datetime(2026, 1, 1, tzinfo=UTC)
STEPS = {"open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "shutil.rmtree"}
KEPT = 2


def build(folder: GenerationFolder, seed: int) -> str:
    """What a reindex does once everything is encoded."""
    generation = folder.write(contents(seed=seed), origin="start", parent=None, changes_until=NOW)
    folder.promote(generation)
    folder.prune(KEPT)
    return generation


def on_each_step(home: Path, act: Callable[[int], None]) -> None:
    """Call with the number of the step before each step in this folder."""
    number = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal number
        if event in STEPS and arguments and str(home) in str(arguments[0]):
            number += 1
            act(number)

    sys.addaudithook(hook)


def forked(work: Callable[[], object]) -> int:
    """The process id of a child that does it."""
    pid = os.fork()
    if pid == 0:
        work()
        os._exit(0)
    return pid


def kill_before(step: int, home: Path, folder: GenerationFolder) -> None:
    """In a child: build until that step."""

    def act(number: int) -> None:
        if number == step:
            os.kill(os.getpid(), signal.SIGKILL)

    on_each_step(home, act)
    build(folder, step)


def steps_of_a_build(home: Path, folder: GenerationFolder) -> int:
    """How many there are."""
    reader, writer = os.pipe()

    def count() -> None:
        numbers: list[int] = []
        on_each_step(home, numbers.append)
        build(folder, 0)
        os.write(writer, str(len(numbers)).encode())

    os.waitpid(forked(count), 0)
    return int(os.read(reader, 20))


class Harm:
    """What the kills did."""

    def __init__(self, folder: GenerationFolder) -> None:
        self._folder = folder
        self.counts = {"kills": 0, "nothing_serves": 0, "next_build_fails": 0, "leftovers": 0}

    def look(self) -> None:
        """After a kill: does something serve, does the next build work, and is everything tidy after it."""
        self.counts["kills"] += 1
        try:
            self._folder.load(str(self._folder.current()))
        except (BadArtefact, UnknownId):
            self.counts["nothing_serves"] += 1
        self.counts["next_build_fails"] += build(self._folder, 1) != self._folder.current()

    def tidy(self, home: Path) -> None:
        """Folders that a killed build has left."""
        self.counts["leftovers"] += sum(path.is_dir() for path in home.glob(f"{TEMPORARY}*"))


def main() -> None:
    """Kill before every step, then at random."""
    home, kills = Path(sys.argv[1]), int(sys.argv[2])
    use_threads(1)
    folder = GenerationFolder(home)
    build(folder, 0)
    began = time.monotonic()
    build(folder, 0)
    build_seconds = time.monotonic() - began
    steps, harm, chance = steps_of_a_build(home, folder), Harm(folder), random.Random(9)
    for step in range(1, steps + 1):
        os.waitpid(forked(lambda step=step: kill_before(step, home, folder)), 0)
        harm.look()
        harm.tidy(home)
    for kill in range(kills):
        pid = forked(lambda kill=kill: build(folder, kill))
        time.sleep(chance.uniform(0, 1.2 * build_seconds))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        harm.look()
        harm.tidy(home)
    print(json.dumps(harm.counts | {"steps": steps}))


if __name__ == "__main__":
    main()
