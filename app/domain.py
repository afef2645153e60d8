"""The words of the domain: what the rest of the code passes around. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any


class BehaviourKind(StrEnum):
    """The five behaviours of the patent (claim 1, step 302); the order is the order of every behaviour axis."""

    CLICK = "click"
    LIKE = "like"
    SHARE = "share"
    FAVOURITE = "favourite"
    COMMENT = "comment"


BEHAVIOUR_KINDS: tuple[BehaviourKind, ...] = tuple(BehaviourKind)


class PictureStatus(StrEnum):
    """What became of a post's picture; anything but STORED leaves the post with its title only."""

    NONE = "none"  # the post never named one
    STORED = "stored"
    MISSING = "missing"  # named, but no such file
    UNREADABLE = "unreadable"  # damaged, or not JPEG, PNG or WebP
    TOO_LARGE = "too_large"


@dataclass(frozen=True, slots=True)
class Post:
    """One picture plus one title that describes it (the patent's 图文组合)."""

    post_id: str
    title: str
    picture_hash: str | None = None  # SHA-256 of the stored picture bytes, hex
    picture_status: PictureStatus = PictureStatus.NONE
    category: str | None = None
    city: str | None = None
    latitude: float | None = None  # degrees north
    longitude: float | None = None  # degrees east
    author_id: str | None = None
    tags: tuple[str, ...] = ()
    published_at: datetime | None = None  # UTC, aware
    expires_at: datetime | None = None  # UTC, aware
    attributes: Mapping[str, Any] = field(default_factory=dict)
    hidden: bool = False
    pinned_at: datetime | None = None  # UTC, aware; since then it comes first for everybody
    picture_print: int | None = None  # perceptual hash of the picture; None where it shows nothing to tell apart


@dataclass(frozen=True, slots=True)
class User:
    """A person of the feed and what is known of him."""

    user_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Behaviour:
    """One act of one user on one post. `exposure_id` is None when the client did not say which showing it answers."""

    behaviour_id: str
    user_id: str
    post_id: str
    kind: BehaviourKind
    at: datetime  # UTC, aware
    exposure_id: str | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """One user saying that one post is not for him. No sixth behaviour: it is honoured, not predicted."""

    behaviour_id: str
    user_id: str
    post_id: str
    at: datetime  # UTC, aware
    exposure_id: str | None = None


NOT_INTERESTED = "not_interested"  # how a rejection is called among the kinds of behaviours that clients send


@dataclass(frozen=True, slots=True)
class Exposure:
    """One showing of one post to one user (step 302)."""

    exposure_id: str
    user_id: str
    post_id: str
    shown_at: datetime  # UTC, aware
    position: int | None = None  # 0 = first of the page
    scene: str | None = None
    recommendation_id: str | None = None
    experiment: str | None = None  # under way when its page was made
    arm: str | None = None  # of the experiment, to which the user belongs
    propensity: float | None = None  # with which the post got its place; None = nothing was left to chance


@dataclass(frozen=True, slots=True)
class Act:
    """A behaviour as part of an exposure's record: the kind and when."""

    kind: BehaviourKind
    at: datetime  # UTC, aware


@dataclass(frozen=True, slots=True)
class PostAct:
    """A behaviour together with the post it was on; whose it is, the holder knows."""

    post_id: str
    kind: BehaviourKind
    at: datetime  # UTC, aware


@dataclass(frozen=True, slots=True)
class ShownPost:
    """An exposure with everything that followed from it, whenever it followed."""

    exposure_id: str
    user_id: str
    post_id: str
    shown_at: datetime  # UTC, aware
    position: int | None
    acts: tuple[Act, ...]  # ordered by `at`
    arrived_at: datetime | None = None  # UTC, aware: the latest arrival of the showing or of any of its acts


class Sequence(StrEnum):
    """The history sequences of claims 6 and 7; they may overlap."""

    BROWSE = "browse"  # everything shown before
    CLICK = "click"  # shown before and clicked before the moment
    OTHER = "other"  # shown before and liked, shared, favourited or commented before the moment


SEQUENCES: tuple[Sequence, ...] = tuple(Sequence)


@dataclass(frozen=True, slots=True)
class HistoryItem:
    """One history post as it stood at the sample's moment: only acts that had happened by then (step 306)."""

    post_id: str
    sequence: Sequence
    shown_at: datetime  # UTC, aware; strictly before the sample's moment
    acts: tuple[Act, ...]


@dataclass(frozen=True, slots=True)
class Sample:
    """An exposed post, its first behaviour and the history before it (claim 1)."""

    exposure_id: str
    user_id: str
    post_id: str
    shown_at: datetime  # UTC, aware: the sample's moment
    position: int | None
    label: frozenset[BehaviourKind]  # the first behaviour; empty is a sample too
    history: tuple[HistoryItem, ...]  # by sequence, then by shown_at, oldest first


class ReferenceKind(StrEnum):
    """Whose reference post it is (step 402)."""

    OWN = "own"
    SIMILAR_USER = "similar_user"
    SIMILAR_ATTRIBUTES = "similar_attributes"
    SESSION = "session"


@dataclass(frozen=True, slots=True)
class Reference:
    """A post that the user, or an account with matching features, interacted with (step 402)."""

    post_id: str
    kind: ReferenceKind
    behaviour: BehaviourKind  # the strongest act on it
    at: datetime  # UTC, aware; of that act
    weight: float  # > 0; relative influence on matching
    user_id: str | None = None  # the peer whose reference it is; None for one's own
    behaviours: frozenset[BehaviourKind] = frozenset()  # every kind of act on it, the strongest included


class Role(StrEnum):
    """Who may call what; each role may do all that the ones before it may."""

    CLIENT = "client"
    OPS = "ops"
    ADMIN = "admin"
