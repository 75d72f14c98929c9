"""Known contacts, and the addresses at which they accept calls."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from chatproto.wire.fields import Contact


class AddressBook:
    """Latest `most` contacts by id; `bridged` is the last one that the server answered with."""

    def __init__(self, most: int = 10_000) -> None:
        self._contacts: OrderedDict[str, Contact] = OrderedDict()
        self._addresses: dict[str, tuple[tuple[str, int], ...]] = {}
        self._away: OrderedDict[str, str] = OrderedDict()
        self._most = most
        self.named: Callable[[str], Contact | None] = self._contacts.get
        """Return the contact with an id; None if unknown."""
        self.bridged: Contact | None = None

    def remember(self, contact: Contact, addresses: tuple[tuple[str, int], ...] = ()) -> None:
        """Store `contact` in place of an older entry; `addresses`: all of its addresses, best first."""
        self._contacts[contact.client_id] = contact
        self._addresses[contact.client_id] = addresses or ((contact.host, contact.port),)
        self._contacts.move_to_end(contact.client_id)
        if len(self._contacts) > self._most:
            oldest, _ = self._contacts.popitem(last=False)
            del self._addresses[oldest]

    def set_away(self, client_id: str, text: str) -> None:
        """Store the away text of `client_id`; empty if it is not away."""
        self._away.pop(client_id, None)
        if text:
            self._away[client_id] = text
            if len(self._away) > self._most:
                self._away.popitem(last=False)

    def away(self, client_id: str) -> str:
        """Return the last away text of `client_id`; empty for none."""
        return self._away.get(client_id, "")

    def ids(self) -> list[str]:
        """Return the ids of all contacts, the most recent first."""
        return list(reversed(self._contacts))

    def with_key(self, key: str) -> Contact | None:
        """Return the contact with `key`, the most recent one if there are several."""
        return next((one for one in reversed(self._contacts.values()) if one.key == key), None)

    def addresses(self, contact: Contact) -> tuple[tuple[str, int], ...]:
        """Return the addresses of `contact`, best first."""
        return self._addresses.get(contact.client_id) or ((contact.host, contact.port),)

    def at(self, host: str, port: int) -> Contact | None:
        """Return the contact at `host:port`, the most recent one if there are several."""
        for contact in reversed(self._contacts.values()):
            if (contact.host, contact.port) == (host, port):
                return contact
        return None
