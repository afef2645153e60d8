"""What is asked of an evaluation: protocols, seeds, rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

WARM, COLD, BEHAVIOUR = "warm", "cold", "behaviour"
PROTOCOLS = (WARM, COLD, BEHAVIOUR)
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Asked:
    """What is to be evaluated."""

    protocols: Sequence[str] = PROTOCOLS
    seeds: int = 3
    rows: Sequence[str] = ()  # parts of row names; none means all

    def wants(self, name: str, *, only_by_name: bool = False) -> bool:
        """Whether a row was asked for."""
        if not self.rows:
            return not only_by_name
        return any(part.lower() in name.lower() for part in self.rows)
