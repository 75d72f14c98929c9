"""One user's program from its port to its end."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from chatproto.client import own_addresses
from chatproto.client.events import Event, Exited, Running
from chatproto.client.home import Home
from chatproto.client.service import ChatClient
from chatproto.client.settings import ClientSettings
from chatproto.net.resolver import host_towards
from chatproto.wire.errors import CannotStart
from tests.client.typing_person import made
from tests.limits import DEFAULTS
from tests.net import Net


class Port:
    """An open port."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.closing: Deferred[None] = Deferred()
        self.stops = 0

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", self.host, 5001)

    def stopListening(self) -> Deferred[None]:
        self.stops += 1
        return self.closing


@implementer(IStreamServerEndpoint)
class Opening:
    """An endpoint whose port comes about, or does not."""

    def __init__(self, outcome: Deferred[Any]) -> None:
        self.outcome = outcome
        self.factory: Any = None

    def listen(self, protocolFactory: Any) -> Deferred[Any]:
        self.factory = protocolFactory
        return self.outcome


class Keyboard:
    """Record whether input is read."""

    def __init__(self) -> None:
        self.state = "new"

    def start(self) -> None:
        self.state = "read"

    def stop(self) -> None:
        self.state = "stopped"


class Screen:
    """Output whose `flushed` fires when the test wants."""

    def __init__(self) -> None:
        self.flushed: Deferred[None] = Deferred()

    def flush(self) -> Deferred[None]:
        return self.flushed


class Case(SynchronousTestCase):
    """A program that has not been started."""

    def service(
        self,
        host: str = "10.0.0.1",
        outcome: Deferred[Any] | None = None,
        server: tuple[str, int] | None = None,
        announced: tuple[tuple[str, int], ...] = (),
        nearby: bool = False,
    ) -> ChatClient:
        self.net = Net()
        self.events: list[Event] = []
        self.port = Port(host)
        self.opening = Opening(succeed(self.port) if outcome is None else outcome)
        self.home = Home(Path(self.mktemp()))
        self.home.open()
        self.addCleanup(self.home.close)
        self.keyboard, self.screen = Keyboard(), Screen()
        self.troubles: list[str] = []
        self.node: Any = made(self.net, ClientSettings("alice", plain=True, announce=announced))
        self.node.own_addresses.server = server
        self.node.publish.listen(self.events.append)
        self.chat = ChatClient(
            self.net,
            self.node.client,
            self.opening,
            self.home,
            self.keyboard,
            self.screen,
            self.cannot_start,
            self.net.stop,
            nearby=nearby,
        )
        return self.chat

    def cannot_start(self, trouble: CannotStart) -> None:
        self.troubles.append(str(trouble))

    def locked(self) -> bool:
        """Return True while the home is locked by us."""
        other = Home(self.home.path)
        try:
            other.open()
        except Exception:
            return True
        other.close()
        return False


class StartTests(Case):
    """The port, and what others are told of it."""

    def test_the_node_begins_when_the_port_is_open(self) -> None:
        opened: Deferred[Any] = Deferred()
        chat = self.service(outcome=opened)
        chat.startService()
        self.assertEqual((self.events, self.keyboard.state), ([], "new"))
        opened.callback(self.port)
        self.assertEqual(self.events, [Running("alice", "10.0.0.1", 5001, None)])
        self.assertEqual(self.keyboard.state, "read")

    def test_incoming_connection_is_a_call(self) -> None:
        self.service().startService()
        connection = self.opening.factory.buildProtocol(None)
        self.assertTrue(connection.called)

    def test_announced_address_has_precedence(self) -> None:
        self.service(announced=(("chat.example", 80),)).startService()
        self.assertEqual(self.events, [Running("alice", "chat.example", 80, None)])

    def test_wildcard_port_announces_the_source_address(self) -> None:
        for host in ("0.0.0.0", "::"):
            self.service(host, server=("127.0.0.1", 5555)).startService()
            self.assertEqual(self.events, [Running("alice", "127.0.0.1", 5001, None)])

    def test_without_server_loopback_is_announced(self) -> None:
        self.service("0.0.0.0").startService()
        self.assertEqual(self.events, [Running("alice", "127.0.0.1", 5001, None)])

    def test_without_server_but_with_beacon_the_network_address_is_announced(self) -> None:
        for hosts, told in (
            (("127.0.0.1", "::1", "10.7.0.1"), "10.7.0.1"),
            (("::1",), "127.0.0.1"),
        ):
            self.patch(own_addresses, "own_hosts", lambda hosts=hosts: hosts)
            self.service("0.0.0.0", nearby=True).startService()
            self.assertEqual(self.events, [Running("alice", told, 5001, None)])

    def test_without_route_loopback_is_announced(self) -> None:
        self.assertEqual(host_towards("127.0.0.1", 9), "127.0.0.1")
        self.assertEqual(host_towards("256.256.256.256", 9), "127.0.0.1")

    def test_a_port_that_is_taken_is_one_sentence(self) -> None:
        for host in ("10.0.0.1", ""):
            taken = OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))
            chat = self.service(outcome=fail(CannotListenError(host, 5001, taken)))
            chat.startService()
            where = host or "0.0.0.0"
            words = f"cannot listen on {where}:5001: {os.strerror(errno.EADDRINUSE)}"
            self.assertEqual(self.troubles, [words])
            self.assertEqual((self.events, self.keyboard.state), ([], "new"))

    def test_and_the_service_can_be_stopped_then(self) -> None:
        chat = self.service(outcome=fail(CannotListenError("", 5001, "gone")))
        chat.startService()
        self.assertEqual(self.troubles, ["cannot listen on 0.0.0.0:5001: gone"])
        stopped = chat.stopService()
        self.screen.flushed.callback(None)
        self.successResultOf(stopped)
        self.assertFalse(self.locked())

    def test_early_stop_opens_no_port_and_releases_the_home(self) -> None:
        opened: Deferred[Any] = Deferred()
        chat = self.service(outcome=opened)
        chat.startService()
        stopped = chat.stopService()
        self.screen.flushed.callback(None)
        self.successResultOf(stopped)
        opened.callback(self.port)
        self.assertEqual(self.port.stops, 1)
        self.assertFalse(self.locked())


class EndTests(Case):
    """The node ends, or twistd does."""

    def test_client_stops_once_everything_is_shown_and_closed(self) -> None:
        self.service().startService()
        self.node.quit()
        self.assertEqual((self.events[-1], self.keyboard.state), (Exited(0), "stopped"))
        self.assertEqual((self.port.stops, self.net.stopped), (0, 0))
        self.screen.flushed.callback(None)
        self.assertEqual((self.port.stops, self.net.stopped), (1, 0))
        self.assertTrue(self.locked())
        self.port.closing.callback(None)
        self.assertEqual(self.net.stopped, 1)
        self.assertFalse(self.locked())

    def test_blocked_screen_does_not_delay_the_stop(self) -> None:
        self.service().startService()
        self.node.quit()
        self.net.advance(DEFAULTS.farewell_wait)
        self.port.closing.callback(None)
        self.assertEqual(self.net.stopped, 1)

    def test_external_stop_says_farewell_once(self) -> None:
        chat = self.service()
        chat.startService()
        stopped = chat.stopService()
        self.assertEqual(self.events[-1], Exited(0))
        self.assertNoResult(stopped)
        self.screen.flushed.callback(None)
        self.port.closing.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.net.stopped, 0)
        self.assertFalse(self.locked())
