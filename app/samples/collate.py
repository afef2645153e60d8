"""Samples -> the tensors of `models.batch`; histories of serving requests take the same way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import numpy as np
import torch
from numpy.typing import NDArray

from app.domain import BEHAVIOUR_KINDS, SEQUENCES, HistoryItem, Sample
from app.samples.tokens import TokenTable
from models.batch import BEHAVIOURS, POSITIONS, Batch, History

KIND_NUMBER = {kind: number for number, kind in enumerate(BEHAVIOUR_KINDS)}
SEQUENCE_NUMBER = {sequence: number for number, sequence in enumerate(SEQUENCES)}


class HistoryArrays:
    """Padded arrays of `batch` histories with room for `width` items each; filled one history at a time."""

    def __init__(self, batch: int, width: int) -> None:
        self.post = np.zeros((batch, width), np.int64)
        self.mask = np.zeros((batch, width), bool)
        self.sequence = np.zeros((batch, width), np.int64)
        self.order = np.zeros((batch, width), np.int64)
        self.happened = np.zeros((batch, width, BEHAVIOURS), np.float32)
        self.seconds_since = np.zeros((batch, width, BEHAVIOURS), np.float32)
        self.seconds_since_shown = np.zeros((batch, width), np.float32)
        self.is_reference = np.zeros((batch, width), bool)

    def fill(self, sample: int, history: Sequence[HistoryItem], moment: datetime, *, rows: Mapping[str, int]) -> None:
        """Write one history; posts without a row are left out."""
        items = [item for item in history if item.post_id in rows]
        now = moment.timestamp()
        copies: set[tuple[str, float]] = set()
        for place, item in enumerate(items):
            shown = item.shown_at.timestamp()
            self.post[sample, place] = rows[item.post_id]
            self.sequence[sample, place] = SEQUENCE_NUMBER[item.sequence]
            self.seconds_since_shown[sample, place] = now - shown
            for act in item.acts:
                kind = KIND_NUMBER[act.kind]
                self.happened[sample, place, kind] = 1
                self.seconds_since[sample, place, kind] = now - act.at.timestamp()
            if item.acts and (item.post_id, shown) not in copies:
                copies.add((item.post_id, shown))
                self.is_reference[sample, place] = True
        self.mask[sample, : len(items)] = True
        self._number_from_the_latest(sample, len(items))

    def _number_from_the_latest(self, sample: int, items: int) -> None:
        """Places within each sequence, 0 = latest; items come oldest first."""
        for number in range(len(SEQUENCES)):
            places = np.flatnonzero(self.sequence[sample, :items] == number)
            self.order[sample, places] = np.arange(len(places))[::-1]

    def tensors(self) -> History:
        """The filled arrays as tensors, without the columns that no history reaches."""
        width = int(self.mask.sum(axis=1).max(initial=0))
        return History(
            post=torch.from_numpy(self.post[:, :width]),
            mask=torch.from_numpy(self.mask[:, :width]),
            sequence=torch.from_numpy(self.sequence[:, :width]),
            order=torch.from_numpy(self.order[:, :width]),
            happened=torch.from_numpy(self.happened[:, :width]),
            seconds_since=torch.from_numpy(self.seconds_since[:, :width]),
            seconds_since_shown=torch.from_numpy(self.seconds_since_shown[:, :width]),
            is_reference=torch.from_numpy(self.is_reference[:, :width]),
        )


class Collator:
    """Turns samples into batches over one token table."""

    def __init__(self, table: TokenTable, rows: Mapping[str, int], log_presence: NDArray[np.float32]) -> None:
        self._table = table
        self._rows = rows  # post id -> row of the table
        self._log_presence = log_presence  # (table rows,)

    def batch(self, samples: Sequence[Sample]) -> Batch:
        """One batch; samples of posts without a row are left out."""
        samples = [sample for sample in samples if sample.post_id in self._rows]
        arrays = HistoryArrays(len(samples), max((len(sample.history) for sample in samples), default=0))
        for number, sample in enumerate(samples):
            arrays.fill(number, sample.history, sample.shown_at, rows=self._rows)
        exposed = np.asarray([self._rows[sample.post_id] for sample in samples], np.int64)
        distinct, inverse = np.unique(np.concatenate([exposed, arrays.post[arrays.mask]]), return_inverse=True)
        arrays.post[arrays.mask] = inverse[len(samples) :]
        exposed = inverse[: len(samples)]
        return Batch(
            posts=self._table.gather(distinct),
            exposed=torch.from_numpy(exposed),
            history=arrays.tensors(),
            labels=torch.from_numpy(labels_of(samples)),
            position=positions_of(samples),
            log_presence=torch.from_numpy(self._log_presence[distinct]),
            known=torch.from_numpy(_known(samples, exposed, arrays, posts=len(distinct))),
        )


def labels_of(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """The first behaviours, (batch, kinds)."""
    labels = np.zeros((len(samples), BEHAVIOURS), np.float32)
    for number, sample in enumerate(samples):
        for kind in sample.label:
            labels[number, KIND_NUMBER[kind]] = 1
    return labels


def positions_of(samples: Sequence[Sample]) -> torch.Tensor:
    """Places on the page, (batch,): 1 = first, 0 = not known."""
    places = [0 if sample.position is None else min(sample.position + 1, POSITIONS) for sample in samples]
    return torch.tensor(places, dtype=torch.int64)


def _known(
    samples: Sequence[Sample], exposed: NDArray[np.int64], arrays: HistoryArrays, *, posts: int
) -> NDArray[np.bool_]:
    """Posts of each sample's own account: shown before, or acted on elsewhere in the batch; (batch, posts)."""
    known = np.zeros((len(samples), posts), bool)
    sample, place = np.nonzero(arrays.mask)
    known[sample, arrays.post[sample, place]] = True
    acted: dict[str, list[int]] = {}
    for number, one in enumerate(samples):
        if one.label:
            acted.setdefault(one.user_id, []).append(int(exposed[number]))
    for number, one in enumerate(samples):
        known[number, acted.get(one.user_id, [])] = True
    return known
