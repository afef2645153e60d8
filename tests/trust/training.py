"""`python -m tests.trust.training KILLS`: trains in children that are killed at random moments, and compares.

Once without a kill; then in fresh homes over the same log, killed and started again until the cycle is done. Each child
writes down the steps it has done. Settings come from the environment. Prints what came of it as JSON.
"""

from __future__ import annotations

import asyncio
import json
import math
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import NamedTuple

import psycopg
import torch

from app.candidates.generation import GenerationFolder
from app.errors import Conflict
from app.plan import load_plan
from app.settings import Settings, load_settings
from app.storage.jobs import GONE_AFTER
from app.storage.postgres import sync_engine
from app.storage.stores import open_stores
from app.trainer import train_once

DONE, REJECTED, NOT_YET = 0, 3, 75  # exit codes of a child


class Kill(NamedTuple):
    """One kill, by the steps that were told of."""

    last: int  # the step before it; 0: none was done yet
    first: int | None  # the step after it; None: none was left to do


def steps_file(settings: Settings) -> Path:
    """Where the children of a home write down their steps, a line for each."""
    return settings.home.with_suffix(".steps")


def steps(settings: Settings) -> list[int]:
    """All steps that were told of, in order."""
    file = steps_file(settings)
    return [int(line) for line in file.read_text().split()] if file.exists() else []


async def learn(settings: Settings) -> int:
    """What `tuwen train` does, and every step written down."""
    async with open_stores(settings.for_batch_work()) as stores:
        engine = sync_engine(stores.addresses.database_url)
        with steps_file(settings).open("a") as told:
            trained = await train_once(
                stores,
                engine,
                requested_by="row 14",
                tell=lambda report: print(report.step, file=told, flush=True),
                progress=lambda *_: None,
            )
        engine.dispose()
    return DONE if trained.rejected is None else REJECTED


def train(settings: Settings) -> None:
    """In a child: train, and end with what came of it."""
    os.setpgid(0, 0)
    with Path(settings.home.parent / "children.log").open("ab") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    try:
        os._exit(asyncio.run(learn(settings)))
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
    """Whether the trained network serves; a further training would be the next cycle."""
    return GenerationFolder(settings.generations).current() is not None


def has_ended(pid: int) -> bool:
    """Whether the child is to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def wait_for_the_moment(pid: int, settings: Settings, seconds: float, steps_left: float) -> None:
    """Until the time is over, the child has done so many steps, or has ended."""
    end, wanted = time.monotonic() + seconds, len(steps(settings)) + steps_left
    while time.monotonic() < end and len(steps(settings)) < wanted and not has_ended(pid):
        time.sleep(0.002)


def killed_until_done(settings: Settings, seconds: float, chance: random.Random, kills_left: int) -> list[Kill]:
    """The kills of one cycle until it was done, by turns after a random number of steps and after a random time.

    The steps are so many that a checkpoint was written meanwhile, the time is within that of a whole training.
    """
    checkpoint_steps = load_plan(settings.plan)[0].checkpoint_steps
    killed_at: list[int] = []  # how many steps had been told of
    while True:
        pid = forked(settings)
        if len(killed_at) < kills_left:
            if len(killed_at) % 2 == 0:
                wait_for_the_moment(pid, settings, seconds, chance.randint(checkpoint_steps + 1, 3 * checkpoint_steps))
            else:
                wait_for_the_moment(pid, settings, chance.uniform(0, seconds), math.inf)
            os.kill(pid, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        assert code in (DONE, NOT_YET, -signal.SIGKILL), f"a training ended with {code}"
        if code == -signal.SIGKILL:
            killed_at.append(len(steps(settings)))
        if is_done(settings):
            told = [0, *steps(settings)]
            return [Kill(told[at], told[at + 1] if at + 1 < len(told) else None) for at in killed_at]
        let_time_pass(settings)


def main() -> None:
    """Train once in peace, then under kills."""
    wanted, settings, chance = int(sys.argv[1]), load_settings(), random.Random(14)
    settings.home.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    assert os.waitstatus_to_exitcode(os.waitpid(forked(settings), 0)[1]) == DONE
    seconds = time.monotonic() - began
    expected = weights(settings)
    kills: list[Kill] = []
    runs = other = steps_done = 0
    while len(kills) < wanted:
        killed = settings.model_copy(update={"home": settings.home.parent / f"killed-{runs}"})
        kills += killed_until_done(killed, seconds, chance, wanted - len(kills))
        runs += 1
        steps_done += len(steps(killed))
        found = weights(killed)
        other += any(not torch.equal(found[name], value) for name, value in expected.items())
    counts = {"runs": runs, "other_networks": other, "seconds": seconds}
    print(json.dumps(counts | {"kills": kills, "steps": len(steps(settings)), "steps_done": steps_done}))


if __name__ == "__main__":
    main()
