"""Every error that Tuwen raises on purpose, one tree by cause.

TuwenError
├── BadInput            the caller sent something unusable: what, where, how to mend it
│   ├── UnknownId       a post, job, generation or key that is not there
│   ├── ExpiredCursor   a page token whose session has ended
│   └── Erased          a person of whom nothing is taken in any more
├── NotAllowed          a role that may not
│   └── Unauthenticated no key, a wrong one or a revoked one
├── TooMany             too many requests or tries: wait
├── Conflict            the thing is busy: e.g. a reindex is running
├── TooLarge            over a stated limit
├── Unavailable         a store, the disk or the index cannot be used now; trying later may work
├── BadArtefact         a generation or an artefact that is damaged, foreign or of another shape
└── BadSettings         a setting that cannot work; says which and what to write instead

Each carries a one-line message that says what happened and what to do. `app/api/problems.py` gives it a status.
"""

from __future__ import annotations


class TuwenError(Exception):
    """An error with a message fit for the person who caused it or can mend it."""

    def __init__(self, message: str, **facts: object) -> None:
        super().__init__(message)
        self.message = message
        self.facts = facts


class BadInput(TuwenError):  # noqa: N818
    """The caller sent something unusable."""


class UnknownId(BadInput):
    """A post, job, generation or key that is not there."""


class ExpiredCursor(BadInput):
    """A page token whose session has ended."""


class Erased(BadInput):
    """A person of whom nothing is taken in any more."""


class NotAllowed(TuwenError):  # noqa: N818
    """A role that may not."""


class Unauthenticated(NotAllowed):
    """No key, a wrong one or a revoked one."""


class TooMany(TuwenError):  # noqa: N818
    """Too many requests or tries of a kind; the fact `wait_seconds` says how long to wait."""


class Conflict(TuwenError):  # noqa: N818
    """The thing is busy."""


class TooLarge(TuwenError):  # noqa: N818
    """Over a stated limit."""


class Unavailable(TuwenError):  # noqa: N818
    """A store, the disk or the index cannot be used now."""


class BadArtefact(TuwenError):  # noqa: N818
    """A generation or an artefact that is damaged, foreign or of another shape."""


class BadSettings(TuwenError):  # noqa: N818
    """A setting that cannot work."""
