from dataclasses import replace

import pytest
import torch

from models.batch import PostTokens
from models.feature_extraction import mean_word
from models.sizes import Modality
from tests.models.tensors import random_posts, small_sizes, trained_a_little


@pytest.fixture(autouse=True)
def seed() -> None:
    torch.manual_seed(0)


def encode(posts, **chosen):
    torch.manual_seed(1)
    network = trained_a_little(small_sizes(**chosen))
    with torch.inference_mode():
        return network.encode(posts)


def test_semantic_vectors_have_unit_length_and_every_post_a_quality():
    posts = random_posts(7)

    vectors, quality = encode(posts)

    assert vectors.shape == (7, 8)
    assert torch.allclose(vectors.norm(dim=1), torch.ones(7), atol=1e-5)
    assert quality.shape == (7,)


def test_the_same_picture_with_another_title_gives_another_vector():
    posts = random_posts(4)
    other = replace(posts, title=posts.title.roll(1, dims=0), title_mask=posts.title_mask.roll(1, dims=0))

    assert (encode(posts)[0] - encode(other)[0]).abs().amax(dim=1).min() > 1e-3


def test_the_same_title_with_another_picture_gives_another_vector():
    posts = random_posts(4)
    other = replace(posts, picture=posts.picture.roll(1, dims=0))

    assert (encode(posts)[0] - encode(other)[0]).abs().amax(dim=1).min() > 1e-3


def test_picture_only_does_not_read_the_title():
    posts = random_posts(4)
    other = replace(posts, title=posts.title.roll(1, dims=0), title_mask=posts.title_mask.roll(1, dims=0))

    assert torch.equal(encode(posts, modality=Modality.PICTURE)[0], encode(other, modality=Modality.PICTURE)[0])


def test_title_only_does_not_read_the_picture():
    posts = random_posts(4)
    other = replace(posts, picture=posts.picture.roll(1, dims=0))

    assert torch.equal(encode(posts, modality=Modality.TITLE)[0], encode(other, modality=Modality.TITLE)[0])


def test_a_post_without_picture_does_not_depend_on_what_fills_its_place():
    posts = replace(random_posts(4), has_picture=torch.zeros(4, dtype=torch.bool))
    other = replace(posts, picture=torch.zeros_like(posts.picture))

    assert torch.allclose(encode(posts)[0], encode(other)[0], atol=1e-6)


def test_padding_a_title_changes_nothing():
    posts = random_posts(4)
    padded = replace(
        posts,
        title=torch.cat([posts.title, torch.randn(4, 3, posts.title.shape[2])], dim=1),
        title_mask=torch.cat([posts.title_mask, torch.zeros(4, 3, dtype=torch.bool)], dim=1),
    )

    assert torch.allclose(encode(posts)[0], encode(padded)[0], atol=1e-5)


def test_a_post_with_neither_picture_nor_title_has_a_finite_vector():
    posts = random_posts(2)
    empty = replace(posts, has_picture=torch.zeros(2, dtype=torch.bool), title_mask=torch.zeros_like(posts.title_mask))

    assert encode(empty)[0].isfinite().all()


def test_the_untrained_network_is_the_whitened_frozen_encoder():
    from models.cascade import Cascade

    posts = random_posts(200)
    network = Cascade(small_sizes()).eval()
    network.feature_extraction.whiten(posts)

    with torch.inference_mode():
        picture = network.feature_extraction.picture_start(posts.picture.mean(dim=1))
        title = network.feature_extraction.title_start(mean_word(posts.title, posts.title_mask))
        vectors, quality = network.encode(posts)

    for half in (picture, title):
        assert torch.allclose(half.mean(dim=0), torch.zeros(4), atol=1e-4)
        assert torch.allclose(torch.cov(half.T), torch.eye(4), atol=0.02)
    expected = torch.cat([picture / picture.norm(dim=1, keepdim=True), title / title.norm(dim=1, keepdim=True)], dim=1)
    assert torch.allclose(vectors, expected / 2**0.5, atol=1e-5)
    assert quality.abs().max() == 0


def test_a_single_post_can_be_whitened():
    from models.cascade import Cascade

    network = Cascade(small_sizes()).eval()
    network.feature_extraction.whiten(random_posts(1))

    assert network.encode(random_posts(3))[0].isfinite().all()


def test_long_titles_beside_short_ones_change_nothing():
    torch.manual_seed(2)
    network = trained_a_little(small_sizes(title_words=24))
    lengths = torch.tensor([2, 14, 3, 24, 10, 11])
    mask = torch.arange(24) < lengths[:, None]
    posts = PostTokens(
        torch.randn(6, 9, 12), torch.ones(6, dtype=torch.bool), torch.randn(6, 24, 10) * mask[..., None], mask
    )

    together, quality = network.encode(posts)

    for row in range(6):
        alone, worth = network.encode(posts.at(torch.tensor([row]), 24))
        assert torch.allclose(together[row], alone[0], atol=1e-5)
        assert torch.allclose(quality[row], worth[0], atol=1e-5)
