"""Sequences of post ids -> SASRec (Kang & McAuley 2018, arXiv 1808.09781), with the full softmax as its loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812
from numpy.typing import NDArray
from torch import Tensor, nn

from app.evaluation.log import Log
from app.evaluation.measure import Scores
from app.evaluation.rivals.neighbours import acted_rows
from app.evaluation.split import Case

LONGEST = 50  # latest acts looked at
SEQUENCES_AT_ONCE = 64
LEARNING_RATE = 1e-3
Stop = Callable[[int, Scores], bool]  # epochs done, the scores by now -> whether that is enough


class SasRec(nn.Module):
    """A causal transformer over the posts that a user acted on; the last place tells the next one."""

    def __init__(self, posts: int, *, width: int = 64, layers: int = 2, heads: int = 2, dropout: float = 0.3) -> None:
        super().__init__()
        self.posts = nn.Embedding(posts + 1, width, padding_idx=posts)
        self.places = nn.Embedding(LONGEST, width)
        nn.init.normal_(self.posts.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)
        self.dropout = nn.Dropout(dropout)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=dropout, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.bias = nn.Parameter(torch.zeros(posts))

    def forward(self, sequences: Tensor) -> Tensor:
        """Logits (batch, places, posts) of the next post; sequences (batch, places) int64, padded behind."""
        places = torch.arange(sequences.shape[1])
        inside = self.dropout(self.posts(sequences) + self.places(places))
        hidden = torch.triu(torch.ones(len(places), len(places), dtype=torch.bool), diagonal=1)
        states = self.norm(self.transformer(inside, mask=hidden, is_causal=True))
        logits: Tensor = states @ self.posts.weight[:-1].T + self.bias
        return logits


def by_sasrec(visible: Log, *, seed: int, epochs: int, stop: Stop = lambda epochs, scores: False) -> Scores:
    """Train on the visible sequences for so many epochs, or until told to stop."""
    torch.manual_seed(seed)
    posts = len(visible.posts)
    sequences = [rows for rows in acted_rows(visible) if len(rows) > 1]
    network = SasRec(posts)
    optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
    chance = np.random.default_rng(seed)
    scores = _scores(network, posts)
    for epoch in range(epochs):
        network.train()
        for batch in _batches(sequences, chance, posts=posts):
            wanted = batch[:, 1:]
            loss = F.cross_entropy(network(batch[:, :-1]).flatten(0, 1), wanted.flatten(), ignore_index=posts)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
        network.eval()
        if stop(epoch + 1, scores):
            break
    return scores


def _batches(sequences: list[NDArray[np.int64]], chance: np.random.Generator, *, posts: int) -> Iterator[Tensor]:
    """Every sequence once, by chance; of a long one a random window, (batch, places)."""
    order = chance.permutation(len(sequences))
    for at in range(0, len(order), SEQUENCES_AT_ONCE):
        windows = [_window(sequences[number], chance) for number in order[at : at + SEQUENCES_AT_ONCE]]
        batch = np.full((len(windows), max(map(len, windows))), posts)
        for number, window in enumerate(windows):
            batch[number, : len(window)] = window
        yield torch.from_numpy(batch)


def _window(sequence: NDArray[np.int64], chance: np.random.Generator) -> NDArray[np.int64]:
    begin = int(chance.integers(0, max(0, len(sequence) - LONGEST - 1) + 1))
    return sequence[begin : begin + LONGEST + 1]


def _scores(network: SasRec, posts: int) -> Scores:
    def scores(case: Case) -> NDArray[np.float32]:
        if not len(case.acted):
            return np.zeros(posts, np.float32)
        with torch.inference_mode():
            logits = network(torch.from_numpy(case.acted[-LONGEST:])[None])
        return np.asarray(logits[0, -1].numpy())

    return scores
