"""What an import or an export came to, in numbers; and how far it is while it runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from app.domain import PictureStatus
from app.intake.status import ACCEPTED, DUPLICATE, ItemStatus

REASONS_NAMED = 50  # a file of nothing but different errors must not grow the report without end
OTHER_REASONS = "other reasons, see the rejects file"
COLUMNS_NAMED = 50


@dataclass(frozen=True, slots=True)
class FileProgress:
    """How far one file is."""

    kind: str  # posts, users, exposures, behaviours
    rows_done: int
    bytes_done: int
    bytes_total: int | None  # None when nobody knows, as in an export


Progress = Callable[[FileProgress], None]


def silent(progress: FileProgress) -> None:
    """Show no progress."""


@dataclass
class Counts:
    """What became of the rows of one kind."""

    accepted: int = 0  # new, or changed
    duplicate: int = 0  # already there, just so
    rejected: int = 0
    reasons: Counter[str] = field(default_factory=Counter)  # of the rejected
    notes: Counter[str] = field(default_factory=Counter)  # what was changed about accepted ones
    unknown_columns: Counter[str] = field(default_factory=Counter)  # rows that carry each; they are ignored

    def add(self, status: ItemStatus) -> None:
        """Count one row."""
        if status.status == ACCEPTED:
            self.accepted += 1
            if status.reason:
                self.notes[status.reason] += 1
        elif status.status == DUPLICATE:
            self.duplicate += 1
        else:
            self.reject(status.reason or "")

    def reject(self, reason: str) -> None:
        """Count a bad row."""
        self.rejected += 1
        self.reasons[reason if reason in self.reasons or len(self.reasons) < REASONS_NAMED else OTHER_REASONS] += 1

    def add_unknown(self, columns: Iterable[str]) -> None:
        """Count the columns of a row that mean nothing here."""
        for column in columns:
            if column in self.unknown_columns or len(self.unknown_columns) < COLUMNS_NAMED:
                self.unknown_columns[column] += 1


@dataclass
class ImportReport:
    """What an import came to."""

    posts: Counts = field(default_factory=Counts)
    users: Counts = field(default_factory=Counts)
    exposures: Counts = field(default_factory=Counts)
    behaviours: Counts = field(default_factory=Counts)  # those inside exposures too
    pictures: Counter[PictureStatus] = field(default_factory=Counter)  # of rows that name one
    rejects_files: dict[str, Path] = field(default_factory=dict)  # by kind; only where rows were rejected
    seconds: float = 0.0

    @property
    def rejected(self) -> int:
        """Bad rows of all kinds."""
        return self.posts.rejected + self.users.rejected + self.exposures.rejected + self.behaviours.rejected


@dataclass
class ExportReport:
    """What an export came to."""

    folder: Path
    posts: int = 0
    users: int = 0
    exposures: int = 0
    behaviours: int = 0  # those inside exposures too
    pictures: int = 0
    pictures_lost: int = 0  # named by a post, but gone from the store
    seconds: float = 0.0
