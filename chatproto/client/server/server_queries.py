"""Server requests of the user: register, list clients, find a peer, set the away text."""

from __future__ import annotations

from chatproto.client.context import Context
from chatproto.client.events import Bridged, CommandOutput, Contacts, Notice, Registered
from chatproto.client.name_resolver import NameResolver
from chatproto.client.requests import Requests
from chatproto.wire.bcp2_common import AWAY_BYTES
from chatproto.wire.errors import LocalError

NOT_LISTED = "clients that take no calls in plain text are not listed: without --plain you see them"


class ServerQueries:
    """Ask the server for one thing after another, and publish each answer."""

    def __init__(self, context: Context, requests: Requests, resolver: NameResolver) -> None:
        self._context = context
        self._requests = requests
        self._resolver = resolver
        self.away_text = ""
        """Text with which the user is away; empty if not away."""

    def register(self) -> None:
        """Register our address at the server."""
        self._requests.ask("register", self._register)

    def info(self, prefix: str = "") -> None:
        """List the registered clients whose id begins with `prefix`."""
        self._requests.ask("info", lambda: self._info(prefix))

    def bridge(self, peer: str = "") -> None:
        """Ask for `peer`, or if empty for any free peer; a later call without a name calls the answer."""
        self._requests.ask("bridge", lambda: self._bridge(peer))

    def away(self, text: str = "") -> None:
        """Tell watchers that we are away; empty: no longer. The server can read `text`."""
        text = " ".join(text.split())
        if len(text.encode()) > AWAY_BYTES:
            raise LocalError(413, f"the text of /away has at most {AWAY_BYTES} bytes")
        self._requests.ask("away", lambda: self._away(text))

    async def _away(self, text: str) -> None:
        await self._resolver.introducer.away(text)
        self.away_text = text
        line = f"you are away: {text}" if text else "you are no longer away"
        self._context.publish(CommandOutput("away", (line,), {"text": text}))

    async def _register(self) -> None:
        if await self._resolver.introducer.register():
            self._context.publish(Registered(self._resolver.introducer.name))

    async def _info(self, prefix: str) -> None:
        chosen = await self._resolver.introducer.info(prefix)
        for contact in chosen:
            self._context.address_book.remember(contact)
        keys = ("id", "host", "port", "key")
        rows = [(c.client_id, c.host, c.port, c.key) for c in chosen]
        found = tuple(dict(zip(keys, row, strict=True)) for row in rows)
        self._context.publish(Contacts(found, prefix or None))
        if self._context.settings.plain and not chosen:
            self._context.publish(Notice(NOT_LISTED))
        if len(chosen) >= (most := self._context.limits.listed):
            text = f"only the first {most} are listed: /info PREFIX lists fewer"
            self._context.publish(Notice(text))

    async def _bridge(self, peer: str) -> None:
        contact = await self._resolver.ask_for(peer)
        self._context.address_book.bridged = contact
        if contact is None:
            self._context.publish(Bridged(None, None, None))
        else:
            found = (contact.client_id, contact.host, contact.port, contact.key)
            self._context.publish(Bridged(*found))
