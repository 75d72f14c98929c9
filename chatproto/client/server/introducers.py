"""Interface to a BCP/2 server or a classic one, for the other parts of a client."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TypeVar

from twisted.internet.defer import Deferred

from chatproto.directory.bridge_result import BridgeResult
from chatproto.directory.client import ClassicServer, ServerUnreachable
from chatproto.directory.client_registration import ClientRegistration
from chatproto.directory.secure_client import SecureServer
from chatproto.wire.bcp2_common import Address
from chatproto.wire.dialects import Me
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import Contact
from chatproto.wire.reasons import NO_BRIDGE_BY_NAME

Answer = TypeVar("Answer")


class ClassicIntroducer:
    """A classic server, which is contacted only on request of the user. Several servers share one
    directory: if one is unreachable, the next is asked and used from then on."""

    def __init__(self, *servers: ClassicServer) -> None:
        self.registered = False
        """True after a registration, as far as we know."""
        self._servers = deque(servers)
        self._me: Me | None = None

    @property
    def name(self) -> str:
        """Return the server's `host:port`."""
        return self._servers[0].name

    def start(self, me: Me) -> None:
        """Store the address at which we accept calls: our port is open."""
        self._me = me

    def stop(self) -> None:
        """Do nothing: no connection outlives its answer."""

    async def register(self) -> bool:
        """Register our address; return True: the caller has to report it, as no event follows."""
        assert self._me is not None
        me = self._me
        await self._first(lambda server: server.register(me.client_id, me.host, me.port))
        self.registered = True
        return True

    async def bridge(self, peer: str) -> BridgeResult | None:
        """Ask for any free peer; a classic server cannot be asked for a named one. Raises LocalError."""
        assert self._me is not None
        if peer:
            raise LocalError(405, NO_BRIDGE_BY_NAME())
        client_id = self._me.client_id
        found = await self._first(lambda server: server.bridge(client_id))
        return (
            None
            if found is None
            else BridgeResult(found.client_id, None, ((found.host, found.port),))
        )

    async def away(self, text: str) -> None:
        """Raise LocalError: a classic server has no presence."""
        raise LocalError(405, "a classic server tells nobody that you are away")

    async def watch(self, peer: str) -> None:
        """Ignore the request: a classic server has no presence."""

    async def follow(self, peer: str) -> None:
        """Ignore the request: a classic server has no presence."""

    def unfollow(self, peer: str) -> None:
        """Ignore the request: a classic server has no presence."""

    async def info(self, prefix: str) -> tuple[Contact, ...]:
        """Return the registered clients whose id begins with `prefix`."""
        found = await self._first(ClassicServer.info)
        return tuple(contact for contact in found if contact.client_id.startswith(prefix))

    async def _first(self, ask: Callable[[ClassicServer], Deferred[Answer]]) -> Answer:
        """Ask the servers in turn; return the answer of the first one that is reachable."""
        for _ in range(1, len(self._servers)):
            try:
                return await ask(self._servers[0])
            except ServerUnreachable:
                self._servers.rotate(-1)
        return await ask(self._servers[0])


class SecureIntroducer:
    """A BCP/2 server: the connection stays open and renews the registration by itself.

    `look` returns our current addresses for each registration; without it, our port's address is used.
    `open`: we accept plain-text calls too.
    """

    def __init__(
        self,
        server: SecureServer,
        listed: bool = True,
        allow: tuple[str, ...] = (),
        look: Callable[[], tuple[Address, ...]] | None = None,
        open: bool = False,
    ) -> None:
        self._look = look
        self._open = open
        self._server = server
        self.stop = server.stop
        self.watch = server.watch
        """Ask for one notification when a peer comes online."""
        self.follow = server.follow
        """Ask for the presence of a peer until `unfollow`."""
        self.unfollow = server.unfollow
        self._listed = listed
        self._allow = allow
        self._away = ""
        self._me: Me | None = None

    @property
    def name(self) -> str:
        """Return the server's `host:port`."""
        return self._server.name

    @property
    def registered(self) -> bool:
        """Return True while the server has our registration, as far as we know."""
        return self._server.registered

    def start(self, me: Me) -> None:
        """Connect to the server, now that our port is open."""
        self._me = me
        self._server.start(self._described(me))

    def _described(self, me: Me) -> ClientRegistration:
        return ClientRegistration(
            me.client_id,
            me.port,
            ((me.host, me.port),),
            self._listed,
            self._allow,
            self._look,
            self._open,
            self._away,
        )

    async def register(self) -> bool:
        """Register our addresses; the result is published as an event, so return False."""
        await self._server.ready()
        await self._server.register()
        return False

    async def bridge(self, peer: str) -> BridgeResult | None:
        """Ask for `peer`, or if empty for any free peer."""
        await self._server.ready()
        return await self._server.bridge(peer)

    async def info(self, prefix: str) -> tuple[Contact, ...]:
        """Return the registered clients whose id begins with `prefix`."""
        await self._server.ready()
        return await self._server.info(prefix)

    async def away(self, text: str) -> None:
        """Tell watchers that we are away, with `text`; empty: no longer. Raises LocalError."""
        assert self._me is not None, "nothing is asked before the start"
        self._away = text
        await self._server.describe(self._described(self._me))


Introducer = ClassicIntroducer | SecureIntroducer
"""A server. Requests fail with an exception whose text can be shown to the user."""
