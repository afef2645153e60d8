"""`python -m tests.trust.training KILLS`: trains in children that are killed at random moments, and compares.

Once without a kill; then in fresh homes over the same log, killed and started again until the cycle is done. Settings
come from the environment. Prints the counts as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sys
import time
from pathlib import Path

import psycopg
import torch

from app import commands
from app.candidates.generation import GenerationFolder
from app.errors import Conflict
from app.settings import Settings, load_settings
from app.storage.jobs import GONE_AFTER
from app.training.cycle import CYCLE

DONE, NOT_YET = 0, 75  # exit codes of a child


def train(settings: Settings) -> None:
    """In a child: what `tuwen train` does."""
    os.setpgid(0, 0)
    with Path(settings.home.parent / "children.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        os._exit(asyncio.run(commands.train(argparse.Namespace(), settings)))
    except Conflict:  # the killed one is still taken for alive
        os._exit(NOT_YET)


def forked(settings: Settings) -> int:
    """The process id of a child that trains."""
    pid = os.fork()
    if pid == 0:
        train(settings)
    return pid


def let_time_pass(settings: Settings) -> None:
    """As if the last sign of life of whatever is under way were older."""
    assert settings.database_url is not None
    with psycopg.connect(settings.database_url.get_secret_value()) as connection:
        connection.execute("UPDATE jobs SET heartbeat_at = heartbeat_at - %s", [GONE_AFTER])


def weights(settings: Settings) -> dict[str, torch.Tensor]:
    """Of the generation that serves."""
    folder = GenerationFolder(settings.generations)
    return folder.load(str(folder.current())).network.state_dict()


def is_done(settings: Settings) -> bool:
    """Whether the cycle has ended; a further training would be the next one."""
    notes = settings.home / "training" / CYCLE
    return GenerationFolder(settings.generations).current() is not None and not notes.exists()


def killed_until_done(settings: Settings, seconds: float, chance: random.Random, kills_left: int) -> int:
    """How often the cycle was killed before it was done; each time within as many seconds as a whole one takes."""
    kills = 0
    while True:
        pid = forked(settings)
        if kills < kills_left:
            time.sleep(chance.uniform(0, seconds))
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (DONE, NOT_YET, -signal.SIGKILL), f"a training ended with {code}"
        kills += code == -signal.SIGKILL
        if is_done(settings):
            return kills
        let_time_pass(settings)


def main() -> None:
    """Train once in peace, then under kills."""
    wanted, settings, chance = int(sys.argv[1]), load_settings(), random.Random(14)
    began = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(forked(settings), 0)[1]) == DONE
    seconds = time.monotonic() - began
    expected = weights(settings)
    kills = runs = other = 0
    while kills < wanted:
        killed = settings.model_copy(update={"home": settings.home.parent / f"killed-{runs}"})
        kills += killed_until_done(killed, seconds, chance, wanted - kills)
        runs += 1
        found = weights(killed)
        other += any(not torch.equal(found[name], value) for name, value in expected.items())
    print(json.dumps({"kills": kills, "runs": runs, "other_networks": other, "seconds": seconds}))


if __name__ == "__main__":
    main()
