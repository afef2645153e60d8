"""What a training cycle learns from <-> cycle.json, so that a killed trainer does the rest of the same cycle."""

from __future__ import annotations

import hashlib
import json
import logging
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from app.candidates.generation import UNREADABLE
from app.storage.log import Watermark

CYCLE = "cycle.json"
MOMENTS = ("arrived_since", "shown_since", "arrived_until", "held_out_since")
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Cycle:
    """What one cycle learns from; fixed at its start."""

    base: str | None  # the generation whose network it continues, None = the pretrained start
    arrived_since: datetime | None  # events before this moment were learnt from already
    shown_since: datetime | None  # except showings since this moment, which were held out
    arrived_until: datetime
    held_out_since: datetime | None  # showings since this moment are held out for evaluation
    plan: dict[str, Any]
    network: dict[str, Any]  # its sizes

    @property
    def watermark(self) -> Watermark:
        """Up to where the log is read."""
        return Watermark(self.arrived_until)

    @property
    def sha256(self) -> str:
        """Of all of it: its name, and the checksum of its notes."""
        return hashlib.sha256(_as_json(asdict(self)).encode()).hexdigest()


def write_notes(cycle: Cycle, folder: Path) -> None:
    """Write the cycle down; a kill at any moment leaves the former notes or the new ones. Raises OSError."""
    building = folder / f".{CYCLE}"
    building.write_text(_noted(cycle))
    building.replace(folder / CYCLE)


def read_notes(folder: Path) -> Cycle | None:
    """The cycle that was written down last; None where there is none, or where its notes are damaged."""
    try:
        content = (folder / CYCLE).read_text()
        values = json.loads(content)
        del values["sha256"]
        moments = {name: datetime.fromisoformat(values[name]) if values[name] else None for name in MOMENTS}
        cycle = Cycle(**values | moments)
        if _noted(cycle) != content:
            raise ValueError("their checksum does not fit")
    except FileNotFoundError:
        return None
    except UNREADABLE as error:
        log.warning("the notes of a training cycle are damaged, it begins anew: %s", error)
        return None
    return cycle


def _noted(cycle: Cycle) -> str:
    return _as_json(asdict(cycle) | {"sha256": cycle.sha256})


def _as_json(values: dict[str, Any]) -> str:
    return json.dumps(values, default=datetime.isoformat)
