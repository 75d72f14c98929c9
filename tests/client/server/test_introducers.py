"""A server as the node asks it: a classic one, and one of our own kind."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.server.introducers import ClassicIntroducer, SecureIntroducer
from chatproto.directory.answer import ServerRefused
from chatproto.directory.bridge_result import BridgeResult
from chatproto.directory.client import ClassicServer, ServerUnreachable
from chatproto.directory.secure_client import SecureServer
from chatproto.net.handshake import Handshake
from chatproto.net.receivers import StrictReceiver
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.classic import Sender
from chatproto.wire.dialects import Me
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import Contact
from chatproto.wire.reasons import Cause, Reason
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS
from tests.net import Net, Wire

ME = Me("alice", "10.0.0.1", 5001)
KEY = "sha256:" + "A" * 52
WHERE = (("10.0.0.2", 5002),)


def asked(work: Coroutine[Deferred[Any], Any, Any]) -> Deferred[Any]:
    return Deferred.fromCoroutine(work)


class ClassicTests(SynchronousTestCase):
    """Told and asked only what the person wants."""

    def setUp(self) -> None:
        self.net = Net()
        self.server = ClassicIntroducer(ClassicServer(self.net, "127.0.0.1", 5555))
        self.server.start(ME)

    def answer(self, text: str) -> bytes:
        wire = self.net.accept()
        wire.says(text.replace("\n", "\r\n").encode())
        return b"".join(wire.writes)

    def test_nothing_is_sent_at_start_or_stop(self) -> None:
        self.server.stop()
        self.assertEqual(self.net.wanted, [])
        self.assertEqual(self.server.name, "127.0.0.1:5555")

    def test_registering_is_news(self) -> None:
        done = asked(self.server.register())
        self.assertFalse(self.server.registered)
        said = self.answer("REGACK\n\n")
        self.assertEqual(said, b"REGISTER\r\nclientID: alice\r\nIP: 10.0.0.1\r\nPort: 5001\r\n\r\n")
        self.assertTrue(self.successResultOf(done))
        self.assertTrue(self.server.registered)

    def test_refused_registration_is_not_active(self) -> None:
        done = asked(self.server.register())
        self.answer("REGNACK\n\n")
        self.failureResultOf(done, ServerRefused)
        self.assertFalse(self.server.registered)

    def test_bridge_returns_a_peer_without_a_key(self) -> None:
        done = asked(self.server.bridge(""))
        said = self.answer("BRIDGEACK\nclientID: bob\nIP: 10.0.0.2\nPort: 5002\n\n")
        self.assertEqual(said, b"BRIDGE\r\nclientID: alice\r\n\r\n")
        self.assertEqual(self.successResultOf(done), BridgeResult("bob", None, WHERE))

    def test_bridge_without_a_peer_returns_none(self) -> None:
        done = asked(self.server.bridge(""))
        self.answer("BRIDGEACK\nclientID: alice\nIP: 10.0.0.1\nPort: 5001\n\n")
        self.assertIsNone(self.successResultOf(done))

    def test_classic_server_cannot_introduce_by_name(self) -> None:
        error = self.failureResultOf(asked(self.server.bridge("bob")), LocalError).value
        self.assertIn("/bridge without an id", error.detail)
        self.assertEqual(self.net.wanted, [])

    def test_info_filters_by_prefix(self) -> None:
        for prefix, names in (("", ["bob", "bill", "eve"]), ("b", ["bob", "bill"]), ("x", [])):
            done = asked(self.server.info(prefix))
            self.answer("INFOACK\nbob 10.0.0.2:5002\nbill 10.0.0.2:5003\neve 10.0.0.2:5004\n\n")
            self.assertEqual([one.client_id for one in self.successResultOf(done)], names)

    def test_classic_server_has_no_presence(self) -> None:
        self.successResultOf(asked(self.server.watch("bob")))
        self.assertEqual(self.net.wanted, [])


class SeveralClassicTests(SynchronousTestCase):
    """Classic servers with one directory."""

    def setUp(self) -> None:
        self.net = Net()
        servers = (ClassicServer(self.net, "127.0.0.1", port) for port in (5555, 5556, 5557))
        self.server = ClassicIntroducer(*servers)
        self.server.start(ME)

    def test_unreachable_server_is_replaced_by_the_next(self) -> None:
        done = asked(self.server.register())
        self.net.refuse()
        self.assertEqual(self.server.name, "127.0.0.1:5556")
        self.net.accept().says(b"REGACK\r\n\r\n")
        self.assertTrue(self.successResultOf(done))
        asked(self.server.info(""))
        self.assertEqual([port for _, port in self.net.wanted], [5555, 5556, 5556])

    def test_a_refusal_is_an_answer(self) -> None:
        done = asked(self.server.register())
        self.net.accept().says(b"REGNACK\r\n\r\n")
        self.failureResultOf(done, ServerRefused)
        self.assertEqual(len(self.net.wanted), 1)

    def test_last_server_reports_when_all_are_unreachable(self) -> None:
        done = asked(self.server.register())
        for _ in range(3):
            self.net.refuse()
        error = self.failureResultOf(done, ServerUnreachable).value
        self.assertIn("127.0.0.1:5557", str(error))


class Shake(Handshake):
    """A handshake that has come out well."""

    peer_key: str | None = KEY

    def __init__(self) -> None:
        """Needs nothing."""

    def accepted(self) -> bool:
        return True

    def trouble(self, reason: Failure) -> Cause:
        return Cause(Reason.TLS_FAILED)


class Unheard:
    """News that nobody reads."""

    def server_registered(self, server: SecureServer, expires: int) -> None: ...
    def server_lost(self, server: SecureServer, why: str) -> None: ...
    def server_refused(self, server: SecureServer, why: str, status: int | None) -> None: ...
    def server_left_out(self, server: SecureServer, why: str) -> None: ...
    def introduced(self, server: SecureServer, push: bcp2_server.Introduce) -> None: ...
    def present(self, server: SecureServer, push: bcp2_server.Presence) -> None: ...


class SecureTests(SynchronousTestCase):
    """The connection stays."""

    def setUp(self) -> None:
        self.net = Net()
        server = SecureServer(self.net, "127.0.0.1", 5555, Shake, Unheard(), lambda: 0.5)
        self.server = SecureIntroducer(server, listed=False, allow=(KEY,))
        self.server.start(ME)

    def accept(self) -> Wire:
        self.wire = self.net.accept()
        self.read = StrictReceiver(Sender.CLIENT, DEFAULTS)
        self.wire.protocol._wrappedProtocol.handshakeCompleted()
        return self.wire

    def wrote(self) -> list[Any]:
        return list(self.read.read(self.wire.new()))

    def says(self, message: Bcp2Message) -> None:
        self.wire.says(encode(message))

    def come(self) -> None:
        self.accept()
        [register] = self.wrote()
        self.says(bcp2_server.RegAck(register.cseq, "alice", 3600, ("10.0.0.1", 40000)))

    def test_registration_contains_all_our_data(self) -> None:
        self.accept()
        self.assertEqual(
            self.wrote(),
            [bcp2_server.Register(1, "alice", 5001, (("10.0.0.1", 5001),), None, False, (KEY,))],
        )
        self.assertFalse(self.server.registered)

    def test_early_request_waits_for_the_first_registration(self) -> None:
        found = asked(self.server.bridge("bob"))
        people = asked(self.server.info("b"))
        self.come()
        self.assertTrue(self.server.registered)
        bridge, info = self.wrote()
        self.says(bcp2_server.BridgeAck(bridge.cseq, "bob", KEY, WHERE))
        self.says(bcp2_server.InfoAck(info.cseq, (Contact("bob", "10.0.0.2", 5002, KEY),)))
        self.assertEqual(self.successResultOf(found), BridgeResult("bob", KEY, WHERE))
        self.assertEqual([one.client_id for one in self.successResultOf(people)], ["bob"])

    def test_early_request_fails_with_the_first_registration(self) -> None:
        found = asked(self.server.bridge("bob"))
        self.net.refuse()
        self.failureResultOf(found, ServerUnreachable)

    def test_second_registration_is_confirmed_by_the_server(self) -> None:
        self.come()
        done = asked(self.server.register())
        [register] = self.wrote()
        self.says(bcp2_server.RegAck(register.cseq, "alice", 3600, ("10.0.0.1", 40000)))
        self.assertFalse(self.successResultOf(done))

    def test_server_reports_presence(self) -> None:
        self.come()
        done = asked(self.server.watch("bob"))
        [watch] = self.wrote()
        self.says(bcp2_server.WatchAck(watch.cseq, "bob"))
        self.successResultOf(done)

    def test_stop_closes_the_connection(self) -> None:
        self.come()
        self.server.stop()
        self.assertTrue(self.wire.disconnecting)
        self.assertFalse(self.server.registered)
