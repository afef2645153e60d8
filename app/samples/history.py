"""A user's showings, oldest first -> samples, each with the history strictly before its moment (patent steps 302-306).

A showing belongs to a sequence from the moment it "enters" it: its own for BROWSE, its first click for CLICK, its first
other behaviour for OTHER. Whatever happened at the very moment of a sample, or later, the sample does not see.
"""

from __future__ import annotations

from bisect import insort
from collections import abc
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from heapq import heapify, heappop, heappush, nlargest
from operator import attrgetter, itemgetter

from app.domain import SEQUENCES, BehaviourKind, HistoryItem, Sample, Sequence, ShownPost

COUNT_CEILING = 200  # a serving request knows no more showings of its user
WINDOW_CEILING_SECONDS = 100 * 365 * 86400.0
WAITING_LIMIT = 20_000  # showings with a behaviour yet to come, per sequence; no log holds more of one user
EVER = datetime.min.replace(tzinfo=UTC)
NEVER = datetime.max.replace(tzinfo=UTC)
CLICK = BehaviourKind.CLICK
NO_LABEL: frozenset[BehaviourKind] = frozenset()


@dataclass(frozen=True)
class HistoryLimits:
    """Which sequences a history has and how far each reaches back; both limits apply together (after step 204).

    For a time window alone, set `count` to COUNT_CEILING. Raises ValueError saying what is allowed.
    """

    sequences: tuple[Sequence, ...] = SEQUENCES
    count: int = 20  # most recent items of each sequence
    window_seconds: float | None = None  # showings before moment - window are left out; None = no window

    def __post_init__(self) -> None:
        unknown = [sequence for sequence in self.sequences if not isinstance(sequence, Sequence)]
        if unknown or not self.sequences or len(set(self.sequences)) < len(self.sequences):
            raise ValueError(f"history sequences: one or more of {', '.join(SEQUENCES)}, each once")
        if not 1 <= self.count <= COUNT_CEILING:
            raise ValueError(f"history count: from 1 to {COUNT_CEILING}")
        if self.window_seconds is not None and not 0 < self.window_seconds <= WINDOW_CEILING_SECONDS:
            raise ValueError(f"history window_seconds: above 0 and at most {WINDOW_CEILING_SECONDS:.0f}, or none")

    @property
    def window(self) -> timedelta | None:
        """The time window as a span."""
        return None if self.window_seconds is None else timedelta(seconds=self.window_seconds)


def history_before(shown: abc.Sequence[ShownPost], moment: datetime, limits: HistoryLimits) -> tuple[HistoryItem, ...]:
    """The history of one moment out of showings ordered by (shown_at, exposure_id), as a request needs it."""
    start = moment - limits.window if limits.window is not None else EVER
    history: list[HistoryItem] = []
    for sequence in limits.sequences:
        latest_first: list[HistoryItem] = []
        for showing in reversed(shown):
            if len(latest_first) == limits.count or showing.shown_at < start:
                break
            enters_at = _enters_at(showing, sequence)
            if enters_at is not None and enters_at < moment:
                latest_first.append(_item(showing, sequence, moment))
        history += reversed(latest_first)
    return tuple(history)


def samples_of_user(shown: Iterable[ShownPost], limits: HistoryLimits) -> Iterator[Sample]:
    """One sample per showing of one user, given in the order of (shown_at, exposure_id).

    Each history equals `history_before`, at a cost that does not grow with the showings before it.
    """
    rolling = [_RollingSequence(sequence, limits) for sequence in limits.sequences]
    moment: datetime | None = None
    history: tuple[HistoryItem, ...] = ()
    for order, showing in enumerate(shown):
        if showing.shown_at != moment:  # what is shown together has one history
            moment = showing.shown_at
            history = tuple([item for sequence in rolling for item in sequence.items_before(moment)])
        for sequence in rolling:
            sequence.add(showing, order)
        yield Sample(
            showing.exposure_id,
            showing.user_id,
            showing.post_id,
            showing.shown_at,
            showing.position,
            frozenset([act.kind for act in showing.acts]) if showing.acts else NO_LABEL,
            history,
        )


def _enters_at(showing: ShownPost, sequence: Sequence) -> datetime | None:
    """The showing belongs to the sequence for moments after this one; None = for no moment."""
    if sequence is Sequence.BROWSE:
        return showing.shown_at
    wants_click = sequence is Sequence.CLICK
    for act in showing.acts:
        if (act.kind is CLICK) == wants_click:
            return max(act.at, showing.shown_at)
    return None


def _item(showing: ShownPost, sequence: Sequence, moment: datetime) -> HistoryItem:
    acts = tuple([act for act in showing.acts if act.at < moment])
    return HistoryItem(showing.post_id, sequence, showing.shown_at, acts)


class _Entry:
    """A showing inside a sequence, with its history item as it stood at the last moment asked for."""

    __slots__ = ("item", "order", "showing", "stale_after")

    def __init__(self, showing: ShownPost, order: int, *, sequence: Sequence, moment: datetime) -> None:
        self.showing = showing
        self.order = order
        self.item = HistoryItem(showing.post_id, sequence, showing.shown_at, ())
        self.stale_after = NEVER
        if showing.acts:
            self.item_before(moment)

    def item_before(self, moment: datetime) -> HistoryItem:
        """The item with every act before the moment; it stays right up to the next act's moment."""
        self.item = _item(self.showing, self.item.sequence, moment)
        seen = len(self.item.acts)
        self.stale_after = self.showing.acts[seen].at if seen < len(self.showing.acts) else NEVER
        return self.item


class _RollingSequence:
    """One sequence of one user, moved forward in time showing by showing."""

    def __init__(self, sequence: Sequence, limits: HistoryLimits) -> None:
        self._sequence = sequence
        self._count = limits.count
        self._window = limits.window
        self._entries: list[_Entry] = []  # in the order of showing, at most `count`
        self._waiting: list[tuple[datetime, int, ShownPost]] = []  # heap by the moment of entering

    def add(self, showing: ShownPost, order: int) -> None:
        """Take note of a showing; it becomes history once it has entered the sequence."""
        enters_at = _enters_at(showing, self._sequence)
        if enters_at is None:
            return
        heappush(self._waiting, (enters_at, order, showing))
        if len(self._waiting) > 2 * WAITING_LIMIT:
            self._waiting = nlargest(WAITING_LIMIT, self._waiting, key=itemgetter(1))
            heapify(self._waiting)

    def items_before(self, moment: datetime) -> list[HistoryItem]:
        """The history items of a moment, which must not precede the moments asked before."""
        waiting = self._waiting
        while waiting and waiting[0][0] < moment:
            _, order, showing = heappop(waiting)
            self._enter(showing, order, moment)
        entries = self._entries
        if self._window is not None:
            start = moment - self._window
            while entries and entries[0].showing.shown_at < start:
                del entries[0]
        return [entry.item if entry.stale_after >= moment else entry.item_before(moment) for entry in entries]

    def _enter(self, showing: ShownPost, order: int, moment: datetime) -> None:
        """Late behaviours bring older showings in; the most recently shown stay."""
        entries = self._entries
        if len(entries) == self._count:
            if order < entries[0].order:
                return
            del entries[0]
        entry = _Entry(showing, order, sequence=self._sequence, moment=moment)
        insort(entries, entry, key=attrgetter("order"))
