"""The networks learn the toy world, and learn nothing where there is nothing to learn."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch

from app.candidates.encode import start_network, start_sizes, token_source
from app.errors import Unavailable
from app.plan import TrainingPlan
from app.samples.collate import Collator
from app.samples.tokens import Content, TokenTable
from app.storage.pictures import PictureFolder
from app.training.evaluate import Yardsticks, evaluate
from app.training.fit import Fit
from models.artefact import same_weights
from tests.toy_world import ToyWorld

PLAN = TrainingPlan(
    epochs=6, batch_samples=128, learning_rate=3e-3, warmup_steps=5, serving_weight=0.5, checkpoint_steps=7
)
CYCLE = "its SHA-256"
SIZES = {
    "picture_backbone": "patches",
    "title_backbone": "hashed-pieces",
    "width": 32,
    "heads": 2,
    "semantic_width": 32,
}


class Lesson:
    """The toy world ready to learn: tokens, samples split by time, a fresh network."""

    def __init__(self, home: Path, world: ToyWorld, *, labels_of: random.Random | None = None, **sizes: object) -> None:
        pictures = PictureFolder(home / "pictures")
        contents = [Content(post.title, pictures.save(world.picture(post))) for post in world.posts]
        self.rows = {post.post_id: row for row, post in enumerate(world.posts)}
        chosen = start_sizes(**(SIZES | sizes))
        self.start = start_network(chosen, contents, home=home)
        self.table = TokenTable(token_source(chosen, home), contents, widths=(chosen.picture_width, chosen.title_width))
        samples = world.samples(labels_of=labels_of)
        cut = len(samples) * 8 // 10
        self.learnt, self.held_out = samples[:cut], samples[cut:]
        self.collator = Collator(self.table, self.rows, np.zeros(len(contents), np.float32))
        self.popularity = np.zeros(len(contents), np.float32)
        for sample in self.learnt:
            self.popularity[self.rows[sample.post_id]] += bool(sample.label)

    def batches(self, epoch: int):
        samples = list(self.learnt)
        random.Random(epoch).shuffle(samples)
        for at in range(0, len(samples), PLAN.batch_samples):
            yield samples[at : at + PLAN.batch_samples]

    def fit(self) -> Fit:
        network = type(self.start)(self.start.sizes)
        network.load_state_dict(self.start.state_dict())
        return Fit(network, self.collator, PLAN, steps_of_epoch=len(self.learnt) // PLAN.batch_samples, cycle=CYCLE)

    def train(self, checkpoint: Path) -> Fit:
        fit = self.fit()
        fit.run(self.batches, checkpoint, learning_rate=PLAN.learning_rate, tell=lambda _: None)
        return fit

    def figures(self, network) -> dict:
        yardsticks = Yardsticks(self.popularity, np.zeros(len(self.rows), bool), self.start)
        return evaluate(network, self.held_out, table=self.table, rows=self.rows, yardsticks=yardsticks)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.mark.slow
def test_the_toy_world_is_learnt(tmp_path):
    lesson = Lesson(tmp_path, ToyWorld(showings_each=64))

    figures = lesson.figures(lesson.train(tmp_path / "checkpoint").network)

    recall = figures["matching"]["recall@10"]
    assert figures["behaviours"]["click"]["auc"] > 0.75
    assert figures["behaviours"]["like"]["auc"] > 0.7
    assert 0.75 < figures["behaviours"]["click"]["calibration"] < 1.33
    assert recall["trained"] > 1.5 * recall["random"]
    assert recall["trained"] > 2 * recall["popularity"]


@pytest.mark.slow
def test_shuffled_labels_teach_nothing(tmp_path):
    lesson = Lesson(tmp_path, ToyWorld(showings_each=64), labels_of=random.Random(5))

    figures = lesson.figures(lesson.train(tmp_path / "checkpoint").network)

    recall = figures["matching"]["recall@10"]
    assert 0.4 < figures["behaviours"]["click"]["auc"] < 0.6
    assert recall["trained"] < recall["random"] + 4 * recall["standard_error"] + 0.02


def test_a_killed_run_goes_on_to_the_same_network(tmp_path):
    lesson = Lesson(tmp_path, ToyWorld(users_count=20, showings_each=30))
    whole = lesson.train(tmp_path / "whole")

    class KilledError(Exception):
        pass

    def kill(report):
        if report.step == 17:
            raise KilledError

    with pytest.raises(KilledError):
        lesson.fit().run(lesson.batches, tmp_path / "killed", learning_rate=PLAN.learning_rate, tell=kill)
    resumed = lesson.train(tmp_path / "killed")

    assert resumed.curves.step[0] == 15, "it goes on after the checkpoint of step 14"
    assert same_weights(resumed.network, whole.network)


def test_a_checkpoint_that_cannot_be_written_says_where_there_is_no_space(tmp_path):
    lesson = Lesson(tmp_path, ToyWorld(users_count=20, showings_each=30))

    with pytest.raises(Unavailable, match="could not be written"):
        lesson.train(tmp_path / "nowhere" / "checkpoint")


def test_a_damaged_checkpoint_only_costs_time(tmp_path, caplog):
    lesson = Lesson(tmp_path, ToyWorld(users_count=10, showings_each=30))
    whole = lesson.train(tmp_path / "checkpoint")
    flip_last_bit(tmp_path / "checkpoint")

    again = lesson.train(tmp_path / "checkpoint")

    assert "its checksum does not fit" in caplog.text
    assert again.curves.step[0] == 1
    assert same_weights(again.network, whole.network), "nothing of the checkpoint was trained on"


def flip_last_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
