from __future__ import annotations

from typing import Any
from unittest.mock import patch

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from chatproto.rooms import lobby_port
from chatproto.rooms.lobby import LobbyMembers
from chatproto.rooms.lobby_port import LobbyConnection, LobbyPort
from tests.limits import Limits
from tests.net.library_lines import cut_by_twisted

LIMITS = Limits(unsent=1000, body_to_server=100)


class HalfTransport(StringTransport):
    """A transport that can close its own half, and that counts writes."""

    half_closed = False
    aborted = False
    writes = 0

    def write(self, data: bytes) -> None:
        self.writes += 1
        super().write(data)

    def loseWriteConnection(self) -> None:
        self.half_closed = True

    def abortConnection(self) -> None:
        self.aborted = True


class Member:
    """One connection to a lobby, seen from outside."""

    def __init__(self, port: LobbyPort, host: str = "192.0.2.1") -> None:
        protocol = port.buildProtocol(IPv4Address("TCP", host, 1))
        assert protocol is not None
        self.protocol: LobbyConnection = protocol
        self.transport = HalfTransport()
        self.protocol.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def hears(self) -> str:
        """Return the text received since the last call."""
        heard: str = self.transport.value().decode()
        self.transport.clear()
        return heard

    def goes(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class PortTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.lobby = LobbyMembers(LIMITS)
        self.port = LobbyPort(self.clock, self.lobby, LIMITS)
        self.ann, self.bob, self.cid = (Member(self.port) for _ in range(3))
        self.turn()
        self.forget()

    def turn(self) -> None:
        self.clock.advance(0)

    def forget(self) -> None:
        for member in (self.ann, self.bob, self.cid):
            member.hears()

    def test_new_member_is_greeted_and_announced(self) -> None:
        dan = Member(self.port)
        self.turn()
        self.assertTrue(dan.hears().startswith("* welcome, guest-4: 3 others are here"))
        self.assertEqual(self.bob.hears(), "* guest-4 joined\n")

    def test_message_goes_to_all_other_members(self) -> None:
        self.ann.send(b"hello")
        self.turn()
        self.assertEqual(self.bob.hears(), "guest-1: hello\n")
        self.assertEqual(self.cid.hears(), "guest-1: hello\n")
        self.assertEqual(self.ann.hears(), "")

    def test_member_without_line_ends_gets_none(self) -> None:
        self.bob.send(b"bare")
        self.cid.send(b"line\r\n")
        self.turn()
        self.forget()
        self.clock.advance(LIMITS.frame_gap)
        self.ann.send(b"hello")
        self.turn()
        self.assertEqual(self.bob.hears(), "guest-1: hello")
        self.assertEqual(self.cid.hears(), "guest-1: hello\n")

    def test_line_end_separates_an_unfinished_line_from_the_next(self) -> None:
        self.bob.send(b"bare")
        self.turn()
        self.clock.advance(LIMITS.frame_gap)
        self.forget()
        for text, wait in ((b"one", 0.04), (b"two", 0.05), (b"three", 0.0)):
            self.ann.send(text)
            self.turn()
            self.clock.advance(wait)
        self.assertEqual(self.bob.hears(), "guest-1: one\nguest-1: twoguest-1: three")

    def test_a_whole_buffer_of_a_c_program_is_its_line(self) -> None:
        self.ann.send(b"hello\n".ljust(1024, b"\0"))
        self.ann.send(b"bye\n\0lo\n".ljust(1024, b"\0"))
        self.turn()
        self.assertEqual(self.bob.hears().split("\n")[-3:-1], ["guest-1: hello", "guest-1: bye"])
        self.assertNotIn("\0", self.bob.hears())
        self.ann.send(b"quit".ljust(1024, b"\0"))
        self.turn()
        self.assertTrue(self.ann.transport.half_closed)

    def test_leading_byte_order_mark_is_ignored(self) -> None:
        self.forget()
        self.ann.send(b"\xef\xbb\xbf/nick ann\r\r\n")
        self.ann.send(b"hello\r\r\n")
        self.bob.send(b"\xef\xbb\xbfquit\r\n")
        self.turn()
        self.assertIn("* guest-1 is now ann\nann: hello\n* guest-2 left\n", self.cid.hears())
        self.assertTrue(self.bob.transport.half_closed)

    def test_strings_with_nul_are_separate_messages(self) -> None:
        self.forget()
        self.ann.send(b"one\0two\0")
        self.turn()
        self.assertEqual(self.bob.hears(), "guest-1: one\n")
        self.clock.advance(LIMITS.text_silence)
        self.turn()
        self.assertIn("guest-1: two", self.bob.hears())

    def test_one_turn_is_one_write(self) -> None:
        self.bob.send(b"bare")
        self.turn()
        self.forget()
        before = self.bob.transport.writes
        self.ann.send(b"one\ntwo\n")
        self.cid.send(b"three")
        self.assertEqual(self.bob.hears(), "")
        self.turn()
        self.assertEqual(self.bob.hears(), "guest-1: one\nguest-1: two\nguest-3: three")
        self.assertEqual(self.bob.transport.writes, before + 1)

    def test_new_member_hears_later_messages_of_the_turn(self) -> None:
        self.ann.send(b"before\n")
        dan = Member(self.port)
        self.ann.send(b"after\n")
        self.turn()
        here = "* welcome, guest-4: 3 others are here; /help lists commands\n"
        self.assertEqual(dan.hears(), f"{here}guest-1: after\n")
        self.assertEqual(self.cid.hears(), "guest-1: before\n* guest-4 joined\nguest-1: after\n")

    def test_leaving_member_gets_earlier_messages_of_the_turn(self) -> None:
        self.ann.send(b"farewell\n")
        self.bob.send(b"quit\n")
        self.turn()
        self.assertEqual(self.bob.hears(), "guest-1: farewell\n")
        self.assertEqual(self.ann.hears(), "* guest-2 left\n")

    def test_large_output_is_sent_within_the_turn(self) -> None:
        port = LobbyPort(self.clock, LobbyMembers(), Limits(say_burst=1000, say_bytes=1e9))
        ann, bob = Member(port), Member(port)
        self.turn()
        ann.hears(), bob.hears()
        for _ in range(5):
            ann.send(b"x" * 7999 + b"\n")
        self.assertEqual(bob.hears().count("\n"), 5)
        self.assertEqual(ann.hears(), "")

    def test_quit_closes_and_is_announced(self) -> None:
        self.ann.send(b"Quit\n")
        self.turn()
        self.assertTrue(self.ann.transport.half_closed)
        self.assertEqual(self.bob.hears(), "* guest-1 left\n")
        self.ann.send(b"too late\n")
        self.ann.goes()
        self.turn()
        self.assertEqual(self.bob.hears(), "")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_member_that_does_not_close_after_quit_is_disconnected(self) -> None:
        self.ann.send(b"over")
        self.clock.advance(LIMITS.farewell_wait)
        self.assertTrue(self.ann.transport.aborted)

    def test_the_end_of_input_is_a_quit_after_the_last_words(self) -> None:
        self.ann.send(b"a\nlast words")
        self.turn()
        self.forget()
        self.ann.protocol.readConnectionLost()
        self.turn()
        self.assertEqual(self.bob.hears(), "guest-1: last words\n* guest-1 left\n")
        self.assertTrue(self.ann.transport.disconnecting)

    def test_lost_connection_is_announced(self) -> None:
        self.ann.goes()
        self.turn()
        self.assertEqual(self.bob.hears(), "* guest-1 left\n")

    def test_unfinished_line_is_sent_after_silence(self) -> None:
        self.ann.send(b"a\nb")
        self.turn()
        self.forget()
        self.clock.advance(LIMITS.text_silence)
        self.turn()
        self.assertEqual(self.bob.hears(), "guest-1: b\n")

    def test_too_long_line_closes_the_connection_with_a_notice(self) -> None:
        self.ann.send(b"x" * 102 + b"\n")
        self.turn()
        self.assertEqual(self.ann.hears(), "* disconnected: a line of more than 100 bytes\n")
        self.assertTrue(self.ann.transport.half_closed)
        self.assertEqual(self.bob.hears(), "* guest-1 left (sent too much at once)\n")

    def test_messages_above_the_rate_are_read_later(self) -> None:
        self.ann.send(b"".join(b"%d\n" % number for number in range(13)))
        self.turn()
        self.assertEqual(self.bob.hears().count("\n"), 10)
        self.assertEqual(self.ann.transport.producerState, "paused")
        self.clock.advance(0.2)
        self.turn()
        self.assertEqual(self.bob.hears(), "guest-1: 10\n")
        self.clock.pump([0.2, 0.2, 0])
        self.assertEqual(self.bob.hears(), "guest-1: 11\nguest-1: 12\n")
        self.assertEqual(self.ann.transport.producerState, "producing")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_slowed_member_that_leaves_leaves_no_timer(self) -> None:
        self.ann.send(b"x\n" * 50)
        self.ann.goes()
        self.turn()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_member_that_does_not_read_is_dropped_alone(self) -> None:
        self.bob.protocol.pauseProducing()
        for number in range(20):
            (self.ann if number % 2 else self.cid).send(b"y" * 90)
            self.clock.advance(1)
        self.assertTrue(self.bob.transport.aborted)
        self.assertEqual(self.bob.hears(), "")
        self.assertIn("* guest-2 left (did not read what was sent)", self.cid.hears())
        self.bob.goes()
        self.forget()
        self.clock.advance(LIMITS.frame_gap)
        self.ann.send(b"still here")
        self.turn()
        self.assertEqual(self.cid.hears(), "guest-1: still here")

    def test_members_that_do_not_read_are_dropped_together(self) -> None:
        others = [Member(self.port) for _ in range(300)]
        for member in [*others, self.bob, self.cid]:
            member.protocol.pauseProducing()
        for _ in range(20):
            self.ann.send(b"z" * 90)
            self.clock.advance(1)
        self.assertEqual(self.lobby.names(), ["guest-1"])
        self.assertTrue(all(member.transport.aborted for member in others))

    def test_member_that_reads_again_gets_queued_messages(self) -> None:
        self.bob.protocol.pauseProducing()
        self.ann.send(b"one\n")
        self.turn()
        self.assertEqual(self.bob.hears(), "")
        self.bob.protocol.resumeProducing()
        self.assertEqual(self.bob.hears(), "guest-1: one\n")

    def test_a_full_lobby_says_so(self) -> None:
        port = LobbyPort(self.clock, LobbyMembers(Limits(lobby_members=0)), LIMITS)
        dan = Member(port)
        self.assertEqual(dan.hears(), "* the lobby is full: try again later\n")
        self.assertTrue(dan.transport.half_closed)

    def test_name_is_checked_before_it_is_assigned(self) -> None:
        owned: set[str] = set()
        asked: list[tuple[str, Deferred[None]]] = []

        def look_up(name: str) -> Deferred[None]:
            asked.append((name, Deferred()))
            return asked[-1][1]

        lobby = LobbyMembers(LIMITS, owned.__contains__)
        port = LobbyPort(self.clock, lobby, LIMITS, look_up=look_up)
        ann, bob, gone = (Member(port) for _ in range(3))
        for member, name in ((ann, b"alice"), (bob, b"bob"), (gone, b"carol")):
            member.send(b"/nick " + name + b"\n")
            self.clock.advance(1)
        self.assertEqual([name for name, _ in asked], ["alice", "bob", "carol"])
        gone.goes()
        owned.add("alice")
        for _, known in asked:
            known.callback(None)
        self.clock.advance(1)
        self.assertIn("is taken", ann.hears())
        self.assertIn("you are bob", bob.hears())
        self.assertEqual(lobby.names(), ["guest-1", "bob"])

    def test_an_address_that_is_not_admitted_gets_no_connection(self) -> None:
        open_hosts: list[str] = []

        def admit(host: str) -> bool:
            open_hosts.append(host)
            return len(open_hosts) <= 1

        port = LobbyPort(self.clock, LobbyMembers(LIMITS), LIMITS, admit, open_hosts.remove)
        member = Member(port, "::ffff:192.0.2.1")
        self.assertEqual(open_hosts, ["192.0.2.1"])
        self.assertIsNone(port.buildProtocol(IPv4Address("TCP", "192.0.2.9", 1)))
        open_hosts.remove("192.0.2.9")
        member.goes()
        self.assertEqual(open_hosts, [])

    def test_http_and_tls_are_closed_without_a_word(self) -> None:
        for data in (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
            stranger = Member(self.port)
            self.turn()
            self.forget()
            stranger.send(data)
            self.turn()
            self.assertTrue(stranger.transport.half_closed)
            self.assertRegex(self.bob.hears(), r"^\* guest-\d left\n$")

    def test_all_members_are_notified_before_a_stop(self) -> None:
        self.port.close_all("the server is stopping")
        self.assertEqual(self.ann.hears(), "* the server is stopping\n")
        self.assertTrue(self.ann.transport.half_closed)
        self.ann.goes()
        self.turn()
        self.assertEqual(self.bob.hears(), "* the server is stopping\n")

    def test_operator_can_kick_a_member(self) -> None:
        self.assertFalse(self.port.kick("nobody"))
        self.assertTrue(self.port.kick("guest-1"))
        self.turn()
        self.assertEqual(self.ann.hears(), "* you were removed from the lobby\n")
        self.assertEqual(self.bob.hears(), "* guest-1 left (was removed)\n")


TURN = 1.0


class TurnClock(Clock):
    """A clock on which each turn of a reactor takes `TURN` seconds."""

    def callLater(self, delay: float, callable: Any, *args: Any, **kw: Any) -> Any:
        return super().callLater(max(delay, TURN), callable, *args, **kw)


class LargeLobbyTests(SynchronousTestCase):
    """More members than one turn of the reactor sends anything."""

    def setUp(self) -> None:
        self.patch(lobby_port, "MEMBERS_AT_ONCE", 3)
        self.clock = TurnClock()
        self.port = LobbyPort(self.clock, LobbyMembers(LIMITS), LIMITS)
        self.members = [Member(self.port) for _ in range(10)]
        self.clock.pump([TURN] * 10)
        self.heard()

    def heard(self) -> list[str]:
        return [one.hears() for one in self.members]

    def test_a_line_is_sent_to_a_few_in_each_turn(self) -> None:
        self.members[0].send(b"hello\n")
        told = []
        for _ in range(5):
            self.clock.advance(TURN)
            told.append(sum(bool(one) for one in self.heard()))
        self.assertEqual(sum(told), 9)
        self.assertLessEqual(max(told), 3)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_members_get_queued_lines_before_private_ones(self) -> None:
        self.members[0].send(b"one\n/nick ann\n")
        self.members[1].send(b"two\n")
        self.members[9].send(b"/msg guest-9 three\nquit\n")
        self.clock.pump([TURN] * 10)
        heard = self.heard()
        own = "* you are ann\nguest-2: two\n* guest-10 left\n"
        self.assertEqual(heard[0], own)
        said = "guest-1: one\n* guest-1 is now ann\nguest-2: two\n"
        self.assertEqual(heard[8], f"{said}guest-10 (private): three\n* guest-10 left\n")
        self.assertEqual(heard[9], said)
        self.assertEqual(heard[2], f"{said}* guest-10 left\n")

    def test_too_many_queued_lines_are_sent_at_once(self) -> None:
        self.patch(lobby_port, "WAITING", 20)
        self.members[0].send(b"one\n")
        self.assertEqual("".join(self.heard()), "")
        self.members[1].send(b"two\n")
        self.assertEqual("".join(self.heard()).count("guest-2: two\n"), 9)

    def test_members_of_a_banned_address_are_removed_with_few_writes(self) -> None:
        self.port.kick_from(lambda host: True)
        self.clock.pump([TURN] * 10)
        self.assertTrue(all(one.transport.half_closed for one in self.members))
        self.assertLessEqual(max(one.transport.writes for one in self.members), 12)

    def test_empty_lobby_queues_nothing(self) -> None:
        for one in self.members:
            one.goes()
        self.clock.pump([TURN] * 10)
        size = self.port._feed.size
        for _ in range(100):
            self.port.show("hello")
        self.assertEqual(self.port._feed.size, size)


class AnySplitTests(SynchronousTestCase):
    @settings(max_examples=50)
    @given(st.lists(st.text(st.sampled_from("aé\x1b€"), max_size=6), max_size=8), st.data())
    def test_lines_arrive_the_same_however_they_are_split(
        self, lines: list[str], data: st.DataObject
    ) -> None:
        heard = []
        stream = "".join(f"{line}\n" for line in ["first", *lines]).encode()
        cuts = sorted(data.draw(st.lists(st.integers(6, len(stream)), max_size=6)))
        for pieces in (
            [stream],
            [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)],
        ):
            clock = Clock()
            port = LobbyPort(clock, LobbyMembers(LIMITS), LIMITS)
            ann, bob = Member(port), Member(port)
            for piece in pieces:
                if piece:
                    ann.send(piece)
                clock.advance(0)
            clock.advance(5)
            heard.append(bob.hears())
        self.assertEqual(heard[0], heard[1])


def give_each(members: list[LobbyConnection], lines: bytes) -> None:
    """Do what `give_all` stands for."""
    for member in members:
        member.give(lines)


class GiveAllTests(SynchronousTestCase):
    def heard(self, steps: list[tuple[str, int]]) -> list[tuple[str, bool]]:
        """Return what three members hear in `steps`, and whether they were dropped."""
        clock = Clock()
        port = LobbyPort(clock, LobbyMembers(LIMITS), LIMITS)
        members = [Member(port) for _ in range(3)]
        clock.advance(0)
        for step, number in steps:
            member = members[number]
            if step == "full":
                member.protocol.pauseProducing()
            elif step == "reads":
                member.protocol.resumeProducing()
            elif step == "wait":
                clock.advance(number * LIMITS.frame_gap)
            elif step == "turn":
                clock.advance(0)
            else:
                member.send(step.encode())
        clock.advance(1)
        return [(one.hears(), one.transport.aborted) for one in members]

    @settings(max_examples=100)
    @example([("a\n", 0), ("/names\n", 1), ("a\n", 0)])
    @example([("a", 1), ("wait", 2), *[("a\n", 0), ("turn", 0), ("a\n", 1), ("turn", 0)] * 2])
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(
                    ["a\n", "a", "/names\n", "full", "reads", "wait", "turn", "b" * 90]
                ),
                st.integers(0, 2),
            ),
            max_size=30,
        )
    )
    def test_each_member_gets_its_private_lines(self, steps: list[tuple[str, int]]) -> None:
        together = self.heard(steps)
        with patch.object(lobby_port, "give_all", give_each):
            self.assertEqual(self.heard(steps), together)


class PortTestsCutByTwisted(PortTests):
    """The same with Twisted's own line receiver."""

    def setUp(self) -> None:
        super().setUp()
        cut_by_twisted(self, bytewise=False)
