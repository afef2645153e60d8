"""A seed -> a simulated log, a network trained on it, and what only the simulation can tell of that network.

Everything is in memory: the same samples, collation, networks and losses as in `tuwen train`, without the stores. The
feed's pages are an editor's, the same posts on top for everybody; the last part of the log is random and held out.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from app.candidates.encode import start_network, start_sizes
from app.domain import BEHAVIOUR_KINDS, Sample
from app.plan import TrainingPlan
from app.samples.collate import HistoryArrays
from app.samples.history import history_before, samples_of_user
from app.samples.tokens import Content, TokenTable
from app.storage.catalogue import PostCounts
from app.storage.pictures import PictureFolder
from app.training.cycle import Catalogue
from app.training.evaluate import Encoded, encode_all, predicted
from app.training.fit import Fit
from demo.catalogue import MOODS, PAST_DAYS
from demo.drawing import paint
from demo.people import Person
from demo.policies import PLACES, Past, logged_past
from demo.topics import TOPICS
from demo.visits import past_visits
from demo.world import look_chances, small_world
from models.cascade import Cascade

Floats = NDArray[np.float64]
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = BEGAN + timedelta(days=PAST_DAYS)
LEARNT_SHARE = 0.85  # of the visits; the others are held out
FIRST = 10  # posts of a list whose true click rate counts
COLD_FIRST = 5  # the same of new posts alone, of which there are few


@dataclass(frozen=True)
class TruthSizes:
    """How much is simulated."""

    people: int = 240
    visits_per_person: float = 10.0
    topics: int = len(TOPICS)


class Lesson:
    """A simulated log ready to learn from."""

    def __init__(
        self,
        home: Path,
        plan: TrainingPlan,
        *,
        seed: int,
        sizes: TruthSizes,
        network: Mapping[str, object],
        shuffled: bool = False,
    ) -> None:
        self.plan, self.home = plan, home
        self.world = small_world(seed, BEGAN, topics=sizes.topics, people=sizes.people)
        visits = past_visits(self.world, seed=seed, until=UNTIL, visits_per_person=sizes.visits_per_person)
        self.past: Past = logged_past(self.world, visits, seed=seed, random_from=LEARNT_SHARE)
        if shuffled:
            self.past = dealt_anew(self.past, random.Random(seed))  # noqa: S311 (a simulation)
        self.test_from = visits[int(LEARNT_SHARE * len(visits))].at
        pictures = PictureFolder(home / "pictures")
        contents = [Content(one.title, pictures.save(paint(one.emoji, MOODS[one.mood]))) for one in self.world.posts]
        self.catalogue = Catalogue(self.world.row_of, contents, self._counts())
        self.start = start_network(start_sizes(**network), contents, home=home, seed=plan.seed)
        self.table: TokenTable = self.catalogue.table(self.start.sizes, home)

    @cached_property
    def samples(self) -> dict[str, list[Sample]]:
        """All samples of each account, oldest first."""
        return {user_id: list(samples_of_user(shown, self.plan.history)) for user_id, shown in self.past.shown.items()}

    @cached_property
    def held_out(self) -> list[Sample]:
        """Those of the random pages at the end."""
        return [one for samples in self.samples.values() for one in samples if one.shown_at >= self.test_from]

    def _counts(self) -> PostCounts:
        """How often each post was shown, and acted on by whom, before the held-out part."""
        shown: dict[str, int] = {}
        acted: dict[str, set[str]] = {}
        for user_id, showings in self.past.shown.items():
            for one in showings:
                if one.shown_at < self.test_from:
                    shown[one.post_id] = shown.get(one.post_id, 0) + 1
                    if one.acts:
                        acted.setdefault(one.post_id, set()).add(user_id)
        return PostCounts(shown, {post_id: len(users) for post_id, users in acted.items()})

    def batches(self, epoch: int) -> Iterator[list[Sample]]:
        """Chunks of consecutive samples of one account, mixed."""
        size = self.plan.chunk_size
        learnt = [[one for one in samples if one.shown_at < self.test_from] for samples in self.samples.values()]
        chunks = [samples[at : at + size] for samples in learnt for at in range(0, len(samples), size)]
        random.Random(f"{self.plan.seed} {epoch}").shuffle(chunks)  # noqa: S311 (the order of training)
        batch: list[Sample] = []
        for chunk in chunks:
            batch += chunk
            if len(batch) >= self.plan.batch_samples:
                yield batch
                batch = []
        if batch:
            yield batch

    def trained(self) -> Cascade:
        """The start, trained on the log."""
        network = Cascade(self.start.sizes)
        network.load_state_dict(self.start.state_dict())
        steps = sum(1 for _ in self.batches(0))
        fit = Fit(network, self.catalogue.collator(self.table, self.plan), self.plan, steps_of_epoch=steps)
        checkpoint = self.home / "checkpoint"
        checkpoint.unlink(missing_ok=True)
        fit.run(self.batches, checkpoint, learning_rate=self.plan.learning_rate, tell=lambda _: None)
        return network


def dealt_anew(past: Past, dice: random.Random) -> Past:
    """The same showings; what was done on each is now what was done on any other of the same place."""
    every = [one for showings in past.shown.values() for one in showings]
    acts = {place: [one for one in every if one.position == place] for place in range(PLACES)}
    dealt = {place: dice.sample(showings, len(showings)) for place, showings in acts.items()}
    given = {
        one.exposure_id: tuple(replace(act, at=act.at + (one.shown_at - other.shown_at)) for act in other.acts)
        for place, showings in acts.items()
        for one, other in zip(showings, dealt[place], strict=True)
    }
    shown = {
        user_id: [replace(one, acts=given[one.exposure_id]) for one in showings]
        for user_id, showings in past.shown.items()
    }
    return replace(past, shown=shown)


class Truth:
    """What is true of each person's unseen posts at the end of the log, beside what a network says of them."""

    def __init__(self, lesson: Lesson) -> None:
        self.lesson, world = lesson, lesson.world
        self.people: Sequence[Person] = [one for one in world.people if one.user_id in lesson.past.shown]
        self.chances = np.stack([world.act_chances(one, UNTIL) for one in self.people])  # (people, posts, kinds)
        self.unseen = np.ones(self.chances.shape[:2], bool)
        for number, one in enumerate(self.people):
            self.unseen[number, [world.row_of[shown.post_id] for shown in lesson.past.shown[one.user_id]]] = False
        self.is_cold = np.array([post.post_id not in lesson.catalogue.counts.shown for post in world.posts])
        limits = lesson.plan.history
        self.histories = [history_before(lesson.past.shown[one.user_id], UNTIL, limits) for one in self.people]

    def click_rate(self, scores: NDArray[np.float32], among: NDArray[np.bool_], count: int) -> float:
        """True click rate of the `count` best by scores (people, posts) among some of them, mean over people."""
        ranked = np.argsort(-np.where(among, scores, -np.inf), axis=1, kind="stable")[:, :count]
        return float(np.take_along_axis(self.chances[:, :, 0], ranked, axis=1).mean())

    def cold_share(self, scores: NDArray[np.float32]) -> float:
        """How many of the first ten are new posts, over what chance would put there."""
        ranked = np.argsort(-np.where(self.unseen, scores, -np.inf), axis=1)[:, :FIRST]
        fair = (self.unseen & self.is_cold).sum() / self.unseen.sum()
        return float(self.is_cold[ranked].mean() / fair)

    def asked(self, encoded: Encoded) -> tuple[NDArray[np.float32], Floats]:
        """Serving scores (people, posts), and probabilities without a place (people, posts, kinds)."""
        scores, probabilities = [], []
        rows = self.lesson.world.row_of
        for history in self.histories:
            arrays = HistoryArrays(1, len(history))
            arrays.fill(0, history, UNTIL, rows=rows)
            tensors = arrays.tensors()
            with torch.inference_mode():
                vectors = encoded.vectors[tensors.post]
                matched, _ = encoded.network.match(encoded.vectors, encoded.quality, vectors, tensors)
                read = encoded.network.fuse(vectors, tensors), tensors.mask
                likely = encoded.network.rank(encoded.vectors, encoded.quality, *read)
                following = encoded.network.follow(encoded.vectors, *read)
            scores.append((matched[0] + following).numpy())  # as /recommend orders its matches
            probabilities.append(likely.numpy().astype(np.float64))
        return np.stack(scores), np.stack(probabilities)


