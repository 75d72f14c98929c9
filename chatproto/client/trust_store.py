"""One client's trust: pins, introductions of the last minute, our own key."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from chatproto.identity.pins import NO_SERVER, Ignored, Pin, PinFile, Pins
from chatproto.identity.safety import safety_number
from chatproto.identity.tls import Tls
from chatproto.identity.trust import Belief, believe
from chatproto.net.handshake import Handshake, Judge
from chatproto.session.punches import INTRODUCED_WAIT
from chatproto.wire.errors import LocalError
from chatproto.wire.reasons import PINNED_TO_ANOTHER

MOST = 1000
"""Most introductions that are stored."""


class NoPins(PinFile):
    """Pins of a program with --plain: none, and no file."""

    def __init__(self) -> None:
        self.pins = Pins()


class TrustStore:
    """Our identity and known keys; `server_key` is the key of the server that we are registered with,
    None without one."""

    def __init__(self, tls: Tls | None, file: PinFile, seconds: Callable[[], float]) -> None:
        self.server_key: str | None = None
        self.own_key = "" if tls is None else tls.identity.name
        """Name of our own key; empty with --plain, which has none."""
        self._tls = tls
        self.ignore = file.ignore
        """Store that a caller is ignored, or no longer. Raises PinTrouble."""
        self.file = file
        """Present pins."""
        self._seconds = seconds
        self._introduced: OrderedDict[tuple[str, str], float] = OrderedDict()

    def handshake(self, judge: Judge) -> Handshake:
        """Return the handshake of one connection; `judge` returns why the peer's key is refused."""
        assert self._tls is not None
        return self._tls.handshake(judge)

    @property
    def path(self) -> str:
        """Path of the pin file."""
        return str(self.file.path)

    def introduce(self, client_id: str, key: str) -> None:
        """Store the claim of a server that `client_id` has `key`."""
        self._introduced[client_id, key] = self._seconds()
        self._introduced.move_to_end((client_id, key))
        if len(self._introduced) > MOST:
            self._introduced.popitem(last=False)

    def believe(self, client_id: str, key: str) -> Belief:
        """Judge the claim of the owner of `key` to be `client_id`."""
        fresh = self.was_introduced(client_id, key)
        servers = [] if self.server_key is None else [self.server_key]
        return believe(self.file.pins, servers, client_id, key, fresh)

    def was_introduced(self, client_id: str, key: str) -> bool:
        """Return True if a server named `key` for `client_id` within the last minute."""
        at = self._introduced.get((client_id, key))
        return at is not None and self._seconds() - at <= INTRODUCED_WAIT

    @property
    def current_server(self) -> str:
        """Server under which ids are pinned now: its key, or `-`."""
        return self.server_key or NO_SERVER

    def knows(self, key: str) -> bool:
        """Return True if `key` is pinned under any name."""
        return bool(self.file.pins.ids_of(key))

    def ids_of(self, key: str) -> list[str]:
        """Return the ids to which `key` is pinned, without duplicates, the one at our server first."""
        known = self.file.pins.ids_of(key)
        known.sort(key=lambda pin: pin.server != self.current_server)
        return list(dict.fromkeys(pin.name for pin in known))

    def has_pin_of(self, client_id: str) -> bool:
        """Return True if the id `client_id` is pinned at any server."""
        return bool(self.file.pins.named(client_id))

    def pinned(self, client_id: str) -> Pin | None:
        """Return the pin of `client_id`, at our server or without one."""
        pins = self.file.pins
        at_server = pins.person(self.server_key, client_id) if self.server_key else None
        return at_server or pins.person(NO_SERVER, client_id)

    def pin(self, client_id: str, key: str, chosen: bool = False) -> None:
        """Pin `key` to `client_id`, unless another key is pinned to it here. Raises PinTrouble.

        `chosen`: the user asked for the id at this server. Otherwise an id that is pinned elsewhere to
        another key is not pinned here, because the id would then mean this key.
        """
        known = self.pinned(client_id)
        if known is not None:
            return
        others = {pin.key for pin in self.file.pins.named(client_id)} - {key}
        if chosen or not others:
            self.file.put(Pin(self.current_server, client_id, key, self.is_verified(key)))

    def verify(self, client_id: str, key: str) -> None:
        """Mark `key` as verified: its safety number was compared. Raises PinTrouble, LocalError 409."""
        known = self.file.pins.ids_of(key)
        if not known:
            other = self.pinned(client_id)
            if other is not None:
                raise LocalError(409, PINNED_TO_ANOTHER(peer=client_id, key=key))
            self.file.put(Pin(self.current_server, client_id, key, verified=True))
        for pin in known:
            if not pin.verified:
                self.file.put(Pin(pin.server, pin.name, key, verified=True))

    def trust(self, client_id: str, key: str, server: str | None = None) -> list[str]:
        """Pin `key` to `client_id`, at `server` or wherever another key is pinned.

        Returns: the replaced keys that are pinned to no id any more. Raises: PinTrouble.
        """
        pins = self.file.pins
        servers = [one for one in (self.server_key, NO_SERVER) if one is not None]
        known = [one for one in servers if pins.person(one, client_id) is not None]
        before = []
        for one in [server] if server is not None else known or servers[:1]:
            old = pins.person(one, client_id)
            if old is None or old.key != key:
                self.file.put(Pin(one, client_id, key, self.is_verified(key)))
                before += [] if old is None else [old.key]
        return [one for one in dict.fromkeys(before) if not self.knows(one)]

    def is_verified(self, key: str) -> bool:
        """Return True if the safety number of `key` was compared."""
        return any(pin.verified for pin in self.file.pins.ids_of(key))

    def security(self, key: str) -> str:
        """Return `verified` if the users have compared the safety number, else `encrypted`."""
        return "verified" if self.is_verified(key) else "encrypted"

    # Ignored callers.

    @property
    def ignored(self) -> tuple[Ignored, ...]:
        """Ignored callers."""
        return tuple(self.file.pins.ignored)

    def ignores(self, client_id: str, key: str | None) -> bool:
        """Return True if calls from `key` (None: in plain text) under `client_id` are ignored."""
        known = self.file.pins.ignored
        if key is not None and any(one.key == key for one in known):
            return True
        as_id = Ignored(client_id, server=self.current_server)
        pinned = key is not None and self.knows(key)
        return not pinned and any(one.same(as_id) for one in known)

    def safety_number(self, key: str) -> str:
        """Return the safety number: digits that both users compare."""
        return safety_number(self.own_key, key)

    def pin_server(self, address: str, key: str) -> bool:
        """Pin the accepted key of a server; return True if none was pinned. Raises PinTrouble."""
        known = self.file.pins.server(address)
        if known is None or known.key != key:
            self.file.put(Pin("server", address, key))
        return known is None
