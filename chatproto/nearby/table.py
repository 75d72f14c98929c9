"""Rules of discovery: which beacons are remembered, and how often own beacons are sent.

No I/O: every function takes `now` in seconds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from chatproto.nearby.messages import Beacon
from chatproto.wire.bcp2_common import Address
from chatproto.wire.values import value_class

BEACON_EVERY = 30.0
"""Mean seconds between two own beacons; `JITTER` varies them."""
BEACON_GAP = 3.0
"""Minimum seconds between two own beacons, also in answer to SEEK."""
BEACON_KEEP = 95.0
"""Seconds after its last beacon at which a claim expires."""

SOON = 1.0
"""Maximum seconds of the random delay before a new peer is answered."""
JITTER = 0.1
"""Fraction of `BEACON_EVERY` by which the interval varies at random."""


@value_class
class Neighbour:
    """Peer heard on the local network: the id and key that it claims, best address first.

    `seen`: time of its last beacon. Nothing is proved until TLS has shown the key.
    """

    client_id: str
    key: str
    addresses: tuple[Address, ...]
    seen: float


NEARBY = 256
"""Maximum number of claims (pairs of id and key)."""
NEARBY_PER_HOST = 16
"""Maximum number of claims from one host."""
NEARBY_ADDRESSES = 4
"""Maximum number of addresses per claim."""


@dataclass(slots=True)
class _Claim:
    """Addresses that one claim came from, with the time of the last beacon from each."""

    at: dict[Address, float] = field(default_factory=dict)


class Table:
    """Claims of the last `BEACON_KEEP` seconds.

    At most `NEARBY` of them, `NEARBY_PER_HOST` from one host, with `NEARBY_ADDRESSES` addresses each.
    A full table ignores new claims, so that a flood does not displace known peers.
    """

    def __init__(self) -> None:
        self._claims: dict[tuple[str, str], _Claim] = {}

    def store(self, beacon: Beacon, host: str, now: float) -> bool:
        """Store a beacon from `host`; return True if its claim is new and was stored."""
        self._forget(now)
        who, address = (beacon.client_id, beacon.key), (host, beacon.port)
        known = self._claims.get(who)
        if known is None:
            if not self._has_room(host):
                return False
            self._claims[who] = _Claim({address: now})
            return True
        if address in known.at or len(known.at) < NEARBY_ADDRESSES:
            known.at[address] = now
        return False

    def neighbours(self, now: float, client_id: str | None = None) -> tuple[Neighbour, ...]:
        """Return the claims, or only those of `client_id`, sorted by id."""
        self._forget(now)
        return tuple(
            Neighbour(*who, _in_order(heard.at), max(heard.at.values()))
            for who, heard in sorted(self._claims.items())
            if client_id in (None, who[0])
        )

    def _has_room(self, host: str) -> bool:
        if len(self._claims) >= NEARBY:
            return False
        of_host = sum(any(at[0] == host for at in one.at) for one in self._claims.values())
        return of_host < NEARBY_PER_HOST

    def _forget(self, now: float) -> None:
        oldest = now - BEACON_KEEP
        for who, heard in tuple(self._claims.items()):
            for address, seen in tuple(heard.at.items()):
                if seen <= oldest:
                    del heard.at[address]
            if not heard.at:
                del self._claims[who]


def _in_order(heard: dict[Address, float]) -> tuple[Address, ...]:
    """Return the addresses in the order first heard, link-local ones (`%interface`) last."""
    return tuple(sorted(heard, key=lambda address: "%" in address[0]))


class Rhythm:
    """Schedule of own beacons: every `BEACON_EVERY` seconds, sooner if a peer asks or is new.

    Two beacons are at least `BEACON_GAP` seconds apart. `due`: time of the next one.
    """

    def __init__(self, now: float) -> None:
        self._last = float("-inf")
        self.due = now

    def sent(self, now: float, jitter: float) -> None:
        """Schedule the next beacon after one was sent; `jitter` is a number from 0 to 1."""
        self._last = now
        self.due = now + BEACON_EVERY * (1 + JITTER * (2 * jitter - 1))

    def hasten(self, now: float, jitter: float) -> None:
        """Bring the next beacon forward, because a peer asked for it or is new."""
        soon = max(now + SOON * jitter, self._last + BEACON_GAP)
        self.due = min(self.due, soon)