def soft_auc(scores: Floats, chances: Floats) -> float:
    """AUC where each case counts as positive by its true chance and as negative by the rest; (cases,) twice."""
    order = np.argsort(scores)
    positive, negative = chances[order], 1 - chances[order]
    below = np.cumsum(negative) - negative / 2
    return float((positive * below).sum() / (positive.sum() * negative.sum()))


def position_bias(ratio: Floats, weights: Floats) -> float:
    """How much too high the tenth of the posts that the editor puts on top stands against the lower half; 1 = not.

    ratio = (predicted or observed rate, true rate) of each post, (posts, 2); weights (posts,) of the editor.
    """
    low, high = np.quantile(weights, [0.5, 0.9])
    upper, lower = ratio[weights >= high].sum(axis=0), ratio[weights <= low].sum(axis=0)
    return float((upper[0] / upper[1]) / (lower[0] / lower[1]))


def figures(lesson: Lesson, network: Cascade) -> dict[str, float]:
    """All of one seed."""
    truth = Truth(lesson)
    trained, frozen = encode_all(network, lesson.table), encode_all(lesson.start, lesson.table)
    scores, probabilities = truth.asked(trained)
    frozen_scores, _ = truth.asked(frozen)
    popularity = np.broadcast_to(lesson.catalogue.popularity, scores.shape)
    cold = truth.unseen & truth.is_cold
    clicks = truth.chances[:, :, 0]
    found = {
        "trained": truth.click_rate(scores, truth.unseen, FIRST),
        "frozen": truth.click_rate(frozen_scores, truth.unseen, FIRST),
        "popularity": truth.click_rate(popularity, truth.unseen, FIRST),
        "random": float(clicks[truth.unseen].mean()),
        "best": truth.click_rate(clicks.astype(np.float32), truth.unseen, FIRST),
        "cold trained": truth.click_rate(scores, cold, COLD_FIRST),
        "cold frozen": truth.click_rate(frozen_scores, cold, COLD_FIRST),
        "cold random": float(clicks[cold].mean()),
        "cold share": truth.cold_share(scores),
        "bias left": position_bias(_by_post(probabilities[:, :, 0], clicks, truth.unseen), lesson.past.editor),
        "bias of the log": position_bias(_logged(lesson), lesson.past.editor),
    }
    return found | _heads(lesson, truth, trained, probabilities)


