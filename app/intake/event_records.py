"""Exposures and behaviours as clients and files write them -> events of the domain, with ids and plausible times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Annotated, Literal

from pydantic import BaseModel, Field, model_validator

from app.domain import NOT_INTERESTED, Behaviour, BehaviourKind, Exposure, Rejection
from app.intake.fields import RECORD, Id, Moment, Position, Word
from app.storage.trace import Trace

ACTS_PER_EXPOSURE = 1000
CLOCK_TOLERANCE = timedelta(minutes=5)
CLAMPED = "lay in the future: kept as the time of arrival"

Kind = Literal["click", "like", "share", "favourite", "comment"]
KindOrRejection = Literal["click", "like", "share", "favourite", "comment", "not_interested"]
_KINDS: dict[str, BehaviourKind] = {kind.value: kind for kind in BehaviourKind}


class ActRecord(BaseModel):
    """A behaviour inside the record of its exposure."""

    model_config = RECORD

    kind: Kind
    at: Moment
    behaviour_id: Id | None = None


class ExposureRecord(BaseModel):
    """A post shown to a user, with whatever behaviours are known when it is sent."""

    model_config = RECORD

    user_id: Id
    post_id: Id
    shown_at: Moment
    exposure_id: Id | None = None
    position: Position | None = None
    scene: Word | None = None
    recommendation_id: Id | None = None
    behaviours: Annotated[list[ActRecord], Field(max_length=ACTS_PER_EXPOSURE)] = []


class BehaviourRecord(BaseModel):
    """A behaviour or a rejection by itself: of a known exposure, or of a user on a post, at whichever showing."""

    model_config = RECORD

    kind: KindOrRejection
    behaviour_id: Id | None = None
    exposure_id: Id | None = None
    user_id: Id | None = None
    post_id: Id | None = None
    at: Moment | None = None

    @model_validator(mode="after")
    def _names_its_exposure(self) -> BehaviourRecord:
        if self.exposure_id is None and (self.user_id is None or self.post_id is None):
            raise ValueError("name the exposure_id, or the user_id and the post_id")
        return self


def derived_id(*parts: str) -> str:
    """The id of an event that came without one: the same event gets the same id however often it is sent."""
    # Ids and times hold no control characters, so the separator keeps ("a", "bc") and ("ab", "c") apart.
    return "derived-" + blake2b("\x1f".join(parts).encode(), digest_size=16).hexdigest()


@dataclass(frozen=True, slots=True)
class Showing:
    """An exposure with the behaviours that came inside its record, and what was changed about them, if anything."""

    exposure: Exposure
    acts: list[Behaviour]
    note: str | None


@dataclass(frozen=True, slots=True)
class Arrival:
    """When a batch arrived, and up to what time a clock that is a little ahead is believed."""

    at: datetime  # UTC, aware
    latest: datetime

    @classmethod
    def now(cls) -> Arrival:
        """This moment's."""
        at = datetime.now(UTC)
        return cls(at, at + CLOCK_TOLERANCE)


def showings_of(records: Iterable[ExposureRecord]) -> list[Showing]:
    """What a batch of records that has just arrived says."""
    arrival = Arrival.now()
    return [_showing(record, _exposure(record, arrival), arrival) for record in records]


def _exposure(record: ExposureRecord, arrival: Arrival) -> Exposure:
    """The exposure of a record. Its id is derived from the time it states, so a clamped event is still found again."""
    user_id, post_id, shown_at = record.user_id, record.post_id, record.shown_at
    trace = Trace.of(record.recommendation_id)
    return Exposure(
        record.exposure_id or derived_id(user_id, post_id, shown_at.isoformat()),
        user_id,
        post_id,
        _plausible(shown_at, arrival),
        record.position,
        record.scene or None,
        record.recommendation_id,
        None if trace is None else trace.experiment,
        None if trace is None else trace.arm,
        None if trace is None else trace.propensity(post_id, record.position),
    )


def _showing(record: ExposureRecord, exposure: Exposure, arrival: Arrival) -> Showing:
    exposure_id, user_id, post_id = exposure.exposure_id, exposure.user_id, exposure.post_id
    acts = [
        Behaviour(
            act.behaviour_id or _behaviour_id(user_id, post_id, act.kind, act.at, exposure_id),
            user_id,
            post_id,
            _KINDS[act.kind],
            _plausible(act.at, arrival),
            exposure_id,
        )
        for act in record.behaviours
    ]
    early = record.shown_at > arrival.latest or any(act.at > arrival.latest for act in record.behaviours)
    return Showing(exposure, acts, CLAMPED if early else None)


def behaviour_of(record: BehaviourRecord, owner: tuple[str, str], arrival: Arrival) -> Behaviour | Rejection:
    """The behaviour of a record that came by itself; `owner` is whose act on which post it is."""
    stated_at = record.at or arrival.at
    user_id, post_id = owner
    at, exposure_id = _plausible(stated_at, arrival), record.exposure_id
    behaviour_id = record.behaviour_id or _behaviour_id(user_id, post_id, record.kind, stated_at, exposure_id)
    if record.kind == NOT_INTERESTED:
        return Rejection(behaviour_id, user_id, post_id, at, exposure_id)
    return Behaviour(behaviour_id, user_id, post_id, _KINDS[record.kind], at, exposure_id)


def behaviour_note(record: BehaviourRecord, arrival: Arrival) -> str | None:
    """What was changed about a behaviour, if anything."""
    return CLAMPED if record.at is not None and record.at > arrival.latest else None


def _behaviour_id(user_id: str, post_id: str, kind: str, at: datetime, exposure_id: str | None) -> str:
    return derived_id(user_id, post_id, kind, at.isoformat(), exposure_id or "")


def _plausible(moment: datetime, arrival: Arrival) -> datetime:
    return moment if moment <= arrival.latest else arrival.at
