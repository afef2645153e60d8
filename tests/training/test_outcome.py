"""What the gate reads off a network, sample by sample."""

import numpy as np
import pytest
import torch

from app.candidates.encode import start_network, start_sizes, token_source
from app.samples.tokens import Content, TokenTable
from app.training.evaluate import encode_all
from app.training.outcome import HeldOut, Outcome, outcome
from models.cascade import Cascade
from tests.toy_world import ToyWorld

SIZES = {
    "picture_backbone": "patches",
    "title_backbone": "hashed-pieces",
    "width": 16,
    "heads": 2,
    "semantic_width": 16,
}


@pytest.fixture
def held_out() -> HeldOut:
    """The last samples of the toy world; every eighth post counts as new."""
    world = ToyWorld(users_count=20, showings_each=20)
    rows = {post.post_id: row for row, post in enumerate(world.posts)}
    return HeldOut(world.samples()[-150:], rows, np.arange(len(rows)) % 8 == 0)


@pytest.fixture
def start(tmp_path) -> tuple[Cascade, TokenTable]:
    contents = [Content(post.title, None) for post in ToyWorld().posts]
    sizes = start_sizes(**SIZES)
    table = TokenTable(token_source(sizes, tmp_path), contents, widths=(sizes.picture_width, sizes.title_width))
    return start_network(sizes, contents, home=tmp_path), table


@pytest.fixture
def found(held_out, start) -> Outcome:
    return outcome(*start, held_out)


def test_a_post_acted_on_is_a_target_once_among_all_or_among_the_new(held_out, found):
    target = np.array([held_out.rows[sample.post_id] for sample in held_out.samples])
    is_warm, is_new = ~np.isnan(found.gain), ~np.isnan(found.cold_hit)

    assert not (is_warm & is_new).any()
    assert held_out.is_cold[target[is_new]].all()
    assert not held_out.is_cold[target[is_warm]].any()
    assert held_out.labels[is_warm | is_new].any(axis=1).all()
    assert is_warm.sum() > 10
    assert is_new.sum() > 1


def test_nothing_is_gained_by_what_the_history_shows(held_out, found):
    for number, sample in enumerate(held_out.samples):
        if sample.post_id in {item.post_id for item in sample.history}:
            assert np.isnan(found.gain[number])
            assert np.isnan(found.cold_hit[number])


def test_the_first_ten_of_an_account_are_those_of_its_latest_sample(held_out, found):
    latest = {sample.user_id: sample for sample in held_out.samples}

    for user_id, rows in zip(sorted(latest), found.first, strict=True):
        shown = {held_out.rows[item.post_id] for item in latest[user_id].history}
        assert len(set(rows.tolist())) == 10
        assert not shown & set(rows.tolist())


def test_a_ruined_ranking_spoils_the_gain_although_the_match_is_as_before(held_out, start, found):
    network, table = start
    target = next(one.post_id for one, gain in zip(held_out.samples, found.gain, strict=True) if gain > 0)
    vectors = encode_all(network, table).vectors
    with torch.no_grad():
        network.interest.out.bias.copy_(-100 * vectors[held_out.rows[target]])  # whoever comes is led away from it

    spoilt = outcome(network, table, held_out)

    of_target = [one.post_id == target for one in held_out.samples]
    assert np.nansum(found.gain[of_target]) > 0
    assert np.nansum(spoilt.gain[of_target]) == 0


def test_an_untrained_network_says_a_half_of_everything(held_out, found):
    assert found.probabilities == pytest.approx(np.full((150, 5), 0.5), abs=0.2)
    assert found.loss.mean() == pytest.approx(5 * np.log(2), rel=0.2)
