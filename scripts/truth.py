"""A seed -> a simulated log, the product trained on it in stores of its own, and what only the simulation can tell.

The feed's pages are an editor's, the same posts on top for everybody; the last part of the log is random and held out.
What is judged is the page that a request gets, at the moment where the held-out part begins.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain import BEHAVIOUR_KINDS, PictureStatus, Post, Sample, ShownPost
from app.evaluation.entries import Entry
from app.evaluation.log import Log, before
from app.evaluation.measure import Ranking, by_scores
from app.evaluation.prediction import told_by
from app.evaluation.product import Served
from app.evaluation.serving import serving_entry
from app.evaluation.split import Case, Split
from app.plan import TrainingPlan
from app.samples.history import HistoryLimits, history_before, samples_of_user
from app.settings import Settings
from app.storage.pictures import PictureFolder
from demo.catalogue import MOODS, PAST_DAYS, DemoPost
from demo.drawing import paint
from demo.people import Person
from demo.policies import PLACES, Past, logged_past
from demo.topics import TOPICS
from demo.visits import past_visits
from demo.world import look_chances, small_world

Floats = NDArray[np.float64]
BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
UNTIL = BEGAN + timedelta(days=PAST_DAYS)
LEARNT_SHARE = 0.85  # of the visits; the others are held out
FIRST = 10  # posts of a list whose true click rate counts
COLD_FIRST = 5  # the same of new posts alone, of which there are few
NOBODY = np.zeros(0, np.int64)
FROZEN = Entry("frozen", lambda served: {}, is_trained=False)
TRAINED = Entry("trained", lambda served: {})


@dataclass(frozen=True)
class TruthSizes:
    """How much is simulated; by default some 92,000 showings, thirty clicks a person."""

    people: int = 240
    visits_per_person: float = 40.0
    topics: int = len(TOPICS)


class Simulation:
    """A simulated log up to a moment, and what is true of each person's unseen posts then."""

    def __init__(self, settings: Settings, *, seed: int, sizes: TruthSizes) -> None:
        self.world = small_world(seed, BEGAN, topics=sizes.topics, people=sizes.people)
        visits = past_visits(self.world, seed=seed, until=UNTIL, visits_per_person=sizes.visits_per_person)
        self.past: Past = logged_past(self.world, visits, seed=seed, random_from=LEARNT_SHARE)
        self.moment = visits[int(LEARNT_SHARE * len(visits))].at
        self.rows = self.world.published_rows(self.moment)  # of the world's posts
        pictures = PictureFolder(settings.pictures)
        self.log = Log(
            tuple(_post(self.world.posts[row], pictures) for row in self.rows.tolist()),
            {user_id: before(shown, self.moment) for user_id, shown in self.past.shown.items()},
            {one.user_id: one.attributes for one in self.world.people},
        )
        self.chances = np.stack([self.world.act_chances(one, self.moment)[self.rows] for one in self.people])
        self.unseen = np.ones(self.chances.shape[:2], bool)  # (people, posts)
        for number, case in enumerate(self.split.cases):
            self.unseen[number, case.seen] = False
        self.is_cold = self.counts(lambda one: True) == 0

    @cached_property
    def people(self) -> list[Person]:
        """Those who had opened the app."""
        return [one for one in self.world.people if self.log.shown.get(one.user_id)]

    @cached_property
    def split(self) -> Split:
        """All of the log is visible; the answers are known without any."""
        return Split(self.log, tuple(map(self._case, self.people)), (), NOBODY, ())

    def _case(self, person: Person) -> Case:
        seen = {self.log.rows[one.post_id] for one in self.log.shown[person.user_id]}
        return Case(person.user_id, self.moment, NOBODY, np.zeros(0), np.asarray(sorted(seen), np.int64))

    def counts(self, counted: Callable[[ShownPost], bool]) -> Floats:
        """Showings of each post in the log that count, (posts,)."""
        rows = [self.log.rows[one.post_id] for shown in self.log.shown.values() for one in shown if counted(one)]
        return np.bincount(np.asarray(rows, np.int64), minlength=len(self.log.posts)).astype(np.float64)

    def click_rate(self, ranking: Ranking, among: NDArray[np.bool_], *, count: int) -> float:
        """True click rate of the `count` first that are ranked of some posts (people, posts), mean over people."""
        return float(np.mean([rates.mean() for rates in self._first(ranking, among, self.chances[:, :, 0], count)]))

    def cold_share(self, ranking: Ranking) -> float:
        """How many of the first ten are new posts, over what chance would put there."""
        is_cold = np.broadcast_to(self.is_cold, self.unseen.shape)
        found = np.mean([cold.mean() for cold in self._first(ranking, self.unseen, is_cold, FIRST)])
        return float(found / (self.unseen & self.is_cold).sum() * self.unseen.sum())

    def _first(
        self, ranking: Ranking, among: NDArray[np.bool_], of: NDArray[Any], count: int
    ) -> Iterator[NDArray[Any]]:
        """What `of` (people, posts) has for the first that are ranked, (count,), of everyone who gets any."""
        for number, case in enumerate(self.split.cases):
            rows = ranking(case, among[number])[:count]
            if len(rows):
                yield of[number, rows]

    def held_out(self, limits: HistoryLimits) -> list[Sample]:
        """The random pages at the end, each with the history before it."""
        known = self.log.rows
        return [
            one
            for shown in self.past.shown.values()
            for one in samples_of_user([showing for showing in shown if showing.post_id in known], limits)
            if one.shown_at >= self.moment
        ]

    def true_chances(self, sample: Sample) -> Floats:
        """Of each behaviour on this showing, its place on the page included, (kinds,)."""
        person = self.world.person_of[sample.user_id]
        look = look_chances(person, PLACES)[sample.position or 0]
        return np.asarray(self.world.act_chances(person, sample.shown_at)[self.world.row_of[sample.post_id]] * look)

    def logged_and_true(self) -> Floats:
        """Clicks of each post in the log, and what they would be were all looked at, (posts, 2)."""
        sums = np.zeros((len(self.log.posts), 2))
        for user_id, shown in self.log.shown.items():
            chances: dict[datetime, Floats] = {}
            for one in shown:
                if one.shown_at not in chances:
                    chances[one.shown_at] = self.world.click_chances(self.world.person_of[user_id], one.shown_at)
                true = chances[one.shown_at][self.world.row_of[one.post_id]]
                sums[self.log.rows[one.post_id]] += bool(one.acts), true
        return sums


