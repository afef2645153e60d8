"""Small random tensors for the tests of the networks."""

import torch

from models.batch import BEHAVIOURS, Batch, History, PostTokens
from models.cascade import Cascade
from models.sizes import NetworkSizes

PICTURE_WIDTH, TITLE_WIDTH, WORDS = 12, 10, 6


def small_sizes(**chosen) -> NetworkSizes:
    return NetworkSizes(
        picture_backbone="patches",
        title_backbone="hashed-pieces",
        picture_width=PICTURE_WIDTH,
        title_width=TITLE_WIDTH,
        **({"width": 16, "layers": 1, "heads": 2, "semantic_width": 8, "history_heads": 2} | chosen),
    )


def random_posts(count: int) -> PostTokens:
    words = torch.arange(WORDS) < torch.randint(1, WORDS + 1, (count, 1))
    title = torch.randn(count, WORDS, TITLE_WIDTH) * words[..., None]
    return PostTokens(torch.randn(count, 9, PICTURE_WIDTH), torch.ones(count, dtype=torch.bool), title, words)


def random_history(batch: int, items: int, posts: int) -> History:
    happened = (torch.rand(batch, items, BEHAVIOURS) < 0.4).float()
    return History(
        post=torch.randint(0, posts, (batch, items)),
        mask=torch.ones(batch, items, dtype=torch.bool),
        sequence=torch.randint(0, 3, (batch, items)),
        order=torch.arange(items).flip(0).expand(batch, -1),
        happened=happened,
        seconds_since=happened * torch.rand(batch, items, BEHAVIOURS) * 1e5,
        seconds_since_shown=torch.arange(items, 0, -1).expand(batch, -1) * 1e5,
        is_reference=happened.sum(dim=-1) > 0,
    )


def random_batch(batch: int = 6, items: int = 5, posts: int = 20) -> Batch:
    labels = (torch.rand(batch, BEHAVIOURS) < 0.5).float()
    labels[0, 0] = 1
    return Batch(
        posts=random_posts(posts),
        exposed=torch.randint(0, posts, (batch,)),
        history=random_history(batch, items, posts),
        labels=labels,
        position=torch.randint(0, 5, (batch,)),
        log_presence=torch.zeros(posts),
        known=torch.zeros(batch, posts, dtype=torch.bool),
    )


def trained_a_little(sizes: NetworkSizes) -> Cascade:
    """A network whose heads are not zero any more."""
    network = Cascade(sizes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return network.eval()
