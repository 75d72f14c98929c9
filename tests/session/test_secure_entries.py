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

    def test_messages_keep_their_number_and_their_moment(self) -> None:
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

    def test_what_is_heard_is_told_with_its_number_and_moment(self) -> None:
        self.talk()
        self.says(Msg(7, AT, "hello"))
        self.assertEqual(self.owner.news, [Msg(7, AT, "hello")])

    def test_it_is_acknowledged_once_it_is_kept(self) -> None:
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

    def test_one_acknowledgement_is_enough_for_all_that_came_at_once(self) -> None:
        self.talk()
        self.owner.then = self.acknowledge
        self.says(*(Msg(number, AT, "hello") for number in range(1, 50)))
        self.assertEqual(self.wrote(), [MsgAck(49)])

    def test_it_goes_out_before_what_is_said_in_answer(self) -> None:
        self.talk()

        def answer(news: Bcp2Message) -> None:
            self.acknowledge(news)
            self.write_entry(says(1, "you too"))

        self.owner.then = answer
        self.says(Msg(9, AT, "hello"))
        self.assertEqual(self.wrote(), [MsgAck(9), Msg(1, AT, "you too")])

    def test_but_not_before_what_was_said_without_knowing_of_it(self) -> None:
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

    def test_and_before_it_closes(self) -> None:
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

    def test_to_be_there_is_news_after_a_question(self) -> None:
        self.talk()
        self.l.probe()
        self.assertEqual(self.wrote(), [Ping()])
        self.says(PingAck())
        self.assertEqual(self.owner.news, [PingAck()])

    def test_what_is_about_files_is_handed_on(self) -> None:
        self.talk()
        about, taken = Error(603, about="OFFER", id=4), list[Bcp2Message]()
        self.says(about)
        self.l.files = taken.append
        self.says(about)
        self.assertEqual((taken, self.owner.news), ([about], []))

    def test_what_the_session_answers_is_applied(self) -> None:
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

    def test_what_cannot_be_stored_is_told(self) -> None:
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

    def test_nothing_is_said_to_a_full_transport(self) -> None:
        wire = self.talk()
        wire.full = True
        for number, text in enumerate(("one", "two", "three"), 1):
            self.write_entry(says(number, text))
        self.assertEqual([m.text for m in self.wrote()], ["one"])
        self.assertEqual([one.text for one in self.owner.spoken], ["one"])
        wire.drain()
        self.assertEqual([m.text for m in self.wrote()], ["two", "three"])

    def test_what_was_taken_back_meanwhile_is_not_written(self) -> None:
        wire = self.talk()
        wire.full = True
        for number, text in enumerate(("one", "two", "three"), 1):
            self.write_entry(says(number, text))
        self.owner.notes.taken_back.add(2)
        wire.drain()
        self.assertEqual([m.text for m in self.wrote()], ["one", "three"])

    def test_what_was_not_written_is_never_said_to_be(self) -> None:
        wire = self.talk()
        wire.full = True
        self.write_entry(says(1, "one"))
        self.write_entry(says(2, "two"))
        wire.ends()
        self.write_entry(says(3, "three"))
        self.assertEqual([one.text for one in self.owner.spoken], ["one"])

    def test_what_cannot_be_kept_is_not_written_and_it_closes(self) -> None:
        wire = self.talk()
        self.write_entry(says(1, "one"))
        self.owner.notes.trouble = LedgerTrouble("the disk is full")
        self.write_entry(says(2, "two"))
        self.assertEqual([m.text for m in self.wrote()], ["one"])
        self.assertTrue(wire.disconnecting)
        wire.ends()
        self.assertEqual(self.owner.lost, ["the disk is full"])

    @given(st.lists(st.tuples(st.text(max_size=30), st.booleans()), max_size=20))
    def test_all_that_is_said_is_written_once_in_order(self, words: list[tuple[str, bool]]) -> None:
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

    def test_it_is_read_again_when_nobody_holds_it(self) -> None:
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

    def test_nor_when_something_of_theirs_was_under_way_as_it_was_held(self) -> None:
        wire = self.talk()
        self.l.hold(True)
        self.says(Ping())
        self.clock.advance(PING * 3)
        self.assertEqual((self.wrote(), wire.closing), ([PingAck()] * 2, False))


class SourceTests(Case):
    """Files between messages."""

    def test_it_is_asked_as_long_as_it_has_something(self) -> None:
        self.talk()
        left: list[Bcp2Message] = [PingAck(), Ping()]
        self.l.source = lambda: left.pop() if left else None
        self.l.more()
        self.assertEqual(self.wrote(), [Ping(), PingAck()])

    def test_pieces_go_to_who_takes_them_until_we_part(self) -> None:
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

    def test_a_word_waits_behind_one_chunk_of_a_file_at_most(self) -> None:
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

    def test_after_our_farewell_it_is_not_asked(self) -> None:
        self.talk()
        self.l.source = Ping
        self.l.write_farewell(ME, "")
        self.l.more()
        self.assertEqual(self.wrote(), [Quit()])
