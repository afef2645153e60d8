"""Behaviour encoding, fusion and prediction: networks 2 to 4."""

from dataclasses import replace

import pytest
import torch

from models.behaviour_encoding import BehaviourEncoding
from models.behaviour_fusion import BehaviourFusion
from models.behaviour_prediction import BehaviourPrediction
from models.sizes import Fusion, Prediction
from tests.models.tensors import random_history, small_sizes


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def test_every_kind_of_behaviour_changes_the_behaviour_vector():
    history = random_history(1, 1, 1)
    encoding = BehaviourEncoding(small_sizes())
    nothing = replace(history, happened=torch.zeros(1, 1, 5), seconds_since=torch.zeros(1, 1, 5))

    kinds = [replace(nothing, happened=torch.eye(5)[kind].view(1, 1, 5)) for kind in range(5)]

    vectors = torch.stack([encoding(one)[0, 0] for one in [nothing, *kinds]])
    assert (torch.cdist(vectors, vectors) + torch.eye(6)).min() > 1e-3


def test_when_a_behaviour_happened_changes_the_behaviour_vector():
    history = replace(random_history(1, 1, 1), happened=torch.ones(1, 1, 5))
    encoding = BehaviourEncoding(small_sizes())

    minute = encoding(replace(history, seconds_since=torch.full((1, 1, 5), 60.0)))
    month = encoding(replace(history, seconds_since=torch.full((1, 1, 5), 30 * 86400.0)))

    assert (minute - month).abs().max() > 1e-3


def test_the_time_of_a_behaviour_that_did_not_happen_does_not_matter():
    history = replace(random_history(1, 2, 1), happened=torch.zeros(1, 2, 5))
    encoding = BehaviourEncoding(small_sizes())

    other = replace(history, seconds_since=torch.full((1, 2, 5), 1e6))

    assert torch.equal(encoding(history), encoding(other))


def test_fusion_by_addition_adds():
    semantic, behaviour = torch.randn(2, 3, 8), torch.randn(2, 3, 8)

    fused = BehaviourFusion(small_sizes(fusion=Fusion.ADD))(semantic, behaviour)

    assert torch.equal(fused, semantic + behaviour)


def test_fusion_by_multiplication_multiplies():
    semantic, behaviour = torch.randn(2, 3, 8), torch.randn(2, 3, 8)

    fused = BehaviourFusion(small_sizes(fusion=Fusion.MULTIPLY))(semantic, behaviour)

    assert torch.equal(fused, semantic * behaviour)


def test_fusion_by_a_network_depends_on_both():
    semantic, behaviour = torch.randn(2, 3, 8), torch.randn(2, 3, 8)
    fusion = BehaviourFusion(small_sizes(fusion=Fusion.NEURAL))

    fused = fusion(semantic, behaviour)

    assert fused.shape == (2, 3, 8)
    assert not torch.allclose(fused, fusion(semantic + 1, behaviour))
    assert not torch.allclose(fused, fusion(semantic, behaviour + 1))


def predict(prediction, exposed, fused, mask, position=None):
    torch.manual_seed(3)
    network = BehaviourPrediction(small_sizes(prediction=prediction)).eval()
    torch.nn.init.normal_(network.position.weight)
    return network(exposed, torch.zeros(exposed.shape[:2]), fused, mask, position)


@pytest.mark.parametrize("prediction", Prediction)
def test_one_logit_per_behaviour_for_every_exposed_post(prediction):
    logits = predict(prediction, torch.randn(2, 4, 8), torch.randn(2, 6, 8), torch.ones(2, 6, dtype=torch.bool))

    assert logits.shape == (2, 4, 5)


@pytest.mark.parametrize("prediction", Prediction)
def test_the_history_changes_the_prediction(prediction):
    exposed, mask = torch.randn(2, 4, 8), torch.ones(2, 6, dtype=torch.bool)

    one, other = (predict(prediction, exposed, torch.randn(2, 6, 8), mask) for _ in range(2))

    assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize("prediction", Prediction)
def test_padding_a_history_changes_no_prediction(prediction):
    exposed, fused, mask = torch.randn(2, 4, 8), torch.randn(2, 6, 8), torch.ones(2, 6, dtype=torch.bool)
    longer = torch.cat([fused, torch.randn(2, 3, 8)], dim=1)
    longer_mask = torch.cat([mask, torch.zeros(2, 3, dtype=torch.bool)], dim=1)

    one = predict(prediction, exposed, fused, mask)
    other = predict(prediction, exposed, longer, longer_mask)

    assert torch.allclose(one, other, atol=1e-5)


@pytest.mark.parametrize("prediction", Prediction)
@pytest.mark.parametrize("items", [0, 3])
def test_an_account_without_history_gets_finite_predictions(prediction, items):
    logits = predict(
        prediction, torch.randn(2, 4, 8), torch.randn(2, items, 8), torch.zeros(2, items, dtype=torch.bool)
    )

    assert logits.isfinite().all()


def test_without_a_place_the_odds_are_the_mean_of_the_places_that_were_learnt_from():
    exposed, fused, mask = torch.randn(1, 4, 8), torch.randn(1, 6, 8), torch.ones(1, 6, dtype=torch.bool)
    network = BehaviourPrediction(small_sizes())
    torch.nn.init.normal_(network.position.weight)
    network(exposed, torch.zeros(1, 4), fused, mask, torch.tensor([[1, 1, 1, 2]]))
    network.eval()

    none, first, second = (
        network(exposed, torch.zeros(1, 4), fused, mask, place).exp()
        for place in (None, torch.full((1, 4), 1), torch.full((1, 4), 2))
    )

    assert torch.allclose(none, 0.75 * first + 0.25 * second, rtol=1e-4)


def test_a_place_changes_nothing_before_any_training():
    exposed, fused, mask = torch.randn(1, 2, 8), torch.randn(1, 6, 8), torch.ones(1, 6, dtype=torch.bool)
    network = BehaviourPrediction(small_sizes()).eval()

    not_told, first = (
        network(exposed, torch.zeros(1, 2), fused, mask, place) for place in (None, torch.ones(1, 2).long())
    )

    assert torch.allclose(not_told, first)