def _post(post: DemoPost, pictures: PictureFolder) -> Post:
    return Post(
        post.post_id,
        post.title,
        picture_hash=pictures.save(paint(post.emoji, MOODS[post.mood])),
        picture_status=PictureStatus.STORED,
        city=post.city,
        author_id=post.author_id,
        published_at=post.published_at,
    )


def by_popularity(simulation: Simulation) -> dict[str, float]:
    """What needs no network."""
    clicks, unseen = simulation.chances[:, :, 0], simulation.unseen
    popularity = simulation.counts(lambda one: bool(one.acts))
    return {
        "popularity": simulation.click_rate(by_scores(lambda case: popularity), unseen, count=FIRST),
        "random": float(clicks[unseen].mean()),
        "best": float(np.sort(np.where(unseen, clicks, 0), axis=1)[:, -FIRST:].mean()),
        "cold random": float(clicks[unseen & simulation.is_cold].mean()),
        "bias of the log": position_bias(simulation.logged_and_true(), simulation.past.editor[simulation.rows]),
    }


def of_pages(simulation: Simulation, found: Served) -> dict[str, float]:
    """How good what a generation recommends is."""
    cold = simulation.unseen & simulation.is_cold
    return {
        "page": simulation.click_rate(found.recommend_path(), simulation.unseen, count=FIRST),
        "matching": simulation.click_rate(found.reference_matching(), simulation.unseen, count=FIRST),
        "cold": simulation.click_rate(found.reference_matching(), cold, count=COLD_FIRST),
        "cold share": simulation.cold_share(found.recommend_path()),
    }


def of_predictions(simulation: Simulation, found: Served, limits: HistoryLimits) -> dict[str, float]:
    """Of each behaviour: AUC against the true chances, the oracle's, and predicted over true rate on the last pages."""
    told = np.stack([_without_a_place(simulation, found, case, limits) for case in simulation.split.cases])
    held_out = simulation.held_out(limits)
    asked = told_by(found, held_out)
    true = np.stack([simulation.true_chances(one) for one in held_out])
    unseen, clicks = simulation.unseen, simulation.chances[:, :, 0]
    by_post = np.stack([(told[:, :, 0] * unseen).sum(axis=0), (clicks * unseen).sum(axis=0)], axis=1)
    figures = {"bias left": position_bias(by_post, simulation.past.editor[simulation.rows])}
    for number, kind in enumerate(BEHAVIOUR_KINDS):
        chances = simulation.chances[:, :, number][unseen]
        figures[f"AUC of {kind}"] = soft_auc(told[:, :, number][unseen], chances)
        figures[f"best AUC of {kind}"] = soft_auc(chances, chances)
        figures[f"calibration of {kind}"] = float(asked[:, number].mean() / true[:, number].mean())
    return figures


def _without_a_place(simulation: Simulation, found: Served, case: Case, limits: HistoryLimits) -> Floats:
    """Probabilities (posts, kinds) of one person."""
    history = history_before(simulation.log.shown[case.user_id], case.moment, limits)
    return found.view.predict(found.view.fuse(history, case.moment), found.row_of_view).astype(np.float64)


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


async def figures(
    settings: Settings, plan: TrainingPlan, network: dict[str, object], *, seed: int, sizes: TruthSizes
) -> dict[str, float]:
    """All of one seed."""
    simulation = Simulation(settings, seed=seed, sizes=sizes)
    found = by_popularity(simulation)
    for entry in (FROZEN, TRAINED):
        async with serving_entry(
            entry, simulation.split, settings, plan, network, seed=seed, tell=lambda _: None
        ) as served:
            pages = of_pages(simulation, served)
            found |= {f"{entry.name} {name}": value for name, value in pages.items()}
            if entry is TRAINED:
                found |= of_predictions(simulation, served, plan.history)
    return found
