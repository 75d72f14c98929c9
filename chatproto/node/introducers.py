"""The server as the node asks it, be it one of our own kind or a classic one."""

from __future__ import annotations

from typing import Protocol

from chatproto.directory.client import ClassicServer
from chatproto.directory.secure_client import Callee, Registration, SecureServer
from chatproto.wire.dialects import Me
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import Contact


class Introducer(Protocol):
    """A server. What it is asked fails with an exception whose text is for a person."""

    @property
    def name(self) -> str:
        """Its `host:port`."""

    @property
    def registered(self) -> bool:
        """Whether it knows us, as far as we know."""

    def start(self, me: Me) -> None:
        """Our port is open."""

    def stop(self) -> None:
        """The program ends."""

    async def register(self) -> bool:
        """Say where we can be called; whether that is news, told by nobody else."""

    async def bridge(self, peer: str) -> Callee | None:
        """Ask for `peer`, or for anybody."""

    async def info(self, prefix: str) -> tuple[Contact, ...]:
        """Ask who is there."""

    async def watch(self, peer: str) -> None:
        """Be told when `peer` comes, where the server can tell it."""


class ClassicIntroducer:
    """A classic server, which is told and asked only what the person wants."""

    def __init__(self, server: ClassicServer) -> None:
        self.registered = False
        self._server = server
        self._me: Me | None = None

    @property
    def name(self) -> str:
        return self._server.name

    def start(self, me: Me) -> None:
        self._me = me

    def stop(self) -> None:
        """Nothing: no connection outlives its answer."""

    async def register(self) -> bool:
        assert self._me is not None
        await self._server.register(self._me.client_id, self._me.host, self._me.port)
        self.registered = True
        return True

    async def bridge(self, peer: str) -> Callee | None:
        assert self._me is not None
        if peer:
            raise LocalError(
                405, "a classic server chooses who it answers with: /bridge takes no name"
            )
        found = await self._server.bridge(self._me.client_id)
        return None if found is None else Callee(found.client_id, None, ((found.host, found.port),))

    async def watch(self, peer: str) -> None:
        """Nothing: a classic server does not know who is there."""

    async def info(self, prefix: str) -> tuple[Contact, ...]:
        found = await self._server.info()
        return tuple(contact for contact in found if contact.client_id.startswith(prefix))


class SecureIntroducer:
    """A server of our own kind: the connection stays, and registers us by itself."""

    def __init__(
        self, server: SecureServer, listed: bool = True, allow: tuple[str, ...] = ()
    ) -> None:
        self._server = server
        self._listed = listed
        self._allow = allow

    @property
    def name(self) -> str:
        return self._server.name

    @property
    def registered(self) -> bool:
        return self._server.registered

    def start(self, me: Me) -> None:
        addresses = ((me.host, me.port),)
        self._server.start(
            Registration(me.client_id, me.port, addresses, self._listed, self._allow)
        )

    def stop(self) -> None:
        self._server.stop()

    async def register(self) -> bool:
        await self._server.ready()
        await self._server.register()
        return False

    async def bridge(self, peer: str) -> Callee | None:
        await self._server.ready()
        return await self._server.bridge(peer)

    async def info(self, prefix: str) -> tuple[Contact, ...]:
        await self._server.ready()
        return await self._server.info(prefix)

    async def watch(self, peer: str) -> None:
        await self._server.watch(peer)
