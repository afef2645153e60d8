"""A cut hides what came after it, and nothing planted there reaches what is visible."""

import numpy as np
import pytest

from app.domain import BehaviourKind
from app.errors import BadInput
from app.evaluation.prediction import prediction_split
from app.evaluation.split import TARGETS, cold_split, cut_of, validation_split, warm_split
from app.samples.history import HistoryLimits
from app.training.evaluate import GROUPS, WARM
from tests.evaluation.small_log import small_log, with_answers_planted

LOG = small_log()


def planted():
    split = warm_split(LOG)
    names = [post.post_id for post in LOG.posts]
    targets = {
        case.user_id: [names[row] for row in rows] for case, rows in zip(split.cases, split.targets, strict=True)
    }
    cuts = {user_id: shown[-1].shown_at for user_id, shown in LOG.shown.items()}
    cuts |= {case.user_id: case.moment for case in split.cases}
    known = {user_id: shown for user_id, shown in LOG.shown.items() if user_id in targets}
    return with_answers_planted(LOG.with_shown(known), cuts, targets), LOG.with_shown(known)


def test_nothing_from_the_cut_on_is_visible():
    split = warm_split(LOG)

    for case in split.cases:
        for one in split.visible.shown[case.user_id]:
            assert one.shown_at < case.moment
            assert all(act.at < case.moment for act in one.acts)


def test_targets_are_the_last_liked_posts_not_seen_before():
    split = warm_split(LOG)

    for case, targets in zip(split.cases, split.targets, strict=True):
        liked = {
            LOG.rows[one.post_id]
            for one in LOG.shown[case.user_id]
            if one.shown_at >= case.moment and any(act.kind is BehaviourKind.LIKE for act in one.acts)
        }
        assert set(targets.tolist()) == liked - set(case.seen.tolist())
        assert len(liked) >= TARGETS


def test_an_answer_planted_after_the_cut_changes_nothing_that_is_visible():
    with_plants, without = planted()

    for split in (warm_split, lambda log: cold_split(log, seed=1)):
        there, here = split(with_plants), split(without)
        assert dict(there.visible.shown) == dict(here.visible.shown)
        assert [(case.user_id, case.moment, case.acted.tolist(), case.seen.tolist()) for case in there.cases] == [
            (case.user_id, case.moment, case.acted.tolist(), case.seen.tolist()) for case in here.cases
        ]
        assert all(map(np.array_equal, there.targets, here.targets))
        assert all(map(np.array_equal, there.cold_targets, here.cold_targets))


def test_cold_posts_leave_no_trace():
    split = cold_split(LOG, seed=0)

    cold = {LOG.posts[row].post_id for row in split.cold}
    assert len(cold) == round(0.15 * len(LOG.posts))
    assert not cold & {one.post_id for shown in split.visible.shown.values() for one in shown}


def test_settings_are_chosen_before_the_cut():
    split = warm_split(LOG)

    inner = validation_split(split)

    moments = {case.user_id: case.moment for case in split.cases}
    assert all(case.moment < moments[case.user_id] for case in inner.cases if case.user_id in moments)


def test_nobody_with_enough_likes_is_told_so():
    with pytest.raises(BadInput, match="20 liked posts"):
        warm_split(small_log(users=2, showings=10))
    assert cut_of([], least=1) is None


def test_behaviours_are_told_from_what_was_before():
    split = prediction_split(LOG, HistoryLimits(), seed=0)

    learnt = {one.exposure_id for shown in split.visible.shown.values() for one in shown}
    asked = {one.exposure_id for group in GROUPS for one in split.shown[group]}
    assert not learnt & asked
    assert len(split.shown[WARM]) > 100
    for one in split.shown[WARM]:
        assert all(item.shown_at < one.shown_at for item in one.history)
        assert all(act.at < one.shown_at for item in one.history for act in item.acts)
