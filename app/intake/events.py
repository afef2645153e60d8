"""Exposure and behaviour records -> the log; files and HTTP both end here. Acknowledged means committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from app.domain import Behaviour, Exposure, Rejection
from app.intake.event_records import (
    Arrival,
    BehaviourRecord,
    ExposureRecord,
    Showing,
    behaviour_note,
    behaviour_of,
    showings_of,
)
from app.intake.freshness import log_grown
from app.intake.status import ACCEPTED, DUPLICATE, ERASED, REJECTED, ItemStatus
from app.storage.events import LogBatch, log_batch
from app.storage.stores import Stores

UNKNOWN_POST = "post_id: no such post; send the post first"
UNKNOWN_EXPOSURE = "exposure_id: no such exposure; send it first, or name user_id and post_id"
OTHER_EXPOSURE = "exposure_id: is in use for another user or post"

Owner = tuple[str, str]  # user_id, post_id
Act = TypeVar("Act", bound=Behaviour | Rejection)


@dataclass(frozen=True, slots=True)
class Recorded:
    """What one committed batch came to."""

    statuses: list[ItemStatus]  # one per record, in order
    user_ids: set[str]  # whose log has grown
    acts_accepted: int  # behaviours inside exposures' records
    acts_duplicate: int


async def save_exposures(stores: Stores, records: Sequence[ExposureRecord]) -> list[ItemStatus]:
    """Commit a batch of exposures with their behaviours and say so to the caches."""
    recorded = await record_exposures(stores, showings_of(records))
    await log_grown(stores, recorded.user_ids)
    return recorded.statuses


async def save_behaviours(stores: Stores, records: Sequence[BehaviourRecord]) -> list[ItemStatus]:
    """Commit a batch of behaviours that came by themselves and say so to the caches."""
    recorded = await record_behaviours(stores, records)
    await log_grown(stores, recorded.user_ids)
    return recorded.statuses


async def record_exposures(stores: Stores, showings: Sequence[Showing]) -> Recorded:
    """Commit a batch of exposures with their behaviours; of several with one id the first counts."""
    async with log_batch(stores.database) as batch:
        known = await batch.known_posts({one.exposure.post_id for one in showings})
        erased = await batch.erased(stores.erased, {one.exposure.user_id for one in showings})
        exposures = [one.exposure for one in showings if one.exposure.post_id in known]
        new, owners = await _add_exposures(batch, [one for one in exposures if one.user_id not in erased])
        acts = _first_of_each_id(act for one in showings if one.acts and _is_owned(one, owners) for act in one.acts)
        new_acts = await batch.add_behaviours(list(acts.values()))
        # A known exposure with new behaviours is news too.
        news = new | {str(acts[act_id].exposure_id) for act_id in new_acts}
        user_ids = {owners[exposure_id][0] for exposure_id in news}
        await batch.add_users(user_ids)
    statuses = _exposure_statuses(showings, known=known, erased=erased, owners=owners, news=set(news))
    return Recorded(statuses, user_ids, len(new_acts), len(acts) - len(new_acts))


def _is_owned(showing: Showing, owners: Mapping[str, Owner]) -> bool:
    """Whether the exposure's id stands for this showing, and not for another user's or of another post."""
    exposure = showing.exposure
    return owners.get(exposure.exposure_id) == (exposure.user_id, exposure.post_id)


async def _add_exposures(batch: LogBatch, exposures: list[Exposure]) -> tuple[frozenset[str], dict[str, Owner]]:
    """The ids that were new, and whose all of the ids are now."""
    first: dict[str, Exposure] = {}
    for one in exposures:
        first.setdefault(one.exposure_id, one)
    new = await batch.add_exposures(list(first.values()))
    owners = {exposure_id: (first[exposure_id].user_id, first[exposure_id].post_id) for exposure_id in new}
    if len(new) < len(first):
        owners |= await batch.owners(first.keys() - new)
    return new, owners


def _exposure_statuses(
    showings: Sequence[Showing],
    *,
    known: frozenset[str],
    erased: frozenset[str],
    owners: Mapping[str, Owner],
    news: set[str],
) -> list[ItemStatus]:
    statuses = []
    for index, one in enumerate(showings):
        exposure_id = one.exposure.exposure_id
        if one.exposure.user_id in erased:
            status = ItemStatus(index, exposure_id, REJECTED, ERASED)
        elif one.exposure.post_id not in known:
            status = ItemStatus(index, exposure_id, REJECTED, UNKNOWN_POST)
        elif not _is_owned(one, owners):
            status = ItemStatus(index, exposure_id, REJECTED, OTHER_EXPOSURE)
        elif exposure_id in news:
            news.discard(exposure_id)  # the next one of this id is a duplicate
            status = ItemStatus(index, exposure_id, ACCEPTED, one.note)
        else:
            status = ItemStatus(index, exposure_id, DUPLICATE)
        statuses.append(status)
    return statuses


async def record_behaviours(stores: Stores, records: Sequence[BehaviourRecord]) -> Recorded:
    """Commit a batch of behaviours that came by themselves, before or after the exposure they name."""
    arrival = Arrival.now()
    async with log_batch(stores.database) as batch:
        owners = await batch.owners({record.exposure_id for record in records if record.exposure_id is not None})
        found = [_attributed(record, owners.get(record.exposure_id or ""), arrival) for record in records]
        erased = await batch.erased(stores.erased, {one.user_id for one in found if not isinstance(one, str)})
        found = [ERASED if not isinstance(one, str) and one.user_id in erased else one for one in found]
        known = await batch.known_posts({one.post_id for one in found if not isinstance(one, str)})
        acts = _first_of_each_id(one for one in found if not isinstance(one, str) and one.post_id in known)
        new = await batch.add_behaviours([one for one in acts.values() if isinstance(one, Behaviour)])
        new |= await batch.add_rejections([one for one in acts.values() if isinstance(one, Rejection)])
        user_ids = {acts[act_id].user_id for act_id in new}
        await batch.add_users(user_ids)
    statuses = _behaviour_statuses(records, found, known=known, news=set(new), arrival=arrival)
    return Recorded(statuses, user_ids, 0, 0)


def _attributed(record: BehaviourRecord, owner: Owner | None, arrival: Arrival) -> Behaviour | Rejection | str:
    """The behaviour with its user and post, or why it cannot have them."""
    if owner is None:
        if record.user_id is None or record.post_id is None:
            return UNKNOWN_EXPOSURE
        owner = (record.user_id, record.post_id)
    elif (record.user_id or owner[0], record.post_id or owner[1]) != owner:
        return OTHER_EXPOSURE
    return behaviour_of(record, owner, arrival)


def _behaviour_statuses(
    records: Sequence[BehaviourRecord],
    found: Sequence[Behaviour | Rejection | str],
    *,
    known: frozenset[str],
    news: set[str],
    arrival: Arrival,
) -> list[ItemStatus]:
    statuses = []
    for index, (record, one) in enumerate(zip(records, found, strict=True)):
        if isinstance(one, str):
            status = ItemStatus(index, record.behaviour_id, REJECTED, one)
        elif one.post_id not in known:
            status = ItemStatus(index, one.behaviour_id, REJECTED, UNKNOWN_POST)
        elif one.behaviour_id in news:
            news.discard(one.behaviour_id)
            status = ItemStatus(index, one.behaviour_id, ACCEPTED, behaviour_note(record, arrival))
        else:
            status = ItemStatus(index, one.behaviour_id, DUPLICATE)
        statuses.append(status)
    return statuses


def _first_of_each_id(acts: Iterable[Act]) -> dict[str, Act]:
    first: dict[str, Act] = {}
    for act in acts:
        first.setdefault(act.behaviour_id, act)
    return first
