"""Service that listens on a port besides the server's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.server.listening import ListenSpec, place_of, place_shown


class PortService(Service):
    """Listens at `endpoint` (a port or a Twisted endpoint string) for the connections of `factory`.

    `say` receives a line with `name` and the address, or is None. `close_all` ends the connections of the
    port. Raises ValueError (one sentence) for an endpoint that cannot be parsed.
    """

    log = Logger()

    def __init__(
        self,
        reactor: Any,
        endpoint: str,
        factory: Any,
        name: str,
        say: Callable[[str], None] | None,
        close_all: Callable[[], None] = lambda: None,
    ) -> None:
        self._reactor = reactor
        self._place = ListenSpec(reactor, endpoint)
        self._factory = factory
        self._name = name
        self._say = say
        self._close_all = close_all
        self._listening: list[IListeningPort] = []

    def startService(self) -> None:
        """Open the port. Raises CannotListenError or OSError."""
        self._place.listen(self._factory).addCallbacks(self._listens, self._deaf)
        super().startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        closed = self.stop_listening()
        self._close_all()
        return closed

    def stop_listening(self) -> Deferred[None]:
        """Accept no more connections; open ones continue. Fires when the port is closed."""
        ports, self._listening = self._listening, []
        closed = [maybeDeferred(port.stopListening) for port in ports]
        return DeferredList(closed).addCallback(lambda _: None)

    def _listens(self, ports: list[IListeningPort]) -> None:
        self._listening += ports
        for port in ports:
            if self._say is not None:
                self._say(f"* {self._name} listening on {place_shown(place_of(port))}")

    def _deaf(self, failure: Failure) -> None:
        self.log.failure("the {name} cannot listen on its port", failure, name=self._name)
        self._reactor.stop()
