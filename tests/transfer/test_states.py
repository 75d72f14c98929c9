"""The tables: what can happen, that everything ends, and that nothing happens to what has ended."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer.effects import (
    Begin,
    Effect,
    Finish,
    Keep,
    Look,
    Open,
    Read,
    SendMessage,
    TransferChanged,
    Write,
)
from chatproto.transfer.incoming import IncomingTransfer
from chatproto.transfer.offer import FileOffer
from chatproto.transfer.outgoing import BATCH, Outgoing
from chatproto.transfer.sinks import There
from chatproto.transfer.sources import Pieces
from chatproto.transfer.state import ENDED, OPEN, RECEIVING, SENDING, TransferInput, TransferState
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import Cancel, Data, Done, DoneAck, OfferAck

OFFER = FileOffer("a", 10, "2026-01-01T00:00:00Z")
NONE, SOME, WHOLE = ("0" * 64, "5" * 64, "a" * 64)
NOTHING = Pieces(())


def kinds(effects: list[Effect]) -> list[str]:
    """Name the kinds of the effects, without news."""
    return [type(effect).__name__ for effect in effects if not isinstance(effect, TransferChanged)]


class TableTests(SynchronousTestCase):
    def test_ended_transfers_ignore_all_inputs(self) -> None:
        for table in (SENDING, RECEIVING):
            self.assertEqual({state for state, _ in table} & ENDED, set())

    def test_whatever_is_open_can_be_cancelled_and_can_fail(self) -> None:
        for table in (SENDING, RECEIVING):
            for state in {state for state, _ in table}:
                self.assertIs(table[state, TransferInput.CANCEL], TransferState.CANCELLED)
                self.assertIs(table[state, TransferInput.FAIL], TransferState.FAILED)

    def test_every_state_can_be_reached_and_left(self) -> None:
        for table, begin in ((SENDING, TransferState.QUEUED), (RECEIVING, TransferState.OFFERED)):
            reached, before = {begin}, set[TransferState]()
            while reached != before:
                before = set(reached)
                reached |= {after for (state, _), after in table.items() if state in reached}
            self.assertEqual(reached & OPEN, {state for state, _ in table})
            self.assertEqual(reached & ENDED, ENDED)

    def test_a_lost_connection_leaves_nothing_that_seems_to_move(self) -> None:
        for table in (SENDING, RECEIVING):
            for state in (
                TransferState.CHECKING,
                TransferState.MOVING,
                TransferState.VERIFYING,
                TransferState.STALLED,
            ):
                self.assertIs(table[state, TransferInput.LOSE], TransferState.BROKEN)


class OutgoingTests(SynchronousTestCase):
    def moving(self) -> Outgoing:
        out = Outgoing(1, OFFER)
        out.offered()
        self.assertEqual(kinds(out.taken(4, SOME)), ["Begin"])
        self.assertEqual(out.begun(4, SOME, NOTHING)[:1], [Read(4, BATCH)])
        return out

    def test_it_goes_on_where_they_are_if_the_beginning_is_the_same(self) -> None:
        out = self.moving()
        self.assertEqual(out.read(Pieces((b"efg", b"hij"), WHOLE)), [])
        pulled = [out.pull() for _ in range(4)]
        self.assertEqual(pulled, [Data(1, 4, b"efg"), Data(1, 7, b"hij"), Done(1, WHOLE), None])
        self.assertIs(out.state, TransferState.VERIFYING)
        self.assertEqual(kinds(out.kept()), ["Forget"])

    def test_it_begins_anew_if_the_beginning_differs_or_is_longer_than_the_whole(self) -> None:
        for offset in (4, 11):
            out = Outgoing(1, OFFER)
            out.offered()
            out.taken(offset, SOME)
            at = out.offset
            self.assertEqual(out.begun(at, NONE, NOTHING)[:1], [Begin(0, BATCH)])
            self.assertEqual(out.begun(0, NONE, NOTHING)[:1], [Read(0, BATCH)])

    def test_data_read_for_an_acceptance_before_a_break_is_not_sent(self) -> None:
        out = Outgoing(1, OFFER)
        out.offered()
        out.taken(0, NONE)
        out.refused("OFFER", 503)
        out.taken(4, SOME)
        self.assertEqual(out.begun(0, NONE, Pieces((b"abcdefghij",), WHOLE)), [])
        self.assertIsNone(out.pull())
        out.begun(4, SOME, Pieces((b"efghij",), WHOLE))
        self.assertEqual(out.pull(), Data(1, 4, b"efghij"))

    def test_it_reads_one_batch_ahead(self) -> None:
        out = Outgoing(1, FileOffer("a", 10 * BATCH, OFFER.modified))
        out.offered()
        out.taken(0, NONE)
        out.begun(0, NONE, NOTHING)
        self.assertEqual(out.read(Pieces((bytes(BATCH),))), [Read(BATCH, BATCH)])
        self.assertEqual(out.read(Pieces((bytes(BATCH),))), [])
        out.pull()
        self.assertEqual(out.more(), [Read(2 * BATCH, BATCH)])
        self.assertEqual(out.more(), [])

    def test_data_read_for_a_lost_connection_is_not_sent(self) -> None:
        out = self.moving()
        out.lost()
        out.read(Pieces((b"efghij",), WHOLE))
        self.assertIsNone(out.pull())
        out.offered()
        out.taken(0, NONE)
        out.begun(0, NONE, NOTHING)
        self.assertIsNone(out.pull())

    def test_a_change_is_looked_at_and_offered_again(self) -> None:
        out = self.moving()
        self.assertEqual(kinds(out.changed()), ["Release", "Look"])
        self.assertIsInstance(out.changed(), list)
        new = FileOffer("a", 11, OFFER.modified)
        self.assertEqual(kinds(out.looked(new)), ["Keep", "SendMessage"])
        self.assertIs(out.state, TransferState.OFFERED)

    def test_a_change_seen_after_the_connection_was_lost_waits(self) -> None:
        out = self.moving()
        out.changed()
        out.lost()
        self.assertEqual(kinds(out.looked(FileOffer("a", 11, OFFER.modified))), ["Keep"])
        self.assertIs(out.state, TransferState.BROKEN)

    def test_refusals_by_status(self) -> None:
        for about, status, state in (
            ("OFFER", 603, TransferState.DECLINED),
            ("OFFER", 400, TransferState.FAILED),
            ("DATA", 503, TransferState.STALLED),
            ("DATA", 400, TransferState.FAILED),
            ("DONE", 400, TransferState.FAILED),
        ):
            out = self.moving()
            out.refused(about, status)
            self.assertIs(out.state, state)

    @given(st.lists(st.integers(0, 12), max_size=30))
    def test_whatever_happens_nothing_raises_and_the_end_is_the_end(self, what: list[int]) -> None:
        out = Outgoing(1, OFFER)
        for each in what:
            ended = out.state if out.state in ENDED else None
            effects = [
                out.offered,
                lambda: out.taken(4, SOME),
                lambda: out.begun(4, SOME, NOTHING),
                out.changed,
                out.kept,
                lambda: out.read(Pieces((b"efghij",), WHOLE)),
                lambda: out.looked(OFFER),
                out.cancel,
                lambda: out.unreadable("x"),
                lambda: out.refused("DONE", 460),
                out.cancelled,
                out.lost,
                lambda: out.refused("DATA", 503),
            ][each]()
            out.pull()
            if ended:
                self.assertEqual((out.state, kinds(effects)), (ended, []))


class IncomingTests(SynchronousTestCase):
    def moving(self, offset: int = 4) -> IncomingTransfer:
        come = IncomingTransfer(1, OFFER)
        self.assertEqual(kinds(come.accept()), ["Keep"])
        self.assertEqual(come.start()[:1], [Open(OFFER)])
        self.assertIn(SendMessage(OfferAck(1, offset, SOME)), come.opened(There(offset, SOME)))
        return come

    def test_pieces_are_written_in_order_one_after_the_other(self) -> None:
        come = self.moving()
        self.assertEqual(come.data(4, b"ef"), [Write(4, (b"ef",))])
        self.assertEqual(come.data(6, b"g"), [])
        self.assertEqual(come.data(7, b"h"), [])
        self.assertEqual(come.pending, 2)
        self.assertEqual(come.written(), [Write(6, (b"g", b"h"))])
        self.assertEqual(come.data(8, b"ij"), [])
        self.assertEqual(kinds(come.done(WHOLE)), ["Keep"])
        self.assertEqual(come.written(), [Write(8, (b"ij",))])
        self.assertEqual(come.written(), [Finish(WHOLE)])
        self.assertEqual(
            come.finished("/d/a")[0], Keep((SendMessage(DoneAck(1)), TransferChanged("/d/a")))
        )
        self.assertEqual(come.done(WHOLE), [Keep((SendMessage(DoneAck(1)),))])
        self.assertEqual(come.done(NONE), [SendMessage(Error(460, about="DONE", id=1))])

    def test_offset_0_throws_away_what_is_there(self) -> None:
        come = self.moving()
        self.assertEqual(come.data(0, b"abc"), [Write(0, (b"abc",), anew=True)])
        self.assertEqual(come.offset, 3)

    def test_restarted_data_is_written_after_a_pending_write(self) -> None:
        come = self.moving()
        come.data(4, b"ef")
        come.data(6, b"g")
        self.assertEqual(come.data(0, b"abc"), [])
        self.assertEqual(come.written(), [Write(0, (b"abc",), anew=True)])

    def test_a_wrong_hash_is_answered_460_and_the_part_thrown_away_once_then_for_good(self) -> None:
        come = self.moving(10)
        come.done(WHOLE)
        self.assertEqual(kinds(come.finished("")), ["Write", "Keep", "SendMessage"])
        come.written()
        come.data(0, b"0123456789")
        come.done(WHOLE)
        come.written()
        self.assertEqual(kinds(come.finished("")), ["SendMessage", "Discard", "Forget"])
        self.assertIs(come.state, TransferState.FAILED)

    def test_accepted_offer_is_not_asked_about_again(self) -> None:
        come = self.moving()
        come.lost()
        come.offered_again(OFFER)
        self.assertIs(come.state, TransferState.QUEUED)

    def test_unanswered_offer_is_shown_again_only_if_it_has_changed(self) -> None:
        come = IncomingTransfer(1, OFFER)
        self.assertEqual(come.offered_again(OFFER), [])
        self.assertEqual(len(come.offered_again(FileOffer("a", 11, OFFER.modified))), 1)
        self.assertIs(come.state, TransferState.OFFERED)

    def test_another_name_or_type_under_the_same_id_does_not_go_on_from_the_part(self) -> None:
        come = self.moving()
        other = FileOffer("b", 10, OFFER.modified)
        self.assertIn(Open(other, anew=True), come.offered_again(other))

    def test_cancelled_it_is_offered_again_in_vain(self) -> None:
        come = self.moving()
        come.cancel()
        self.assertEqual(come.offered_again(OFFER), [SendMessage(Cancel(1, "OFFER"))])

    def test_completion_while_disconnected_is_reported_later(self) -> None:
        come = self.moving(10)
        come.done(WHOLE)
        come.lost()
        self.assertEqual(kinds(come.finished("/d/a")), ["Keep"])
        self.assertEqual(come.offered_again(OFFER), [SendMessage(OfferAck(1, 10, WHOLE))])

    @given(st.lists(st.integers(0, 13), max_size=30))
    def test_whatever_happens_nothing_raises_and_the_end_is_the_end(self, what: list[int]) -> None:
        come = IncomingTransfer(1, OFFER)
        for each in what:
            ended = come.state if come.state in ENDED else None
            [
                come.accept,
                come.start,
                come.decline,
                lambda: come.offered_again(OFFER),
                lambda: come.opened(There(4, SOME)),
                lambda: come.data(4, b"efghij"),
                come.written,
                lambda: come.data(0, b"abc"),
                lambda: come.done(WHOLE),
                lambda: come.finished(""),
                lambda: come.finished("/d/a"),
                lambda: come.trouble("x"),
                come.cancelled,
                come.lost,
            ][each]()
            self.assertLessEqual(come.offset, OFFER.size)
            if ended:
                self.assertIs(come.state, ended)

    def test_looking_is_a_senders_matter(self) -> None:
        self.assertNotIn(TransferState.LOOKING, {state for state, _ in RECEIVING})
        self.assertTrue(Look())
