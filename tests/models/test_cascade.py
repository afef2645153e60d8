from dataclasses import replace

import pytest
import torch

from models.artefact import load_network, same_weights, save_network
from models.batch import Batch
from models.cascade import Cascade
from models.loss import behaviour_loss, losses
from models.sizes import Fusion, Modality, Prediction
from tests.models.tensors import random_batch, random_history, small_sizes, trained_a_little

NETWORKS = ("feature_extraction", "behaviour_encoding", "behaviour_fusion", "behaviour_prediction")


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def touched(network: Cascade) -> set[str]:
    """Names of the parts that a gradient has reached."""
    reached = {name for name, one in network.named_parameters() if one.grad is not None and one.grad.abs().sum() > 0}
    return {name.split(".")[0] for name in reached}


def one_target(*, posts: int) -> Batch:
    """One sample that shows what to recommend: the last post, after others that were acted on."""
    batch = random_batch(batch=1, posts=posts)
    history = replace(
        random_history(1, 5, posts - 1), happened=torch.ones(1, 5, 5), is_reference=torch.ones(1, 5, dtype=torch.bool)
    )
    return replace(batch, labels=torch.ones(1, 5), exposed=torch.tensor([posts - 1]), history=history)


@pytest.mark.parametrize("fusion", [Fusion.NEURAL])
@pytest.mark.parametrize("prediction", Prediction)
def test_the_behaviour_loss_alone_trains_all_four_networks(fusion, prediction):
    network, batch = trained_a_little(small_sizes(fusion=fusion, prediction=prediction)), random_batch()

    behaviour_loss(network(batch).logits, batch.labels).backward()

    assert touched(network) == set(NETWORKS)


@pytest.mark.parametrize("fusion", [Fusion.ADD, Fusion.MULTIPLY])
def test_fusions_without_weights_pass_the_gradient_on(fusion):
    network, batch = trained_a_little(small_sizes(fusion=fusion)), random_batch()

    behaviour_loss(network(batch).logits, batch.labels).backward()

    assert touched(network) == set(NETWORKS) - {"behaviour_fusion"}


@pytest.mark.parametrize("modality", Modality)
def test_every_modality_learns(modality):
    network, batch = Cascade(small_sizes(modality=modality)), random_batch(batch=32)
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)

    found = []
    for _ in range(30):
        loss = losses(network(batch), batch).total(1.0)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        found.append(loss.item())

    assert found[-1] < 0.8 * found[0]


def test_the_serving_loss_trains_the_feature_extraction_and_the_match():
    network, batch = trained_a_little(small_sizes()), random_batch()

    losses(network(batch), batch).serving.backward()

    assert touched(network) == {"feature_extraction", "matching"}


def test_the_serving_score_is_the_log_sum_of_weighted_references():
    network = trained_a_little(small_sizes())
    history = replace(random_history(1, 4, 9), is_reference=torch.tensor([[True, False, True, True]]))
    vectors = torch.nn.functional.normalize(torch.randn(9, 8), dim=1)
    quality = torch.randn(9)

    scores, has_reference = network.match(vectors, quality, vectors[history.post], history)

    weights = network.matching.log_weights(history.happened[0, [3, 2, 0]], torch.arange(3))
    references = vectors[history.post[0, [3, 2, 0]]]
    expected = [torch.logsumexp(weights + network.matching.tau * (references @ one), 0) for one in vectors]
    assert has_reference.tolist() == [True]
    assert torch.allclose(scores[0], torch.stack(expected) + quality, atol=1e-5)


def test_posts_known_to_the_account_are_no_negatives():
    network, batch = trained_a_little(small_sizes()), one_target(posts=5)
    everything_known = replace(batch, known=torch.ones(1, 5, dtype=torch.bool))

    assert losses(network(everything_known), everything_known).serving.item() == pytest.approx(0, abs=1e-6)


