"""`make bench`: every published figure in one table, each beside its floor measured in the same run.

    python -m scripts.bench [ROW ...] [--movielens FOLDER] [--candidates N,N]

Needs nothing but the development set-up: embedded stores in a temporary folder, free ports, the demo's pictures. The
figures of MovieLens need the data: a folder with ratings.csv, users.csv, posts.jsonl and pictures/.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from tempfile import mkdtemp

from app.errors import TuwenError
from scripts.bench_continued import measure_continued
from scripts.bench_demo import measure_demo
from scripts.bench_encoding import measure_encoding
from scripts.bench_figures import Figure, machine, print_table
from scripts.bench_import import measure_import
from scripts.bench_movielens import measure_movielens
from scripts.bench_processes import say
from scripts.bench_recommend import measure_recommend
from scripts.bench_scaled import measure_scaled
from scripts.bench_training import measure_training
from scripts.bench_truth import measure_truth
from scripts.bench_world import TINY, BenchWorld, Sizes, filled_home

ROWS = ("import", "training", "reindex", "recommend", "scaled", "demo", "movielens", "continued", "truth")
OF_MOVIELENS = {"movielens", "continued"}  # rows that need the data
STOP_SECONDS = 30.0  # for servers that nobody uses any longer
PROBLEMS = (TuwenError, subprocess.CalledProcessError, TimeoutError)


class Bench:
    """The rows, each in a folder of its own; those that need a filled home share one."""

    def __init__(self, folder: Path, sizes: Sizes, movielens: Path | None) -> None:
        self._folder = folder
        self._sizes = sizes
        self._movielens = movielens

    @cached_property
    def _world(self) -> BenchWorld:
        return filled_home(self._folder / "world", self._sizes)

    def measure(self, row: str) -> list[Figure]:
        """The figures of one row."""
        if row == "import":
            return measure_import(self._folder / "import", self._sizes)
        if row == "training":
            return measure_training(self._world, self._sizes)
        if row == "reindex":
            return measure_encoding(self._world, self._sizes)
        if row == "recommend":
            return measure_recommend(self._world, self._sizes)
        if row == "scaled":
            return measure_scaled(self._world, self._sizes)
        if row == "demo":
            return measure_demo(self._folder / "demo")
        if row == "truth":
            return measure_truth(self._folder / "truth")
        assert self._movielens is not None
        if row == "continued":
            return measure_continued(self._movielens, self._folder / "continued")
        return measure_movielens(self._movielens, self._folder / "movielens")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 only when a row could not be measured."""
    chosen = _parse(arguments)
    groups, failed = [], 0
    about = machine()
    with temporary_folder() as folder:
        sizes = TINY if chosen.tiny else Sizes()
        if chosen.candidates:
            sizes = replace(sizes, candidates=chosen.candidates)
        bench = Bench(folder, sizes, chosen.movielens)
        for row in chosen.rows:
            say(f"{row}:")
            try:
                groups.append((row, bench.measure(row)))
            except PROBLEMS as problem:
                failed += 1
                groups.append((row, [Figure("could not be measured", None, note=str(problem))]))
    print(about)
    print_table(groups)
    return 1 if failed else 0


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder that goes when the block ends and the embedded servers in it have stopped."""
    folder = Path(mkdtemp(prefix="tuwen-bench-"))
    try:
        yield folder
    finally:
        deadline = time.monotonic() + STOP_SECONDS
        while any(folder.glob("*/**/postmaster.pid")) and time.monotonic() < deadline:
            time.sleep(0.5)
        while folder.exists() and time.monotonic() < deadline:
            shutil.rmtree(folder, ignore_errors=True)  # until the servers' keepers have written their last


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.bench", description="every published figure in one table")
    parser.add_argument("rows", nargs="*", metavar="ROW", help=f"any of {', '.join(ROWS)}; without one, all")
    parser.add_argument("--movielens", type=Path, metavar="FOLDER", help="MovieLens-100k with posters")
    parser.add_argument("--tiny", action="store_true", help="next to no data: shows that it runs, measures nothing")
    parser.add_argument("--candidates", type=_numbers, metavar="N,N", help="sizes of the row scaled, growing")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.rows) - set(ROWS)
    if unknown:
        parser.error(f"unknown row {', '.join(sorted(unknown))}; known are {', '.join(ROWS)}")
    if OF_MOVIELENS & set(chosen.rows) and chosen.movielens is None:
        parser.error(f"{' and '.join(sorted(OF_MOVIELENS))} need --movielens FOLDER")
    if chosen.movielens is not None and not (chosen.movielens / "ratings.csv").exists():
        parser.error(f"{chosen.movielens} has no ratings.csv: give the folder with MovieLens-100k and its posters")
    if not chosen.rows:
        chosen.rows = [row for row in ROWS if row not in OF_MOVIELENS or chosen.movielens]
    return chosen


def _numbers(text: str) -> tuple[int, ...]:
    """Raises ValueError."""
    return tuple(int(one) for one in text.split(","))


if __name__ == "__main__":
    sys.exit(main())
