"""Store interface by which keyed registrations survive a restart of the server."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from chatproto.directory.registrations import Registration


class RegistrationStore(Protocol):
    """The registrations of clients with keys; read once, when a server begins.

    One that lasts has kept what `keep` and `forget` told it when they return; both raise StoreTrouble
    where it cannot, and nothing has changed. The others never raise.
    """

    def all(self) -> Iterable[Registration]:
        """Each as it was when the last server ended, `until` None if it was connected then. Their
        visitors are gone. Raises StoreTrouble if that cannot be read."""

    def keep(self, presence: Registration) -> None:
        """Put `presence`, which is connected, in, or in the place of the former of that id."""

    def left(self, presence: Registration) -> None:
        """Note that the connection has ended; `presence.until` is set."""

    def all_left(self, now: float) -> None:
        """Note that the server ended with every connection; each `until` is `now + expires` at most."""

    def forget(self, client_id: str) -> None:
        """Take that one out, if it is in."""

    def expire(self, now: float, most: int = 1_000_000) -> None:
        """Take out those that are not connected and whose `until` has come, at most `most`."""


class ForgottenPresences:
    """Presences that no other server will know of."""

    def all(self) -> Iterable[Registration]:
        return ()

    def keep(self, presence: Registration) -> None: ...

    def left(self, presence: Registration) -> None: ...

    def all_left(self, now: float) -> None: ...

    def forget(self, client_id: str) -> None: ...

    def expire(self, now: float, most: int = 1_000_000) -> None: ...
