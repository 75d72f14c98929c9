"""Choose which of several server addresses to try next, and when."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chatproto.wire.bcp2_common import Address
from chatproto.wire.fields import host_port
from chatproto.wire.limits import CLIENT_DEFAULTS

MOST = 60.0
"""Longest pause in seconds between two rounds of attempts."""


class Places:
    """Try `addresses`, at least one, one after another, and then again from the first.

    After a lost connection the next address is tried at once. After each failed round the pause is 1 s
    times 1.5 up to `MOST`, plus or minus half: clients that lost a server at the same moment must not
    return at the same moment. `jitter` returns numbers from 0 to 1. No pause is longer than `longest`.
    """

    def __init__(
        self,
        addresses: Sequence[Address],
        jitter: Callable[[], float],
        longest: float = CLIENT_DEFAULTS.retry_most,
    ) -> None:
        self._addresses = list(addresses)
        self._jitter = jitter
        self._longest = longest
        self._at = 0
        self._failures = 0
        self._least = 1.0

    def __len__(self) -> int:
        return len(self._addresses)

    @property
    def current(self) -> Address:
        """Address that is being tried, or was tried last."""
        return self._addresses[self._at]

    @property
    def name(self) -> str:
        """The same as `host:port`."""
        return host_port(*self.current)

    def reached(self) -> None:
        """Note that the current server answers."""
        self._failures = 0
        self._least = 1.0

    def wait(self) -> float:
        """Count a failure; return the seconds to wait before the next attempt."""
        rounds, before = divmod(self._failures, len(self._addresses))
        self._failures += 1
        if before or not rounds:
            return 0.0
        return max(self._least, min(MOST, 1.5 ** min(rounds - 1, 20))) * (0.5 + self._jitter())

    def pause(self, told: int) -> float:
        """Return the seconds to wait after CLOSING, which requested `told` seconds.

        The wait is never shorter, and has a random part: `told` is in whole seconds, the same for many
        clients. If the server is not back by then, each further wait is at least a quarter of `told`.
        """
        self._failures = 1
        self._least = min(MOST, max(1.0, told / 4))
        return min(told, self._longest) + self._jitter()

    def patience(self, told: int | None) -> float:
        """Return the seconds to wait after an answer that the server is busy, with its Retry-After."""
        usual = self.wait()
        return usual if told is None else min(told, self._longest) * (1 + 0.5 * self._jitter())

    def move_on(self) -> None:
        """Try the next address now."""
        self._at = (self._at + 1) % len(self._addresses)

    def drop(self) -> bool:
        """Never try the current address again; return False if it is the only one. Call `move_on`
        before a try.
        """
        if len(self._addresses) == 1:
            return False
        del self._addresses[self._at]
        self._at = (self._at - 1) % len(self._addresses)
        return True