def _by_post(predicted_rate: Floats, true_rate: Floats, counts: NDArray[np.bool_]) -> Floats:
    """Sums over people of predicted and true rate, (posts, 2)."""
    return np.stack([(predicted_rate * counts).sum(axis=0), (true_rate * counts).sum(axis=0)], axis=1)


def _logged(lesson: Lesson) -> Floats:
    """Clicks of each post in the learnt log, and what they would be were all looked at, (posts, 2)."""
    world = lesson.world
    sums = np.zeros((len(world.posts), 2))
    for user_id, showings in lesson.past.shown.items():
        chances: dict[datetime, Floats] = {}
        for one in showings:
            if one.shown_at < lesson.test_from:
                if one.shown_at not in chances:
                    chances[one.shown_at] = world.click_chances(world.person_of[user_id], one.shown_at)
                row = world.row_of[one.post_id]
                sums[row] += bool(one.acts), chances[one.shown_at][row]
    return sums


def _heads(lesson: Lesson, truth: Truth, trained: Encoded, probabilities: Floats) -> dict[str, float]:
    """Of each behaviour: AUC against the true chances, the oracle's, and predicted over true rate on the last pages."""
    held_out = lesson.held_out
    asked = np.concatenate(
        [predicted(trained, held_out[at : at + 64], rows=lesson.world.row_of) for at in _every(64, held_out)]
    )
    true = np.stack([_true_chances(lesson, one) for one in held_out])
    found = {}
    for number, kind in enumerate(BEHAVIOUR_KINDS):
        chances = truth.chances[:, :, number][truth.unseen]
        found[f"AUC of {kind}"] = soft_auc(probabilities[:, :, number][truth.unseen], chances)
        found[f"best AUC of {kind}"] = soft_auc(chances, chances)
        found[f"calibration of {kind}"] = float(asked[:, number].mean() / true[:, number].mean())
    return found


def _every(step: int, of: Sequence[Sample]) -> range:
    return range(0, len(of), step)


def _true_chances(lesson: Lesson, sample: Sample) -> Floats:
    """Of each behaviour on this showing, its place on the page included, (kinds,)."""
    world = lesson.world
    person = world.person_of[sample.user_id]
    look = look_chances(person, PLACES)[sample.position or 0]
    return np.asarray(world.act_chances(person, sample.shown_at)[world.row_of[sample.post_id]] * look)
