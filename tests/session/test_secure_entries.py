"""A link inside TLS: what is numbered and acknowledged, and what goes out when nobody talks."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from chatproto.net.clock import Wall
from chatproto.session.effects import StopDialling
from chatproto.session.ledger import MODE, MSG, TURN, LedgerTrouble, StreamEntry
from chatproto.wire.bcp2_common import Bcp2Message, Error, Ping, PingAck
from chatproto.wire.bcp2_files import Data
from chatproto.wire.bcp2_peer import Mode, Msg, MsgAck, Quit, Turn
from tests.limits import DEFAULTS
from tests.net import Wire
from tests.session.secure_link import AT, CALL, ME, PING, Case, says


class SpeakingTests(Case):
    """Numbered messages."""

    def test_messages_keep_their_number_and_date(self) -> None:
        self.talk()
        self.write_entry(says(3, "one"))
        self.write_entry(StreamEntry(7, MSG, Wall(AT + 1), "two\nlines"))
        first, second = self.wrote()
        self.assertEqual(first, Msg(3, AT, "one"))
        self.assertEqual((second.id, second.text), (7, "two\nlines"))
        self.assertEqual(second.at, AT + 1)
        self.assertEqual([one.id for one in self.owner.spoken], [3, 7])

    def test_turns_and_modes_are_part_of_the_numbering(self) -> None:
        self.talk()
        self.write_entry(StreamEntry(1, TURN, Wall(AT)))
        self.write_entry(StreamEntry(2, MODE, Wall(AT), "half"))
        self.assertEqual(self.wrote(), [Turn(1), Mode(2, "half")])
        self.says(Turn(4), Mode(5, "full"))
        self.assertEqual(self.owner.news, [Turn(4), Mode(5, "full")])

    def test_received_message_is_reported_with_number_and_date(self) -> None:
        self.talk()
        self.says(Msg(7, AT, "hello"))
        self.assertEqual(self.owner.news, [Msg(7, AT, "hello")])

    def test_message_is_acknowledged_once_stored(self) -> None:
        self.talk()
        self.says(Msg(7, AT, "hello"))
        self.assertEqual(self.wrote(), [])

        def keep(news: Bcp2Message) -> None:
            self.assertEqual(self.wire.new(), b"")
            self.l.acknowledge(8)

        self.owner.then = keep
        self.says(Msg(8, AT, "hello"))
        self.assertEqual(self.wrote(), [MsgAck(8)])

    def acknowledge(self, news: Bcp2Message) -> None:
        assert isinstance(news, Msg)
        self.l.acknowledge(news.id)

    def test_messages_received_together_get_one_acknowledgement(self) -> None:
        self.talk()
        self.owner.then = self.acknowledge
        self.says(*(Msg(number, AT, "hello") for number in range(1, 50)))
        self.assertEqual(self.wrote(), [MsgAck(49)])

    def test_acknowledgement_precedes_the_reply(self) -> None:
        self.talk()

        def answer(news: Bcp2Message) -> None:
            self.acknowledge(news)
            self.write_entry(says(1, "you too"))

        self.owner.then = answer
        self.says(Msg(9, AT, "hello"))
        self.assertEqual(self.wrote(), [MsgAck(9), Msg(1, AT, "you too")])

    def test_acknowledgement_follows_earlier_messages(self) -> None:
        wire = self.talk()
        self.owner.then = self.acknowledge
        wire.full = True
        for number in (1, 2):
            self.write_entry(says(number, "one"))
        self.says(Msg(8, AT, "hello"))
        self.says(Msg(9, AT, "hello"))
        self.write_entry(says(3, "three"))
        self.assertEqual([one.id for one in self.wrote()], [1])
        wire.drain()
        self.assertEqual([one.id for one in self.wrote()], [2, 9, 3])

    def test_acknowledgement_precedes_the_close(self) -> None:
        self.talk()

        def go(news: Bcp2Message) -> None:
            self.acknowledge(news)
            self.l.drop()

        self.owner.then = go
        self.says(Msg(9, AT, "hello"))
        self.assertEqual(self.wrote(), [MsgAck(9)])

    def test_an_acknowledgement_is_news(self) -> None:
        self.talk()
        self.says(MsgAck(3))
        self.assertEqual(self.owner.news, [MsgAck(3)])

    def test_sign_of_life_is_reported_after_a_ping(self) -> None:
        self.talk()
        self.l.probe()
        self.assertEqual(self.wrote(), [Ping()])
        self.says(PingAck())
        self.assertEqual(self.owner.news, [PingAck()])

    def test_file_messages_are_passed_on(self) -> None:
        self.talk()
        about, taken = Error(603, about="OFFER", id=4), list[Bcp2Message]()
        self.says(about)
        self.l.files = taken.append
        self.says(about)
        self.assertEqual((taken, self.owner.news), ([about], []))

    def test_effects_of_the_session_are_applied(self) -> None:
        msg, declined = Msg(7, AT, "hello"), Error(603, about="CHAT")
        for message in (
            CALL,
            msg,
            Turn(8),
            Mode(9, "half"),
            MsgAck(1),
            PingAck(),
            declined,
            Quit(),
        ):
            self.talk()
            self.owner.notes.effects = [StopDialling()]
            self.says(message)
            self.assertEqual(self.owner.news, [message])
            self.assertEqual(self.owner.applied, [StopDialling()], message)

    def test_storage_failure_is_reported(self) -> None:
        self.talk()
        trouble = LedgerTrouble("the disk is full")

        def fail(news: Bcp2Message) -> None:
            raise trouble

        self.owner.then = fail
        self.says(Msg(7, AT, "hello"))
        self.assertEqual((self.owner.failed, self.wrote()), ([trouble], []))

    def test_an_error_is_not_answered(self) -> None:
        self.talk()
        taken = list[Bcp2Message]()
        self.l.files = taken.append
        self.says(Error(429))
        self.assertEqual((self.owner.news, taken, self.wrote()), ([], [], []))
        self.assertFalse(self.wire.closing)

    def test_nothing_is_written_to_a_full_transport(self) -> None:
        wire = self.talk()
        wire.full = True
        for number, text in enumerate(("one", "two", "three"), 1):
            self.write_entry(says(number, text))
        self.assertEqual([m.text for m in self.wrote()], ["one"])
        self.assertEqual([one.text for one in self.owner.spoken], ["one"])
        wire.drain()
        self.assertEqual([m.text for m in self.wrote()], ["two", "three"])

    def test_withdrawn_message_is_not_written(self) -> None:
        wire = self.talk()
        wire.full = True
        for number, text in enumerate(("one", "two", "three"), 1):
            self.write_entry(says(number, text))
        self.owner.notes.taken_back.add(2)
        wire.drain()
        self.assertEqual([m.text for m in self.wrote()], ["one", "three"])

    def test_unwritten_message_is_not_reported_as_sent(self) -> None:
        wire = self.talk()
        wire.full = True
        self.write_entry(says(1, "one"))
        self.write_entry(says(2, "two"))
        wire.ends()
        self.write_entry(says(3, "three"))
        self.assertEqual([one.text for one in self.owner.spoken], ["one"])

    def test_message_that_cannot_be_stored_closes_the_connection(self) -> None:
        wire = self.talk()
        self.write_entry(says(1, "one"))
        self.owner.notes.trouble = LedgerTrouble("the disk is full")
        self.write_entry(says(2, "two"))
        self.assertEqual([m.text for m in self.wrote()], ["one"])
        self.assertTrue(wire.disconnecting)
        wire.ends()
        self.assertEqual(self.owner.lost, ["the disk is full"])

    @given(st.lists(st.tuples(st.text(max_size=30), st.booleans()), max_size=20))
    def test_all_messages_are_written_once_in_order(self, words: list[tuple[str, bool]]) -> None:
        wire = self.talk()
        for number, (text, full) in enumerate(words, 1):
            if full:
                wire.full = True
            else:
                wire.drain()
            self.write_entry(says(number, text))
        wire.drain()
        found = self.wrote()
        self.assertEqual([(m.id, m.text) for m in found], [*enumerate([w for w, _ in words], 1)])
        self.assertEqual([one.id for one in self.owner.spoken], [m.id for m in found])

    def test_held_nothing_is_read(self) -> None:
        wire = self.talk()
        self.l.hold(True)
        self.assertEqual(wire.producerState, "paused")
        self.l.hold(False)
        self.assertEqual(wire.producerState, "producing")

    def test_reading_resumes_without_holds(self) -> None:
        wire = self.talk()
        self.l.hold(True)
        self.l.hold(True, "files")
        self.l.hold(False)
        self.assertEqual(wire.producerState, "paused")
        self.l.hold(False, "files")
        self.assertEqual(wire.producerState, "producing")

    def test_a_silence_of_our_own_making_is_none_of_theirs(self) -> None:
        wire = self.talk()
        self.l.hold(True)
        self.clock.advance(PING * 3)
        self.assertEqual((self.wrote(), wire.closing), ([PingAck()], False))
        self.l.hold(False)
        self.clock.advance(PING)
        self.assertEqual(self.wrote(), [Ping()])

    def test_held_connection_with_pending_input_does_not_time_out(self) -> None:
        wire = self.talk()
        self.l.hold(True)
        self.says(Ping())
        self.clock.advance(PING * 3)
        self.assertEqual((self.wrote(), wire.closing), ([PingAck()] * 2, False))


class SourceTests(Case):
    """Files between messages."""

    def test_source_is_pulled_while_it_has_data(self) -> None:
        self.talk()
        left: list[Bcp2Message] = [PingAck(), Ping()]
        self.l.source = lambda: left.pop() if left else None
        self.l.more()
        self.assertEqual(self.wrote(), [Ping(), PingAck()])

    def test_file_chunks_are_passed_on_until_the_farewell(self) -> None:
        self.talk()
        taken: list[Data] = []
        first, second, third = (Data(1, at, b"x") for at in range(3))
        self.says(first)
        self.l.sink = taken.append
        self.says(second)
        self.l.write_farewell(ME, "/quit")
        self.says(third)
        self.assertEqual((taken, self.owner.news), ([second], []))

    def test_words_go_first(self) -> None:
        wire = self.talk()
        left: list[Bcp2Message] = [Ping()] * 3
        self.l.source = lambda: left.pop() if left else None
        wire.full = True
        self.l.more()
        self.write_entry(says(1, "one"))
        self.assertEqual(self.wrote(), [Ping()])
        wire.drain()
        self.assertEqual(self.wrote(), [Msg(1, AT, "one"), Ping(), Ping()])

    def test_message_waits_for_at_most_one_chunk(self) -> None:
        chunk = Data(1, 0, bytes(DEFAULTS.chunk))
        for said_at in range(4):
            wire = self.talk()
            drawn: list[Bcp2Message] = []

            def source(
                wire: Wire = wire, said_at: int = said_at, drawn: list[Bcp2Message] = drawn
            ) -> Data | None:
                wire.full = True  # each chunk fills it
                if len(drawn) == said_at:
                    self.write_entry(says(1, "one"))
                drawn.append(chunk)
                return chunk if len(drawn) < 9 else None

            self.l.source = source
            self.l.more()
            for _ in range(9):
                wire.drain()
            wrote = self.wrote()
            behind = [message.method for message in wrote].index("MSG")
            self.assertLessEqual(behind, said_at + 1)
            self.assertEqual(len(wrote), 9)
        self.assertEqual(DEFAULTS.chunk, 65536)

    def test_source_is_not_pulled_after_our_farewell(self) -> None:
        self.talk()
        self.l.source = Ping
        self.l.write_farewell(ME, "")
        self.l.more()
        self.assertEqual(self.wrote(), [Quit()])
