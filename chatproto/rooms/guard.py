"""Rate limits of one key, one address and one speaker in rooms. `now` is in seconds."""

from __future__ import annotations

from collections import OrderedDict
from math import ceil

from chatproto.net.addresses import is_loopback, network
from chatproto.net.bounded_table import remember
from chatproto.net.rate_limiter import RateLimiter, RateLimiters
from chatproto.rooms.policy import RoomPolicy
from chatproto.wire.errors import Later, RemoteError
from chatproto.wire.limits import ServerLimits

MINUTE, HOUR = 60.0, 3600.0
MOST = 100_000
"""Keys, and addresses, whose counts are stored."""
PER_ADDRESS = 16
"""Factor by which an address may send more than one key: a school class may share it."""


class RoomGuard:
    """Counts requests, new rooms and wrong room keys by key and by address, whatever id they use.

    An IPv6 address counts by its /64. Loopback has no limit for requests, as everywhere, but it has one
    for new rooms and guesses.
    """

    def __init__(self, limits: ServerLimits) -> None:
        rate, burst = limits.room_rate, limits.room_burst
        self._requests: RateLimiters[str] = RateLimiters(rate, burst, MOST)
        self._from: RateLimiters[str] = RateLimiters(rate * PER_ADDRESS, burst * PER_ADDRESS, MOST)
        rooms = limits.new_rooms_per_address
        self._new: RateLimiters[str] = RateLimiters(rooms / HOUR, rooms, MOST)
        tries = limits.secret_tries
        self._wrong: RateLimiters[tuple[str, str]] = RateLimiters(tries / MINUTE, tries, MOST)
        self._right: OrderedDict[tuple[str, str], None] = OrderedDict()

    def count(self, key: str, host: str, now: float) -> None:
        """Count one request. Raises RemoteError 429 above the rate limit."""
        allowed = self._requests.allow(key, now)
        if allowed and not is_loopback(host):
            allowed = self._from.allow(network(host), now)
        if not allowed:
            raise RemoteError(429, "too many requests about rooms")

    def count_new(self, host: str, now: float) -> None:
        """Count a new room. Raises Later if the address has made too many within an hour."""
        address = network(host)
        if not self._new.allow(address, now):
            raise Later("too many new rooms", ceil(min(self._new.wait(address, now), HOUR)))

    def check_secret(
        self, policy: RoomPolicy, key: str, host: str, secret: str, now: float, rooms_now: float
    ) -> float:
        """Count `secret` if it is a wrong room key; return the seconds for which the next one is refused.

        `rooms_now`: time on the clock of the room policies. Raises Later for too many wrong keys.
        """
        if not policy.secret or policy.invited_only:
            return 0.0
        is_guess = policy.is_guess(key, secret, rooms_now)
        if not is_guess and not secret:
            return 0.0
        self.check_guesses(policy.name, key, host, now)
        if is_guess:
            return self.guessed(policy.name, key, host, now)
        self.was_right(policy.name, key)
        return 0.0

    def check_guesses(self, room: str, key: str, host: str, now: float) -> None:
        """Raise Later if `key`, or its address, sent too many wrong keys of `room`.

        A client that has sent the right one before is not limited by others of its address.
        """
        by_address = room, network(host)
        names = [(room, key)] if (room, key) in self._right else [(room, key), by_address]
        wait = max(self._wrong.wait(name, now) for name in names)
        if wait > 0:
            raise Later("too many wrong keys of that room", ceil(min(wait, MINUTE)))

    def guessed(self, room: str, key: str, host: str, now: float) -> float:
        """Count a wrong key; return the seconds for which the next try is refused, 0 for none."""
        waits = []
        for name in ((room, key), (room, network(host))):
            self._wrong.take(name, now)
            waits.append(self._wrong.wait(name, now))
        return max(waits)

    def was_right(self, room: str, key: str) -> None:
        """Remember that `key` knows the key of `room`."""
        remember(self._right, (room, key), None, MOST)


class SpeakerLimiter:
    """Limit one speaker's messages (`say_rate`, `say_burst`) and bytes (`say_bytes` a second).

    Excess is read later, not refused. A message may exceed the bytes left; the next one is then delayed.
    """

    def __init__(self, limits: ServerLimits) -> None:
        self._messages = RateLimiter(limits.say_rate, max(1, limits.say_burst))
        self._bytes = RateLimiter(limits.say_bytes, limits.say_bytes)

    def wait(self, now: float) -> float:
        """Return the seconds until the next message may be read, at most 60; 0 for now."""
        return min(max(self._messages.wait(now), self._bytes.wait(now, 0.0)), MINUTE)

    def spend(self, now: float, size: int) -> None:
        """Count one message of `size` bytes."""
        self._messages.take(now)
        self._bytes.take(now, size)
