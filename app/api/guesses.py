"""Wrong keys by address -> whether that address may try another; in this process only, and bounded."""

from __future__ import annotations

import time
from collections import OrderedDict
from ipaddress import IPv6Address, ip_address

GUESSES_AT_MOST = 60
WINDOW_SECONDS = 60.0
ADDRESSES_AT_MOST = 10_000
V6_NETWORK_BITS = 64  # whoever has one such address has all of its network


class Guesses:
    """Counts the wrong keys of an address from its first one on, until the window is over."""

    def __init__(self, *, at_most: int = GUESSES_AT_MOST, window_seconds: float = WINDOW_SECONDS) -> None:
        self._at_most = at_most
        self._window_seconds = window_seconds
        self._counts: OrderedDict[str, tuple[float, int]] = OrderedDict()  # the window's end (monotonic), wrong keys

    def wait_seconds(self, address: str) -> float:
        """How long no further key of this address is looked up; 0 if one may be."""
        until, count = self._counts.get(_network(address), (0.0, 0))
        return max(0.0, until - time.monotonic()) if count >= self._at_most else 0.0

    def right(self, address: str) -> None:
        """Take one back that was noted as wrong and is not."""
        network = _network(address)
        until, count = self._counts.get(network, (0.0, 0))
        if count:
            self._counts[network] = (until, count - 1)

    def wrong(self, address: str) -> None:
        """Note a wrong key."""
        network, now = _network(address), time.monotonic()
        until, count = self._counts.pop(network, (0.0, 0))
        self._counts[network] = (until, count + 1) if now < until else (now + self._window_seconds, 1)
        if len(self._counts) > ADDRESSES_AT_MOST:
            self._counts.popitem(last=False)


def _network(address: str) -> str:
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is None:
        return f"{int(parsed) >> (128 - V6_NETWORK_BITS):x}"
    return address
