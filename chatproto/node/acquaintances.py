"""Whose key is whose, to one user's program: pins, introductions of the last minute, our own key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from chatproto.identity.pins import NO_SERVER, Pin, PinFile
from chatproto.identity.safety import safety_number
from chatproto.identity.tls import Handshake, Judge, Tls
from chatproto.identity.trust import Belief, Worth, believe
from chatproto.wire.limits import Limits

MOST = 1000
"""How many introductions are remembered."""


class Acquaintances:
    """Our identity and those we know; `server_key` is the key of the server that we are registered
    with, None while there is none."""

    def __init__(
        self, tls: Tls, file: PinFile, seconds: Callable[[], float], limits: Limits
    ) -> None:
        self.server_key: str | None = None
        self._tls = tls
        self._file = file
        self._seconds = seconds
        self._limits = limits
        self._introduced: OrderedDict[tuple[str, str], float] = OrderedDict()

    @property
    def own_key(self) -> str:
        """The name of our own key."""
        return self._tls.identity.name

    @property
    def where(self) -> str:
        """The file of the pins."""
        return str(self._file.path)

    def handshake(self, judge: Judge) -> Handshake:
        """TLS's part of one connection."""
        return self._tls.handshake(judge)

    def introduce(self, client_id: str, key: str) -> None:
        """A server says that `client_id` has `key`."""
        self._introduced[client_id, key] = self._seconds()
        self._introduced.move_to_end((client_id, key))
        if len(self._introduced) > MOST:
            self._introduced.popitem(last=False)

    def believe(self, client_id: str, key: str) -> Belief:
        """What it is worth that somebody who proved `key` says to be `client_id`."""
        at = self._introduced.get((client_id, key))
        fresh = at is not None and self._seconds() - at <= self._limits.introduced_wait
        servers = [] if self.server_key is None else [self.server_key]
        return believe(self._file.pins, servers, client_id, key, fresh)

    def knows(self, key: str) -> bool:
        """Whether `key` is pinned as anybody's."""
        return bool(self._file.pins.ids_of(key))

    def has_pin_of(self, client_id: str) -> bool:
        """Return True if any pin, at whichever server, is for the id `client_id`."""
        return self._file.pins.has_person(client_id)

    def pinned(self, client_id: str) -> Pin | None:
        """The pin of `client_id`, at our server or without one."""
        pins = self._file.pins
        at_server = pins.person(self.server_key, client_id) if self.server_key else None
        return at_server or pins.person(NO_SERVER, client_id)

    def pin(self, client_id: str, key: str, verified: bool = False) -> None:
        """Keep that `client_id` has `key`. Raises PinTrouble."""
        known = self.pinned(client_id)
        if known is None or known.key != key or (verified and not known.verified):
            server = known.server if known is not None else self.server_key or NO_SERVER
            self._file.put(Pin(server, client_id, key, verified))

    def trust(self, client_id: str, key: str) -> None:
        """Take `key` for that of `client_id` wherever another is known. Raises PinTrouble."""
        pins = self._file.pins
        servers = [one for one in (self.server_key, NO_SERVER) if one is not None]
        known = [server for server in servers if pins.person(server, client_id) is not None]
        for server in known or servers[:1]:
            self._file.put(Pin(server, client_id, key))

    def security(self, client_id: str, key: str) -> str:
        """`verified` if the two have compared their safety number, else `encrypted`."""
        known = self.pinned(client_id)
        verified = known is not None and known.key == key and known.verified
        return "verified" if verified else "encrypted"

    def safety_number(self, key: str) -> str:
        """What the two of us compare."""
        return safety_number(self.own_key, key)

    def server_pin(self, address: str) -> Pin | None:
        """The pin of the server at `host:port`."""
        return self._file.pins.server(address)

    def pin_server(self, address: str, key: str) -> bool:
        """Keep the key of a server, which was judged; True if none was known. Raises PinTrouble."""
        known = self.server_pin(address)
        if known is None or known.key != key:
            self._file.put(Pin("server", address, key))
        return known is None


__all__ = ["Acquaintances", "Worth"]
