"""The folder of generations -> what each says of itself, for `GET /generations`, `tuwen status` and the admin page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from app.candidates.generation import GenerationFolder
from app.errors import BadArtefact, UnknownId


@dataclass(frozen=True, slots=True)
class GenerationState:
    """One generation as it stands; what cannot be read is None."""

    generation: str
    serving: bool
    created_at: str | None  # RFC 3339, UTC
    origin: str | None
    parent: str | None
    posts: int | None
    rejected: str | None  # why the gate refused it; it can serve all the same, promoted by hand
    damaged: bool

    @property
    def word(self) -> str:
        """Its state in a word or two."""
        if self.damaged:
            return "damaged"
        if self.serving:
            return "serving, promoted by hand" if self.rejected else "serving"
        return "rejected" if self.rejected else "ready"


NEVER = datetime.min.replace(tzinfo=UTC)


def latest_rejection(folder: GenerationFolder) -> str | None:
    """Why the gate has refused the latest training; None where what serves has read the log as far as that."""
    serving, rejected = folder.current(), folder.rejected()
    if not rejected or _read_until(folder, rejected[-1]) <= _read_until(folder, serving):
        return None
    return folder.manifest(rejected[-1]).rejected


def _read_until(folder: GenerationFolder, generation: str | None) -> datetime:
    """How far the network of a generation had read the log; long ago for one that has not, or cannot be read."""
    try:
        log = folder.report(generation).get("log", {}) if generation else {}
        return datetime.fromisoformat(log["arrived_until"]) if log else NEVER
    except (BadArtefact, UnknownId):
        return NEVER


def list_generations(folder: GenerationFolder) -> list[GenerationState]:
    """All generations, latest first."""
    serving = folder.current()
    found = [_state(folder, one, serving) for one in folder.ids()]
    return sorted(found, key=lambda one: one.created_at or one.generation, reverse=True)


def _state(folder: GenerationFolder, generation: str, serving: str | None) -> GenerationState:
    try:
        manifest = folder.manifest(generation)
    except (BadArtefact, UnknownId):  # damaged, or just pruned
        return GenerationState(generation, generation == serving, None, None, None, None, None, damaged=True)
    return GenerationState(
        generation=generation,
        serving=generation == serving,
        created_at=manifest.created_at,
        origin=manifest.origin,
        parent=manifest.parent,
        posts=manifest.posts,
        rejected=manifest.rejected,
        damaged=False,
    )
