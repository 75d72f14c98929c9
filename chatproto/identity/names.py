"""Map the names that a user sees and types to recipients, and back.

    sha256:KEY        the owner of that key
    bob               pinned at this server, else pinned anywhere, else a first contact here
    bob@SERVER        bob at the server with that address or key; `none`: without a server
    host:port         the peer that answers there
    bob?  bob~2  bob~open     a name with a mark: the recipient shown under it in this run

A displayed name always means the recipient for which it was displayed: `name_for` returns no other.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator

from chatproto.identity.pins import KEY, NO_SERVER, Pin, Pins
from chatproto.identity.recipient import (
    Dialled,
    FirstContact,
    KeyedPerson,
    OpenPeer,
    Recipient,
)
from chatproto.net.bounded_table import remember
from chatproto.wire.errors import LocalError, RemoteError
from chatproto.wire.fields import ID, read_host_port
from chatproto.wire.reasons import KEY_NOT_KNOWN_AT, NAME_UNKNOWN, SEVERAL_SERVERS

MOST_MARKED = 10_000
"""Maximum number of remembered names with a mark; the oldest is forgotten first."""
ANY_KEY = "sha256:"
"""Prefix of every key; no host has this name."""
WITHOUT = "none"
"""Server in the names of contacts pinned without one, as in `--server none`."""

_MARKED = re.compile(r"[?~]")


class NameBook:
    """Lookup of names in the pins, and in the names displayed in this run.

    Args: pins: returns the current pins. server: returns the key of the server in use, None if there
    is none or its key is unknown. live: returns the recipient of the conversation with a name, or None.
    """

    def __init__(
        self,
        pins: Callable[[], Pins] = Pins,
        server: Callable[[], str | None] = lambda: None,
        live: Callable[[str], Recipient | None] = lambda name: None,
    ) -> None:
        self._pins = pins
        self._server = server
        self._live = live
        self._marked: OrderedDict[str, Recipient] = OrderedDict()

    @property
    def server(self) -> str | None:
        """Key of the server in use; None if unknown."""
        return self._server()

    def resolve(self, name: str) -> Recipient:
        """Return the recipient that `name` means. Raises LocalError 400, 404; 409 if it is ambiguous."""
        found = self._fixed(name)
        if found is not None:
            return found
        if ID.fullmatch(name) is not None:
            return self._live(name) or FirstContact(self._server(), name)
        if name.startswith(ANY_KEY):
            raise LocalError(400, f"{name} is no key: a key is {ANY_KEY} and 52 of A-Z and 2-7")
        if ":" in name and "@" not in name:
            try:
                return self._live(name) or Dialled(*read_host_port(name))
            except RemoteError as error:
                raise LocalError(400, error.detail) from None
        client_id, at, where = name.partition("@")
        if at and ID.fullmatch(client_id) is not None:
            raise LocalError(404, KEY_NOT_KNOWN_AT(peer=client_id, server=where))
        raise LocalError(404, NAME_UNKNOWN(name=name))

    def server_of(self, where: str) -> str | None:
        """Return the key of the server `where` (an address, a key or `none`); None if unknown."""
        return next(iter(self._servers(where)), None)

    def has_pin(self, client_id: str) -> bool:
        """Return True if a contact is pinned under `client_id` at any server."""
        return bool(self._pins().named(client_id))

    def name_for(self, recipient: Recipient, wanted: str, taken: Callable[[str], bool]) -> str:
        """Return a name that means `recipient`: `wanted`, or one with a server or a mark.

        `taken`: returns True for the name of another conversation.
        """
        for name in self._candidates(recipient, wanted):
            if not taken(name) and self._may_mean(name, recipient):
                if _MARKED.search(name):
                    remember(self._marked, name, recipient, MOST_MARKED)
                return name
        raise AssertionError("the candidates do not end")

    def _fixed(self, name: str) -> Recipient | None:
        """Return the recipient that `name` means as a key, by a pin or by its mark; None if unknown."""
        if KEY.fullmatch(name) is not None:
            return KeyedPerson(name)
        if ID.fullmatch(name) is not None:
            return self._pinned(name)
        if _MARKED.search(name):
            return self._live(name) or self._marked.get(name)
        client_id, at, where = name.partition("@")
        if not at or ID.fullmatch(client_id) is None:
            return None
        return self._live(name) or self._at(client_id, where)

    def _pinned(self, client_id: str) -> Recipient | None:
        server = self._server()
        here = self._pins().person(NO_SERVER if server is None else server, client_id)
        if here is not None:
            return KeyedPerson(here.key)
        known = self._pins().named(client_id)
        keys = {pin.key for pin in known}
        if len(keys) > 1:
            names = " or ".join(self._with_server(pin) for pin in known)
            raise LocalError(409, SEVERAL_SERVERS(peer=client_id, names=names))
        return KeyedPerson(keys.pop()) if keys else None

    def _at(self, client_id: str, where: str) -> Recipient | None:
        for server in self._servers(where):
            pin = self._pins().person(server, client_id)
            if pin is not None:
                return KeyedPerson(pin.key)
            if server == self._server():
                return FirstContact(server, client_id)
        return None

    def _servers(self, where: str) -> list[str]:
        """Return a list with the key of the server `where` (an address, a key or `none`), or empty."""
        if where == WITHOUT:
            return [NO_SERVER]
        if KEY.fullmatch(where) is not None:
            return [where]
        pin = self._pins().server(where)
        return [pin.key] if pin is not None else []

    def _with_server(self, pin: Pin) -> str:
        if pin.server == NO_SERVER:
            return f"{pin.name}@{WITHOUT}"
        return f"{pin.name}@{self._pins().address_of(pin.server) or pin.server}"

    def _candidates(self, recipient: Recipient, wanted: str) -> Iterator[str]:
        if isinstance(recipient, KeyedPerson):
            known = self._pins().ids_of(recipient.key)
            yield from (pin.name for pin in known)
            yield from (self._with_server(pin) for pin in known)
        if isinstance(recipient, OpenPeer) and self.has_pin(wanted):
            wanted = f"{wanted}~open"
        yield wanted
        number = 1
        while True:
            number += 1
            yield f"{wanted}~{number}"

    def _may_mean(self, name: str, recipient: Recipient) -> bool:
        try:
            return self._fixed(name) in (None, recipient)
        except LocalError:
            return False
