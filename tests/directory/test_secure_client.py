"""Our side towards a server of our own kind: registering, answers by number, and coming back."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.error import DNSLookupError, TimeoutError
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.directory.answer import ServerRefused
from chatproto.directory.bridge_result import BridgeResult
from chatproto.directory.client import ServerUnreachable
from chatproto.directory.client_registration import ClientRegistration
from chatproto.directory.secure_client import FOR_NOW, HELLO_WAIT, SecureServer
from chatproto.directory.server_connection import PING_BURST, READ_BURST
from chatproto.net.handshake import Handshake
from chatproto.net.receivers import StrictReceiver
from chatproto.net.tls_connection import MESSAGES_AT_ONCE
from chatproto.wire import bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.classic import Sender
from chatproto.wire.fields import Contact
from chatproto.wire.reasons import Cause, Reason
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS
from tests.net import Net, Wire

KEY, BOBS = "sha256:" + "A" * 52, "sha256:" + "B" * 52
WAIT, PING = DEFAULTS.request_wait, DEFAULTS.ping_wait
ALICE = ClientRegistration("Alice", 5001, (("10.0.0.1", 5001),), True, (BOBS,))
WHY = "that is not their key"
OBSERVED = ("10.0.0.1", 40000)


class Shake(Handshake):
    """A handshake that comes out as it is told."""

    def __init__(self, refusal: str | None) -> None:
        self.peer_key: str | None = KEY
        self.refusal = refusal
        self.broken = Reason.NOT_TLS

    def accepted(self) -> bool:
        return self.refusal is None

    def trouble(self, reason: Failure) -> Cause:
        return Cause(Reason.BAD_KEY, self.refusal) if self.refusal else Cause(self.broken)


class News:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.registered: list[int] = []
        self.lost: list[str] = []
        self.left_out: list[tuple[str, str]] = []
        self.refused: list[tuple[str, int | None]] = []
        self.pushes: list[Bcp2Message] = []
        self.then: Callable[[], None] = lambda: None

    def server_registered(self, server: SecureServer, expires: int) -> None:
        self.registered.append(expires)

    def server_lost(self, server: SecureServer, why: str) -> None:
        self.lost.append(why)
        self.then()

    def server_refused(self, server: SecureServer, why: str, status: int | None) -> None:
        self.refused.append((why, status))

    def server_left_out(self, server: SecureServer, why: str) -> None:
        self.left_out.append((server.name, why))

    def introduced(self, server: SecureServer, push: bcp2_server.Introduce) -> None:
        self.pushes.append(push)

    def present(self, server: SecureServer, push: bcp2_server.Presence) -> None:
        self.pushes.append(push)


class Case(SynchronousTestCase):
    """A server, and what it is told on its wire."""

    def setUp(self) -> None:
        self.begin()

    def begin(self, jitter: float = 0.5, refusal: str | None = None) -> None:
        self.net, self.news = Net(), News()
        self.said: list[str] = []
        self.known = True
        self.tried: list[float] = []
        self.failed: list[float] = []
        self.news.then = lambda: self.failed.append(self.net.seconds())

        self.broken = Reason.NOT_TLS

        def handshake() -> Shake:
            self.tried.append(self.net.seconds())
            shake = Shake(refusal)
            shake.broken = self.broken
            return shake

        self.server = SecureServer(
            self.net,
            "127.0.0.1",
            5555,
            handshake,
            self.news,
            lambda: jitter,
            is_known=lambda: self.known,
            silent=lambda why: self.said.append(why),
        )

    def accept(self) -> Wire:
        """The connection that is asked for comes about, and its handshake is done."""
        self.wire = self.net.accept()
        self.read = StrictReceiver(Sender.CLIENT, DEFAULTS)
        self.wire.protocol._wrappedProtocol.handshakeCompleted()
        return self.wire

    def wrote(self) -> list[Any]:
        return list(self.read.read(self.wire.new()))

    def says(self, *messages: Bcp2Message) -> None:
        self.wire.says(b"".join(map(encode, messages)))

    def come(self) -> Wire:
        """Connected and registered."""
        wire = self.accept()
        [register] = self.wrote()
        self.says(bcp2_server.RegAck(register.cseq, "Alice", 3600, OBSERVED))
        return wire

    def started(self) -> Wire:
        self.server.start(ALICE)
        return self.come()

    def unreachable(self, asked: Deferred[Any]) -> str:
        return str(self.failureResultOf(asked, ServerUnreachable).value)

    def quiet(self) -> None:
        calls = [str(call) for call in self.net.getDelayedCalls()]
        self.assertEqual([call for call in calls if "HostnameEndpoint" not in call], [])


class RegisteringTests(Case):
    """Connected, it registers by itself."""

    def test_register_contains_all_values(self) -> None:
        self.server.start(ALICE)
        self.assertEqual(self.net.wanted, [("127.0.0.1", 5555)])
        self.accept()
        [register] = self.wrote()
        self.assertEqual(
            register, bcp2_server.Register(1, "Alice", 5001, ALICE.addresses, None, True, (BOBS,))
        )
        self.assertFalse(self.server.registered)
        self.says(bcp2_server.RegAck(1, "Alice", 3600, OBSERVED))
        self.assertTrue(self.server.registered)
        self.assertEqual((self.news.registered, self.server.key), ([3600], KEY))

    def test_ready_fires_after_success_or_failure(self) -> None:
        self.successResultOf(self.server.ready())
        self.server.start(ALICE)
        ready = self.server.ready()
        self.accept()
        self.assertNoResult(ready)
        self.says(bcp2_server.RegAck(1, "Alice", 3600, OBSERVED))
        self.successResultOf(ready)
        self.successResultOf(self.server.ready())
        self.wire.ends()
        self.net.advance(0)
        ready = self.server.ready()
        self.assertNoResult(ready)
        self.net.refuse()
        self.successResultOf(ready)

    def test_ready_fires_after_a_pending_handshake(self) -> None:
        self.server.start(ALICE)
        wire = self.net.accept()
        ready = self.server.ready()
        self.assertNoResult(ready)
        wire.protocol._wrappedProtocol.handshakeCompleted()
        self.assertNoResult(ready)
        wire.ends()
        self.successResultOf(ready)

    def test_registration_is_repeated_on_request(self) -> None:
        self.started()
        asked = self.server.register()
        [register] = self.wrote()
        self.says(bcp2_server.RegAck(register.cseq, "Alice", 60, OBSERVED))
        self.successResultOf(asked)
        self.assertEqual(self.news.registered, [3600, 60])

    def test_request_between_two_attempts_dials_at_once(self) -> None:
        self.server.start(ALICE)
        self.net.refuse()
        self.net.advance(0)
        self.net.refuse()
        self.assertEqual(self.net.dialled, 0)
        self.unreachable(self.server.register())
        self.assertEqual(self.net.dialled, 1)

    def test_a_refusal_is_final(self) -> None:
        self.server.start(ALICE)
        self.accept()
        self.says(Error(409, 1))
        [(why, status)] = self.news.refused
        self.assertEqual(why, "that id belongs to another key")
        self.assertEqual(status, 409)
        self.assertTrue(self.wire.disconnecting)
        self.wire.ends()
        self.net.wait(200, 1)
        self.assertEqual(len(self.net.wanted), 1)
        self.quiet()

    def test_registration_is_retried_after_a_refusal_on_request(self) -> None:
        self.server.start(ALICE)
        self.accept()
        self.says(Error(409, 1))
        asked = self.server.register()
        self.assertNoResult(asked)
        self.accept()
        self.says(Error(409, 1))
        self.successResultOf(asked)
        self.assertEqual([status for _, status in self.news.refused], [409, 409])
        asked = self.server.register()
        self.accept()
        self.says(bcp2_server.RegAck(1, "Alice", 3600, OBSERVED))
        self.successResultOf(asked)
        self.assertTrue(self.server.registered)
        self.assertEqual(self.news.registered, [3600])


class RequestTests(Case):
    """Questions and their answers."""

    def test_bridge_returns_a_client_or_none(self) -> None:
        self.started()
        for peer, answer in (("Bob", "Bob"), ("", "Bob"), ("Eve", "")):
            asked = self.server.bridge(peer)
            [bridge] = self.wrote()
            self.assertEqual(bridge.peer_id, peer)
            where = (("10.0.0.2", 5002), ("2001:db8::2", 5002))
            self.says(
                bcp2_server.BridgeAck(
                    bridge.cseq, answer, BOBS if answer else "", where if answer else ()
                )
            )
            callee = self.successResultOf(asked)
            self.assertEqual(callee, BridgeResult("Bob", BOBS, where) if answer else None)
            if callee is not None:
                self.assertEqual(callee.contact(), Contact("Bob", "10.0.0.2", 5002, BOBS))

    def test_bridge_returns_a_classic_client(self) -> None:
        self.assertEqual(BridgeResult("Bob", None, ()).contact(), Contact("Bob", "", 0, None))

    @given(st.permutations(range(6)))
    def test_answers_are_matched_by_their_number(self, order: list[int]) -> None:
        self.begin()
        self.started()
        asked = [self.server.bridge(f"Peer{n}") for n in range(6)]
        bridges = self.wrote()
        self.assertEqual(len({bridge.cseq for bridge in bridges}), 6)
        for n in order:
            self.assertNoResult(asked[n])
            self.says(bcp2_server.BridgeAck(bridges[n].cseq, bridges[n].peer_id, BOBS))
            callee = self.successResultOf(asked[n])
            assert callee is not None
            self.assertEqual(callee.client_id, f"Peer{n}")

    def test_info_returns_all_pages(self) -> None:
        self.started()
        asked = Deferred.fromCoroutine(self.server.info("B"))
        people = [Contact(name, "10.0.0.2", 5002, BOBS) for name in ("Ba", "Bb", "Bc")]
        for number, contact in enumerate(people):
            [info] = self.wrote()
            self.assertEqual(
                (info.prefix, info.after), ("B", people[number - 1].client_id if number else "")
            )
            more = contact.client_id if number < 2 else ""
            self.says(bcp2_server.InfoAck(info.cseq, (contact,), more))
        self.assertEqual(self.successResultOf(asked), tuple(people))

    def test_pages_that_go_round_have_an_end(self) -> None:
        self.started()
        asked = Deferred.fromCoroutine(self.server.info())
        for _ in range(2):
            [info] = self.wrote()
            self.says(bcp2_server.InfoAck(info.cseq, (), "Bob"))
        self.assertEqual(self.successResultOf(asked), ())

    def test_refusal_has_its_code(self) -> None:
        self.started()
        asked = self.server.bridge("Bob")
        self.says(Error(480, self.wrote()[0].cseq))
        self.assertEqual(self.failureResultOf(asked, ServerRefused).value.status, 480)
        self.assertTrue(self.server.registered)

    def test_an_answer_to_something_else_is_none(self) -> None:
        self.started()
        asked = self.server.bridge("Bob")
        self.says(bcp2_server.WatchAck(self.wrote()[0].cseq, "Bob"))
        self.assertEqual(
            self.unreachable(asked),
            "the server at 127.0.0.1:5555 gave an answer that does not fit (WATCHACK)",
        )

    def test_one_that_is_not_answered_drops_the_line(self) -> None:
        wire = self.started()
        asked = self.server.bridge("Bob")
        self.net.advance(WAIT * 0.99)
        self.assertNoResult(asked)
        self.net.advance(WAIT * 0.02)
        self.assertIn("no answer within 15 s", self.unreachable(asked))
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual(self.news.lost, ["no answer within 15 s"])

    def test_all_fail_when_the_line_is_lost(self) -> None:
        wire = self.started()
        asked = [self.server.bridge("Bob"), self.server.bridge("Eve")]
        wire.ends()
        for one in asked:
            self.assertEqual(self.unreachable(one), "the server at 127.0.0.1:5555: connection lost")
        self.assertFalse(self.server.registered)

    def test_requests_after_a_refusal_fail_at_once_with_the_reason(self) -> None:
        self.server.start(ALICE)
        self.accept()
        self.says(Error(409, 1))
        asked = self.server.bridge("bob")
        said = self.unreachable(asked)
        self.assertIn("you are not registered at", said)
        self.assertIn("(that id belongs to another key)", said)

    def test_request_without_a_server_gives_the_reason(self) -> None:
        self.server.start(ALICE)
        self.net.refuse()
        why = "no server at 127.0.0.1:5555 (connection refused)"
        for asked in (
            self.server.bridge("bob"),
            self.server.ask(bcp2_server.Observe, bcp2_server.ObserveAck),
        ):
            self.assertEqual(self.unreachable(asked), f"no connection to the server: {why}")

    def test_request_during_a_refusal_gives_the_wait(self) -> None:
        self.server.start(ALICE)
        self.accept()
        self.says(Error(429, 1, retry_after=40))
        for seconds in (50, 10):  # 40, and half of it as jitter
            failed = self.failureResultOf(self.server.bridge("bob"), ServerUnreachable)
            self.assertEqual((failed.value.status, failed.value.retry_after), (429, seconds))
            self.assertIn("does not register you yet", str(failed.value))
            self.net.advance(40)
        self.come().ends()
        self.assertNotIn("429", self.unreachable(self.server.bridge("bob")))

    def test_request_without_a_connection_fails(self) -> None:
        self.assertIn("no connection", self.unreachable(self.server.bridge("Bob")))
        self.assertIn("no connection", self.unreachable(self.server.register()))


class PushTests(Case):
    """Pushes of the server."""

    def test_an_introduction(self) -> None:
        self.started()
        push = bcp2_server.Introduce("Bob", BOBS, (("10.0.0.2", 5002),))
        self.says(push)
        self.assertEqual(self.news.pushes, [push])

    def test_watch_ends_when_the_peer_is_online(self) -> None:
        self.started()
        watching = Deferred.fromCoroutine(self.server.watch("Bob"))
        [watch] = self.wrote()
        self.says(bcp2_server.WatchAck(watch.cseq, "Bob"), bcp2_server.Presence("Bob", "offline"))
        self.successResultOf(watching)
        self.assertEqual((list(self.server.watched), self.news.pushes), (["Bob"], []))
        self.says(bcp2_server.Presence("Bob", "online"))
        self.assertEqual(self.news.pushes, [bcp2_server.Presence("Bob", "online")])
        [unwatch] = self.wrote()
        self.assertEqual((unwatch.method, unwatch.peer_id), ("UNWATCH", "Bob"))
        self.says(
            bcp2_server.UnwatchAck(unwatch.cseq, "Bob"), bcp2_server.Presence("Bob", "online")
        )
        self.assertEqual(len(self.news.pushes), 1)

    def test_watch_is_repeated_on_the_next_connection(self) -> None:
        wire = self.started()
        self.server.watched["Bob"] = None
        wire.ends()
        self.net.advance(0)
        self.come()
        [watch] = self.wrote()
        self.assertEqual((watch.method, watch.peer_id), ("WATCH", "Bob"))

    def test_a_ping_is_answered(self) -> None:
        self.started()
        self.says(Ping())
        self.assertEqual(self.wrote(), [PingAck()])

    def test_an_error_that_answers_nothing_is_final(self) -> None:
        self.started()
        self.says(Error(403))
        self.assertEqual(len(self.news.refused), 1)
        self.quiet_after_end()

    def test_but_for_one_that_another_try_may_not_meet(self) -> None:
        for status in FOR_NOW:
            self.begin()
            self.started()
            before = self.net.dialled
            self.says(Error(status))
            self.assertEqual(self.news.refused, [])
            self.net.wait(2)
            self.assertEqual(self.net.dialled, before + 1, status)

    def test_replaced_is_final(self) -> None:
        self.started()
        self.says(bcp2_server.Replaced())
        self.assertEqual(self.news.refused, [(Reason.REPLACED.sentence, None)])
        for cause in ("your key", "another key", "change the password"):
            self.assertIn(cause, Reason.REPLACED.sentence)
        self.quiet_after_end()

    def quiet_after_end(self) -> None:
        self.assertTrue(self.wire.disconnecting)
        self.wire.ends()
        self.net.wait(200, 1)
        self.assertEqual(len(self.net.wanted), 1)
        self.assertEqual(self.news.lost, [])
        self.quiet()


class FloodTests(Case):
    """A server that says too much."""

    def test_many_pushes_at_once_are_read_in_slices(self) -> None:
        wire = self.started()
        push = bcp2_server.Introduce("Bob", BOBS, (("10.0.0.2", 5002),))
        self.says(*[push] * 200)
        self.assertEqual(len(self.news.pushes), MESSAGES_AT_ONCE)
        self.assertEqual(wire.producerState, "paused")
        for _ in range(4):
            self.net.advance(0)
        self.assertEqual(len(self.news.pushes), 200)
        self.assertEqual(wire.producerState, "producing")

    def test_server_that_sends_too_much_is_read_later(self) -> None:
        wire = self.started()
        said = bcp2_server.Presence("Eve", "online")
        for _ in range(READ_BURST // MESSAGES_AT_ONCE + 1):
            self.says(*[said] * MESSAGES_AT_ONCE)
        self.assertEqual(wire.producerState, "paused")
        self.net.advance(1)
        self.assertEqual(wire.producerState, "producing")

    def test_only_some_of_many_pings_are_answered(self) -> None:
        self.started()
        self.says(*[Ping()] * 60)
        self.assertEqual(len(self.wrote()), PING_BURST)

    def test_data_before_the_end_is_read(self) -> None:
        wire = self.started()
        push = bcp2_server.Introduce("Bob", BOBS, (("10.0.0.2", 5002),))
        self.says(*[push] * 100)
        wire.ends()
        self.assertEqual(len(self.news.pushes), 100)


class SilenceTests(Case):
    """A line on which nothing comes."""

    def test_silent_connection_is_pinged_then_closed(self) -> None:
        wire = self.started()
        self.net.advance(PING)
        [ping] = self.wrote()
        self.assertIsInstance(ping, Ping)
        self.net.advance(WAIT)
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual(len(self.news.lost), 1)

    def test_answered_ping_keeps_the_connection(self) -> None:
        wire = self.started()
        for _ in range(5):
            self.net.advance(PING)
            [ping] = self.wrote()
            self.net.advance(WAIT * 0.9)
            self.says(PingAck(ping.cseq))
        self.assertFalse(wire.closing)

    def test_a_handshake_that_hangs_is_given_up(self) -> None:
        self.server.start(ALICE)
        wire = self.net.accept()
        self.net.advance(DEFAULTS.handshake_wait)
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual(
            self.news.lost,
            ["no answer (--plain speaks to a classic server)"],
        )


class ClassicServerTests(Case):
    """A server of unknown kind that takes TLS as a classic one does is not tried again by itself."""

    def begin(self, jitter: float = 0.5, refusal: str | None = None) -> None:
        super().begin(jitter, refusal)
        self.known = False

    def later(self) -> int:
        """Count the tries within the next minute."""
        before = len(self.tried)
        for _ in range(60):
            self.net.advance(1)
        return len(self.tried) - before

    def test_silent_server_is_reported_soon_and_final(self) -> None:
        self.server.start(ALICE)
        wire = self.net.accept()
        self.net.advance(HELLO_WAIT)
        [said] = self.said
        self.assertIn("(--plain speaks to a classic server)", said)
        self.net.advance(DEFAULTS.handshake_wait)
        wire.ends()
        [(why, _)] = self.news.refused
        self.assertIn("--plain", why)
        self.assertEqual((self.news.lost, self.later()), ([], 0))

    def test_plain_text_answer_ends_the_attempt_at_once(self) -> None:
        self.server.start(ALICE)
        self.net.accept().ends()
        self.assertEqual(len(self.news.refused), 1)
        self.assertEqual((self.said, self.later()), ([], 0))

    def test_a_connection_closed_at_the_hello_is_made_again_ever_later(self) -> None:
        """A proxy closes like this while the server behind it is down."""
        self.broken = Reason.TLS_BROKEN_OFF
        self.server.start(ALICE)
        for _ in range(8):
            self.net.accept().ends()
            while len(self.net.wanted) <= len(self.news.lost):
                self.net.advance(1)
        self.assertIn("(--plain speaks to a classic server)", self.news.lost[0])
        self.assertEqual((self.news.refused, len(self.news.lost)), ([], 8))
        waits = [later - earlier for earlier, later in pairwise(self.tried)]
        self.assertGreater(waits[-1], 4 * waits[0])

    def test_a_server_that_is_known_is_tried_again(self) -> None:
        self.known = True
        self.server.start(ALICE)
        wire = self.net.accept()
        self.net.advance(DEFAULTS.handshake_wait)
        wire.ends()
        self.assertEqual((self.said, self.news.refused), ([], []))
        self.assertGreater(self.later(), 0)

    def test_user_can_retry(self) -> None:
        self.server.start(ALICE)
        self.net.accept().ends()
        self.server.register()
        self.assertEqual(len(self.tried), 2)


class ComingBackTests(Case):
    """Times of further tries."""

    def gaps(self, count: int) -> list[float]:
        """Seconds between one failure and the next try."""
        for _ in range(count):
            self.net.refuse()
            while not self.net.dialled:
                self.net.advance(0.01)
        pairs = zip(self.failed[-count:], self.tried[-count:], strict=True)
        return [tried - failed for failed, tried in pairs]

    def test_reconnects_at_once_then_with_growing_pauses(self) -> None:
        self.server.start(ALICE)
        gaps = self.gaps(16)
        wanted = [0.0, *(min(60.0, 1.5**n) for n in range(15))]
        for gap, want in zip(gaps, wanted, strict=True):
            self.assertApproximates(gap, want, 0.011)
        self.assertEqual(len(self.news.lost), 16)

    def test_give_or_take_a_half(self) -> None:
        for jitter, factor in ((0.0, 0.5), (1.0, 1.5)):
            self.begin(jitter)
            self.server.start(ALICE)
            for gap, want in zip(self.gaps(4), (0, 1, 1.5, 2.25), strict=True):
                self.assertApproximates(gap, want * factor, 0.011)

    def test_registration_resets_the_pauses(self) -> None:
        self.server.start(ALICE)
        self.gaps(5)
        wire = self.come()
        wire.ends()
        self.net.advance(0)
        self.assertEqual(self.net.dialled, 1)
        self.come()
        self.assertEqual(self.news.registered, [3600, 3600])

    def test_connection_lost_before_registration_is_a_failure(self) -> None:
        self.server.start(ALICE)
        self.accept().ends()
        self.net.advance(0)
        self.accept().ends()
        self.net.advance(0.9)
        self.assertEqual(self.net.dialled, 0)
        self.net.advance(0.2)
        self.assertEqual(self.net.dialled, 1)

    def test_closing_delays_the_reconnection(self) -> None:
        wire = self.started()
        self.says(bcp2_server.Closing(20))
        wire.ends()
        self.assertEqual(self.news.lost, ["shutting down"])
        self.net.advance(20.4)  # and not just then, with all others who were told the same
        self.assertEqual(self.net.dialled, 0)
        self.net.advance(0.2)
        self.come()
        self.assertTrue(self.server.registered)

    def test_old_connection_may_end_after_the_next_began(self) -> None:
        old = self.started()
        asked = self.server.bridge("Bob")
        self.says(bcp2_server.Closing(1))
        self.net.advance(1.5)
        self.assertEqual(self.net.dialled, 1)
        old.ends()
        self.unreachable(asked)
        self.come()
        self.net.wait(60)
        self.assertEqual((len(self.net.wanted), self.news.refused), (2, []))
        self.assertEqual(self.news.lost, ["shutting down"])
        self.assertTrue(self.server.registered)

    def test_abandoned_connection_is_ignored(self) -> None:
        wire = self.started()
        self.says(Error(503))
        self.net.advance(0)
        self.assertTrue(wire.disconnecting)
        wire.protocol.dataReceived(encode(bcp2_server.Replaced()))
        self.come()
        self.assertEqual((self.news.refused, self.server.registered), ([], True))

    def test_a_line_that_ends_twice_is_dialled_once(self) -> None:
        self.started()
        line = self.server._connection
        self.wire.ends()
        self.net.advance(0)
        self.server.connection_lost(line, "connection lost", False)
        self.come()
        self.net.wait(60)
        self.assertEqual(len(self.net.wanted), 2)

    def test_a_refused_key_is_final(self) -> None:
        self.begin(refusal="that is not their key")
        self.server.start(ALICE)
        wire = self.accept()
        self.assertTrue(wire.aborted)
        wire.ends()
        self.assertEqual(self.news.refused, [("that is not their key", None)])
        self.net.wait(200, 1)
        self.assertEqual(len(self.net.wanted), 1)
        self.quiet()

    def test_possible_classic_server_is_reported(self) -> None:
        self.server.start(ALICE)
        self.net.accept().ends()
        self.assertEqual(
            self.news.lost,
            ["the other program does not speak TLS (--plain speaks to a classic server)"],
        )

    def test_input_that_is_no_bcp2_ends_the_connection(self) -> None:
        wire = self.started()
        wire.says(b"HTTP/1.1 200 OK\r\n\r\n")
        self.assertTrue(wire.closing)
        wire.ends()
        [why] = self.news.lost
        self.assertIn("data that is not BCP/2 was received", why)

    def test_each_failure_to_connect_has_its_sentence(self) -> None:
        for error, words in (
            (None, "no server at 127.0.0.1:5555 (connection refused)"),
            (TimeoutError(), "no answer from the server at 127.0.0.1:5555"),
            (DNSLookupError(), "no host named 127.0.0.1"),
            (OSError("odd"), "the server at 127.0.0.1:5555 cannot be reached (odd)"),
        ):
            self.begin()
            self.server.start(ALICE)
            self.net.refuse(error)
            self.assertEqual(self.news.lost, [words])


class OthersTests(Case):
    """Servers that have the same directory."""

    def setUp(self) -> None:
        self.begin()
        self.server = SecureServer(
            self.net,
            "127.0.0.1",
            5555,
            lambda: Shake(WHY if self.server.name in self.strange else None),
            self.news,
            lambda: 0.5,
            others=(("127.0.0.1", 5556), ("127.0.0.1", 5557)),
        )
        self.strange: tuple[str, ...] = ()

    def ports(self) -> list[int]:
        """Ports dialled, in order."""
        return [port for _, port in self.net.wanted]

    def test_next_server_is_tried_at_once_under_its_own_name(self) -> None:
        self.started().ends()
        self.net.advance(0)
        self.assertEqual(self.ports(), [5555, 5556])
        self.assertEqual(self.server.name, "127.0.0.1:5556")
        self.come()
        self.assertTrue(self.server.registered)
        self.assertEqual(self.news.registered, [3600, 3600])

    def test_a_round_that_failed_is_waited_after(self) -> None:
        self.started().ends()
        for _ in range(3):
            self.net.advance(0)
            self.net.refuse()
        self.assertEqual(self.ports(), [5555, 5556, 5557, 5555])
        self.net.advance(0.99)
        self.assertEqual(self.net.dialled, 0)
        self.net.advance(0.02)
        self.assertEqual(self.ports()[4:], [5556])

    def test_closing_leads_to_the_next_server_after_its_time(self) -> None:
        wire = self.started()
        self.says(bcp2_server.Closing(3))
        wire.ends()
        self.net.advance(3.4)
        self.assertEqual(len(self.ports()), 1)
        self.net.advance(0.2)
        self.assertEqual(self.ports(), [5555, 5556])

    def test_one_that_is_full_is_left_for_the_next(self) -> None:
        self.started()
        self.says(Error(503))
        self.net.advance(0)
        self.assertEqual(self.ports(), [5555, 5556])

    def test_one_with_another_key_is_left_out(self) -> None:
        self.strange = ("127.0.0.1:5555", "127.0.0.1:5556")
        self.server.start(ALICE)
        for _ in range(2):
            self.accept().ends()
            self.net.advance(0)
        self.assertEqual(self.news.left_out, [(name, WHY) for name in self.strange])
        self.assertEqual(self.ports(), [5555, 5556, 5557])
        self.come().ends()
        self.net.wait(5)
        self.assertEqual(set(self.ports()[3:]), {5557})
        self.assertEqual(self.news.refused, [])

    def test_other_keys_on_all_servers_are_final(self) -> None:
        self.strange = ("127.0.0.1:5555", "127.0.0.1:5556", "127.0.0.1:5557")
        self.server.start(ALICE)
        for _ in range(3):
            self.accept().ends()
            self.net.advance(0)
        self.assertEqual(self.news.refused, [(WHY, None)])
        self.net.wait(200, 1)
        self.assertEqual(len(self.ports()), 3)


class StoppingTests(Case):
    """The program ends."""

    def ended(self) -> None:
        self.net.wait(200, 1)
        self.assertFalse(self.server.registered)
        self.assertEqual((self.news.lost, self.news.refused), ([], []))
        self.quiet()

    def test_while_registered(self) -> None:
        wire = self.started()
        self.server.stop()
        self.assertTrue(wire.disconnecting)
        wire.ends()
        self.ended()
        self.assertEqual(len(self.net.wanted), 1)

    def test_while_dialling(self) -> None:
        self.server.start(ALICE)
        ready = self.server.ready()
        self.server.stop()
        self.successResultOf(ready)
        self.ended()

    def test_in_the_middle_of_the_handshake(self) -> None:
        self.server.start(ALICE)
        wire = self.net.accept()
        self.server.stop()
        self.assertTrue(wire.closing)
        wire.ends()
        self.ended()

    def test_between_two_tries(self) -> None:
        self.server.start(ALICE)
        self.net.refuse()
        self.net.refuse()
        self.news.lost.clear()
        self.server.stop()
        self.ended()
        self.assertEqual(len(self.net.wanted), 2)


class AskingTests(Case):
    """One that is only asked registers nobody."""

    def begin(self, jitter: float = 0.5, refusal: str | None = None) -> None:
        super().begin(jitter, refusal)
        self.server = SecureServer(
            self.net,
            "127.0.0.1",
            5555,
            lambda: Shake(None),
            self.news,
            lambda: 0.5,
            registers=False,
        )

    def test_requests_work_without_a_registration(self) -> None:
        self.server.start(ALICE)
        ready = self.server.ready()
        self.assertNoResult(ready)
        self.accept()
        self.successResultOf(ready)
        self.assertEqual(self.wrote(), [])
        asked = Deferred.fromCoroutine(self.server.info("b"))
        [info] = self.wrote()
        self.assertIsInstance(info, bcp2_server.Info)
        self.says(bcp2_server.InfoAck(info.cseq, (Contact("bob", "10.0.0.2", 5002, BOBS),), ""))
        self.assertEqual([one.client_id for one in self.successResultOf(asked)], ["bob"])
        self.assertEqual(self.news.registered, [])

    def test_a_connection_that_breaks_is_waited_for_again(self) -> None:
        self.server.start(ALICE)
        self.accept().ends()
        self.net.advance(10)
        ready = self.server.ready()
        self.assertNoResult(ready)
        self.accept()
        self.successResultOf(ready)


class RefusedLoginTests(Case):
    """A wrong password is not sent again."""

    def begin(self, jitter: float = 0.5, refusal: str | None = None) -> None:
        super().begin(jitter, refusal)
        self.password, self.same = "wrong", "that password was refused"
        self.server = SecureServer(
            self.net,
            "127.0.0.1",
            5555,
            lambda: Shake(None),
            self.news,
            lambda: 0.5,
            login=lambda cseq: bcp2_server.Login(cseq, "alice", self.password),
            renewed=lambda: self.same,
        )

    def refused(self, status: int = 403, **more: Any) -> None:
        self.accept()
        [login] = self.wrote()
        self.assertEqual(login.password, self.password)
        self.says(Error(status, login.cseq, **more))

    def test_register_tries_another_and_never_the_same(self) -> None:
        self.server.start(ALICE)
        self.refused()
        self.assertTrue(self.server.login_refused)
        failed = self.failureResultOf(self.server.register(), ServerRefused)
        self.assertEqual(str(failed.value), "that password was refused")
        self.password, self.same = "right", ""
        self.server.register()
        self.accept()
        [login] = self.wrote()
        self.assertEqual(login.password, "right")

    def test_too_many_logins_are_reported_with_their_wait(self) -> None:
        self.server.start(ALICE)
        self.refused(429, retry_after=40)
        self.assertFalse(self.server.login_refused)
        self.assertEqual(self.news.lost, ["too many tries to log in, in 40 s at the earliest"])
