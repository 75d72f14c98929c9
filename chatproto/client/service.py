"""Run a client as a Twisted service: its port, its input and output, and its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.interfaces import (
    IListeningPort,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from chatproto.client.app import Client
from chatproto.client.calls.plain_calls import PlainPeerFactory
from chatproto.client.home import Home
from chatproto.client.own_addresses import local_host
from chatproto.net.addresses import is_address
from chatproto.net.resolver import host_towards, in_lookup_thread
from chatproto.net.socket_errors import listen_trouble
from chatproto.wire.errors import CannotStart

log = Logger()


class LineSource(Protocol):
    """Source of typed lines."""

    def start(self) -> None:
        """Begin to read."""

    def stop(self) -> None:
        """Stop reading."""


class LineSink(Protocol):
    """Output that the user sees."""

    def flush(self) -> Deferred[None]:
        """Return a Deferred that fires when everything is written."""


class Socket(Protocol):
    """Control socket for scripts."""

    def start(self) -> None:
        """Listen; report a failure to the user."""

    def stop(self) -> Deferred[None]:
        """Stop listening."""


class ChatClient(Service):
    """Open the port, then start the client and its input; end when either the client or twistd does.

    Peers are given the announced address, or our source address towards the server. `over` is called
    when the client has ended by itself. `nearby`: peers are on the local network, so without a server
    our address in it is given.
    """

    def __init__(
        self,
        reactor: Any,
        client: Client,
        endpoint: IStreamServerEndpoint,
        home: Home,
        keyboard: LineSource,
        screen: LineSink,
        cannot_start: Callable[[CannotStart], None],
        over: Callable[[], None],
        socket: Socket | None = None,
        nearby: bool = False,
    ) -> None:
        self._nearby = nearby
        self._reactor = reactor
        self._client = client
        self._endpoint = endpoint
        self._home = home
        self._keyboard = keyboard
        self._screen = screen
        self._cannot_start = cannot_start
        self._over = over
        self._socket = socket
        self._port: IListeningPort | None = None
        self._ended: Deferred[None] = Deferred()
        self._stopping = False
        client.finished.listen(self.finished)

    def startService(self) -> None:
        super().startService()
        factory = PlainPeerFactory(
            self._client.plain_calls, self._client.context.clock, self._client.context.limits
        )
        self._endpoint.listen(factory).addCallbacks(self._listening, self._deaf)

    def stopService(self) -> Deferred[None]:
        self._stopping = True
        self._client.stop()
        return self._ended.addCallback(lambda _: super(ChatClient, self).stopService())

    def finished(self, code: int) -> None:
        """Let the user read the last events, then end the program: the client has finished."""
        self._keyboard.stop()
        shown = self._screen.flush()
        shown.addTimeout(self._client.context.limits.farewell_wait, self._client.context.clock)
        shown.addBoth(self._close)

    def _close(self, _: object) -> None:
        closed = succeed(None) if self._port is None else maybeDeferred(self._port.stopListening)
        if self._socket is not None:
            deaf = self._socket.stop()
            closed.addBoth(lambda _: deaf)

        def end(_: object) -> None:
            self._home.close()
            self._ended.callback(None)
            if not self._stopping:
                self._over()

        closed.addBoth(end)

    def _listening(self, port: IListeningPort) -> None:
        if self._stopping:
            port.stopListening()
            return
        self._port = port
        own: Any = port.getHost()
        if not hasattr(own, "port"):
            self._cannot_start(CannotStart("--port must name a TCP port, where others can call"))
            return
        addresses = self._client.context.own_addresses
        addresses.listening = own.host, own.port
        addresses.own_port = getattr(self._endpoint, "own_port", None)  # of a `SharedPort`
        if addresses.announced:
            self._begin(*addresses.announced[0])
            return
        if own.host not in ("0.0.0.0", "::", ""):
            self._begin(own.host, own.port)
            return
        if addresses.server is None and self._nearby:
            self._begin(local_host(), own.port)
            return
        host, far = addresses.server or ("127.0.0.1", 9)
        if is_address(host):
            self._begin(host_towards(host, far), own.port)
        else:
            found = in_lookup_thread(self._reactor, host_towards, host, far)
            found.addErrback(self._no_way).addCallback(self._begin, own.port)

    def _no_way(self, failure: Failure) -> str:
        log.failure("our address on the way to the server", failure)
        return "127.0.0.1"

    def _begin(self, host: str, port: int) -> None:
        if self._stopping:
            return
        self._client.start(host, port)
        assert self._port is not None
        own: Any = self._port.getHost()
        self._client.listens(own.host, own.port)
        if self._socket is not None:
            self._socket.start()
        self._keyboard.start()

    def _deaf(self, failure: Failure) -> None:
        error: Any = failure.value
        self._cannot_start(CannotStart(listen_trouble(error, every="0.0.0.0")))