def test_scores_are_those_of_the_samples_that_show_what_to_recommend():
    network, batch = trained_a_little(small_sizes()), random_batch(batch=4)
    history = replace(batch.history, post=torch.zeros(4, 5, dtype=torch.int64))
    history.is_reference[:] = torch.tensor([True, True, True, False])[:, None]
    labels = torch.tensor([1.0, 0.0, 1.0, 1.0])[:, None].expand(4, 5)  # the second was not acted on
    exposed = torch.tensor([1, 1, 0, 1])  # the third had been shown before, the fourth has no references
    batch = replace(batch, history=history, labels=labels, exposed=exposed)

    predictions = network(batch)

    vectors, quality = network.encode(batch.posts)
    everybody, _ = network.match(vectors, quality, vectors[history.post], history)
    assert predictions.targets.tolist() == [0]
    assert torch.allclose(predictions.scores, everybody[:1], atol=1e-5)


def test_rare_negatives_count_for_the_posts_they_stand_for():
    network, batch = trained_a_little(small_sizes()), random_batch(batch=8)
    rare = replace(batch, log_presence=torch.full((20,), -3.0))

    predictions = network(batch)

    assert losses(predictions, rare).serving > losses(predictions, batch).serving


def test_a_batch_without_references_has_no_serving_loss():
    network, batch = trained_a_little(small_sizes()), random_batch()
    none = replace(batch.history, is_reference=torch.zeros_like(batch.history.is_reference))
    batch = replace(batch, history=none)

    assert losses(network(batch), batch).serving.item() == 0


def test_ranking_many_candidates_equals_predicting_them_one_by_one():
    network = trained_a_little(small_sizes())
    history, vectors, quality = random_history(1, 4, 9), torch.randn(9, 8), torch.randn(9)
    fused = network.fuse(vectors[history.post], history)

    together = network.rank(vectors, quality, fused, history.mask)

    alone = [network.rank(vectors[[row]], quality[[row]], fused, history.mask)[0] for row in range(9)]
    assert torch.allclose(together, torch.stack(alone), atol=1e-5)


def test_ranking_orders_by_the_score_that_its_loss_trains():
    network, batch = trained_a_little(small_sizes()).eval(), one_target(posts=9)
    vectors, quality = network.encode(batch.posts)

    predictions = network(batch)

    semantic = vectors[batch.history.post]
    scores, _ = network.match(vectors, quality, semantic, batch.history)
    following = network.follow(vectors, network.fuse(semantic, batch.history), batch.history.mask)
    assert torch.allclose(predictions.ranks, scores + following, atol=1e-5)


def test_ranking_changes_no_order_before_any_training():
    network, batch = Cascade(small_sizes()), random_batch()

    predictions = network(batch)

    assert torch.equal(predictions.ranks, predictions.scores)


def test_the_ranking_loss_reaches_all_networks_but_the_prediction_of_behaviours():
    network, batch = trained_a_little(small_sizes()), random_batch()

    losses(network(batch), batch).ranking.backward()

    assert touched(network) == set(NETWORKS) - {"behaviour_prediction"} | {"interest", "matching"}


def test_a_saved_network_comes_back_bit_for_bit(tmp_path):
    network, batch = trained_a_little(small_sizes(fusion=Fusion.ADD, prediction=Prediction.CONCAT)), random_batch()

    save_network(network, tmp_path)
    loaded = load_network(tmp_path)

    assert loaded.sizes == network.sizes
    assert same_weights(loaded, network)
    assert torch.equal(loaded(batch).logits, network(batch).logits)


@pytest.mark.parametrize("damage", ["truncate", "missing", "other sizes", "unknown size"])
def test_a_damaged_network_is_refused(tmp_path, damage):
    save_network(trained_a_little(small_sizes()), tmp_path)
    weights, sizes = tmp_path / "network.safetensors", tmp_path / "network.json"

    if damage == "truncate":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "missing":
        weights.unlink()
    elif damage == "other sizes":
        sizes.write_text(sizes.read_text().replace('"semantic_width": 8', '"semantic_width": 16'))
    else:
        sizes.write_text(sizes.read_text().replace('"semantic_width"', '"sematic_width"'))

    with pytest.raises(ValueError, match=r"cannot be loaded|unknown network sizes"):
        load_network(tmp_path)
