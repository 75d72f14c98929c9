"""The tables: what can happen, that everything ends, and that nothing happens to what has ended."""

from __future__ import annotations

from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer.offer import FileOffer, folder_offer
from chatproto.transfer.receiving import Receiving
from chatproto.transfer.sending import BATCH, Sending
from chatproto.transfer.sinks import SinkTrouble, There
from chatproto.transfer.sources import Found, Pieces, SourceChanged, SourceTrouble
from chatproto.transfer.state import ENDED, OPEN, RECEIVING, SENDING, TransferInput, TransferState
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import Cancel, Data, Done, DoneAck, Listed, Offer, OfferAck
from tests.transfer.one_transfer import OFFER, Case

NONE, SOME, WHOLE = ("0" * 64, "5" * 64, "a" * 64)
NOTHING = Pieces(())


class CountedFiles(tuple[Listed, ...]):
    """A list of files that counts how often it is gone through."""

    looks = 0

    def __iter__(self) -> Iterator[Listed]:
        self.looks += 1
        return super().__iter__()


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


class SendingTests(Case):
    def moving(self) -> Sending:
        """A file of which the peer has four bytes, and the next are being read."""
        out = self.sending()
        out.taken(4, SOME)
        self.assertEqual(self.disk.job, "begin")
        self.disk.answer((SOME, NOTHING))
        self.assertEqual((self.disk.job, self.disk.arguments), ("read", (BATCH,)))
        return out

    def test_resumes_at_the_receiver_s_offset_if_the_hash_matches(self) -> None:
        out = self.moving()
        self.disk.answer(Pieces((b"efg", b"hij"), WHOLE))
        self.assertEqual(self.disk.job, "")
        pulled = [out.pull() for _ in range(4)]
        self.assertEqual(pulled, [Data(1, 4, b"efg"), Data(1, 7, b"hij"), Done(1, WHOLE), None])
        self.assertIs(out.state, TransferState.VERIFYING)
        out.stored()
        self.assertEqual((self.disk.finish(), out.forgotten), (["_remove"], True))

    def test_each_state_is_reported_with_its_first_offset(self) -> None:
        out = self.moving()
        self.disk.answer(Pieces((b"efghij",), WHOLE))
        out.pull()
        out.pull()
        out.refused("DONE", 460)
        checking, moving = TransferState.CHECKING, TransferState.MOVING
        ends = [(TransferState.VERIFYING, 10), (checking, 0)]
        self.assertEqual(self.owner.seen[1:], [(checking, 4), (moving, 4), *ends])

    def test_unsaved_record_is_reported_and_the_file_offered(self) -> None:
        out = self.sending()
        out.keep()
        self.disk.fail(OSError(28, "No space left on device", "/none"))
        self.assertTrue(out.kept)
        self.assertIn("cannot keep what is known of a: /none", self.owner.told[-1])

    def test_restarts_if_the_hash_differs_or_the_offset_is_too_large(self) -> None:
        for offset in (4, 11):
            self.begin()
            out = self.sending()
            out.taken(offset, SOME)
            self.disk.answer((NONE, NOTHING))
            self.assertEqual((self.disk.job, self.disk.arguments[0]), ("begin", 0))
            self.disk.answer((NONE, NOTHING))
            self.assertEqual((self.disk.job, out.offset), ("read", 0))

    def test_data_read_for_an_acceptance_before_a_break_is_not_sent(self) -> None:
        out = self.sending()
        out.taken(0, NONE)
        out.refused("OFFER", 503)
        out.taken(4, SOME)
        self.disk.answer((NONE, Pieces((b"abcdefghij",), WHOLE)))
        self.assertIsNone(out.pull())
        self.assertEqual(self.disk.job, "close")
        self.disk.answer()
        self.disk.answer((SOME, Pieces((b"efghij",), WHOLE)))
        self.assertEqual(out.pull(), Data(1, 4, b"efghij"))

    def test_it_reads_one_batch_ahead(self) -> None:
        out = self.sending(FileOffer("a", 10 * BATCH, OFFER.modified))
        out.taken(0, NONE)
        self.disk.answer((NONE, NOTHING))
        self.disk.answer(Pieces((bytes(BATCH),)))
        self.assertEqual(self.disk.job, "read")
        self.disk.answer(Pieces((bytes(BATCH),)))
        self.assertEqual(self.disk.job, "")
        out.pull()
        self.assertEqual(self.disk.job, "read")
        self.assertEqual(len(self.disk.jobs), 1)

    def test_data_read_for_a_lost_connection_is_not_sent(self) -> None:
        out = self.moving()
        out.lost()
        self.disk.answer(Pieces((b"efghij",), WHOLE))
        self.assertIsNone(out.pull())
        self.disk.finish()
        out.offer_now()
        out.taken(0, NONE)
        self.disk.answer((NONE, NOTHING))
        self.assertIsNone(out.pull())

    def test_a_change_is_looked_at_and_offered_again(self) -> None:
        out = self.moving()
        self.disk.answer(SourceChanged())
        self.assertEqual(self.disk.job, "close")
        self.disk.answer()
        self.assertEqual(self.disk.job, "find")
        new = FileOffer("a", 11, OFFER.modified)
        self.disk.answer(Found("/none/a", new, ((11, 1),)))
        self.assertEqual(self.disk.job, "save")
        self.assertEqual([type(one) for one in self.sent()], [Offer])
        self.assertIs(out.state, TransferState.OFFERED)

    def test_change_seen_after_a_lost_connection_is_sent_later(self) -> None:
        out = self.moving()
        self.disk.answer(SourceChanged())
        self.disk.answer()
        out.lost()
        self.disk.answer(Found("/none/a", OFFER, ((10, 1),)))
        self.assertEqual((self.disk.finish(), self.sent()), (["close", "save"], []))
        self.assertIs(out.state, TransferState.BROKEN)

    def test_refusals_by_status(self) -> None:
        for about, status, state in (
            ("OFFER", 603, TransferState.DECLINED),
            ("OFFER", 400, TransferState.FAILED),
            ("DATA", 503, TransferState.STALLED),
            ("DATA", 400, TransferState.FAILED),
            ("DONE", 400, TransferState.FAILED),
        ):
            self.begin()
            out = self.moving()
            out.refused(about, status)
            self.assertIs(out.state, state)

    def test_too_many_open_offers_are_offered_again_with_the_next_connection(self) -> None:
        out = self.sending()
        out.refused("OFFER", 429)
        self.assertIs(out.state, TransferState.BROKEN)

    @given(st.lists(st.integers(0, 9), max_size=30))
    def test_whatever_happens_nothing_raises_and_the_end_is_the_end(self, what: list[int]) -> None:
        self.begin()
        out = self.sending()
        results = {
            "begin": (SOME, NOTHING),
            "read": Pieces((b"efghij",), WHOLE),
            "find": Found("/none/a", OFFER, ((10, 1),)),
        }
        for each in what:
            ended = out.state if out.state in ENDED else None
            [
                out.offer_now,
                lambda: out.taken(4, SOME),
                out.stored,
                out.cancel,
                lambda: out.refused("DONE", 460),
                out.cancelled,
                out.lost,
                lambda: out.refused("DATA", 503),
                lambda: self.disk.fail(SourceChanged()),
                lambda: self.disk.fail(SourceTrouble("x")),
            ][each]()
            if self.disk.jobs and each % 2:
                self.disk.answer(results.get(self.disk.job))
            out.pull()
            if ended:
                self.assertIs(out.state, ended)


class ReceivingTests(Case):
    def moving(self, offset: int = 4) -> Receiving:
        """A file of which `offset` bytes are here."""
        come = self.receiving()
        come.accept()
        self.assertTrue(come.unsaved)
        come.start()
        self.assertEqual(self.disk.job, "_open_part")
        self.disk.answer(There(offset, SOME))
        self.assertEqual(self.sent(), [OfferAck(1, offset, SOME)])
        return come

    def writing(self) -> tuple[tuple[bytes, ...], bool]:
        """The pieces that are being written, and whether they begin the file anew."""
        self.assertEqual(self.disk.job, "write")
        pieces, anew = self.disk.arguments
        return pieces, anew

    def test_chunks_are_written_in_order(self) -> None:
        come = self.moving()
        come.data(4, b"ef")
        self.assertEqual(self.writing(), ((b"ef",), False))
        come.data(6, b"g")
        come.data(7, b"h")
        self.assertEqual(self.context.unwritten, 2)
        self.disk.answer()
        self.assertEqual(self.writing(), ((b"g", b"h"), False))
        come.data(8, b"ij")
        come.done(WHOLE)
        self.disk.answer()
        self.assertEqual(self.writing(), ((b"ij",), False))
        self.disk.answer()
        self.assertEqual(self.disk.job, "_finish")
        self.assertEqual(self.sent(), [])
        self.disk.answer(("/d/a", None))
        self.assertEqual((self.sent(), come.path), ([DoneAck(1)], "/d/a"))
        come.done(WHOLE)
        self.assertEqual((self.disk.finish(), self.sent()), (["_save"], [DoneAck(1)]))
        come.done(NONE)
        self.assertEqual(self.sent(), [Error(460, about="DONE", id=1)])

    def test_a_piece_of_a_folder_costs_no_look_at_the_list_of_its_files(self) -> None:
        files = CountedFiles(((5, "a"), (5, "b")))
        come = self.receiving(offer=folder_offer("top", OFFER.modified, files))
        come.accept()
        come.start()
        self.disk.answer(There(0, NONE))
        before = files.looks
        come.data(0, b"abcdef")
        come.data(6, b"ghij")
        self.assertEqual((files.looks, come.offset), (before, 10))

    def test_offset_0_discards_the_part(self) -> None:
        come = self.moving()
        come.data(0, b"abc")
        self.assertEqual((self.writing(), come.offset), (((b"abc",), True), 3))

    def test_restarted_data_is_written_after_a_pending_write(self) -> None:
        come = self.moving()
        come.data(4, b"ef")
        come.data(6, b"g")
        come.data(0, b"abc")
        self.assertEqual(self.writing(), ((b"ef",), False))
        self.disk.answer()
        self.assertEqual(self.writing(), ((b"abc",), True))

    def test_a_wrong_hash_is_answered_460_and_the_part_thrown_away_once_then_for_good(self) -> None:
        come = self.moving(10)
        come.done(WHOLE)
        self.disk.answer(("", None))
        self.assertEqual((self.writing(), come.unsaved), (((), True), True))
        self.assertEqual(self.sent(), [Error(460, about="DONE", id=1)])
        self.disk.answer()
        come.data(0, b"0123456789")
        come.done(WHOLE)
        self.disk.answer()
        self.disk.answer(("", None))
        self.assertEqual(self.sent(), [Error(460, about="DONE", id=1)])
        self.assertEqual(self.disk.finish(), ["discard", "_remove"])
        self.assertIs(come.state, TransferState.FAILED)

    def test_each_state_is_reported_with_its_first_offset(self) -> None:
        come = self.moving(10)
        come.done(WHOLE)
        self.disk.answer(("", None))
        moving, ends = TransferState.MOVING, [(TransferState.VERIFYING, 10)]
        self.assertEqual(self.owner.seen[-3:], [(moving, 10), *ends, (moving, 0)])

    def test_accepted_offer_is_not_asked_about_again(self) -> None:
        come = self.moving()
        come.lost()
        come.offered_again(OFFER)
        self.assertIs(come.state, TransferState.QUEUED)

    def test_unanswered_offer_is_shown_again_only_if_it_has_changed(self) -> None:
        come = self.receiving()
        come.offered_again(OFFER)
        self.assertEqual(self.owner.told, [])
        come.offered_again(FileOffer("a", 11, OFFER.modified))
        self.assertEqual(len(self.owner.told), 1)
        self.assertIs(come.state, TransferState.OFFERED)

    def test_another_name_or_type_under_the_same_id_does_not_go_on_from_the_part(self) -> None:
        come = self.moving()
        other = FileOffer("b", 10, OFFER.modified)
        come.offered_again(other)
        self.assertEqual(self.disk.job, "_open_part")
        _, record, useless = self.disk.arguments
        self.assertEqual((record.offer, useless), (other, True))

    def test_cancelled_file_is_declined_when_offered_again(self) -> None:
        come = self.moving()
        come.cancel()
        self.assertEqual(self.disk.finish(), ["close", "_save"])
        self.assertEqual(self.sent(), [Cancel(1, "OFFER")])
        come.offered_again(OFFER)
        self.assertEqual(self.sent(), [Cancel(1, "OFFER")])

    def test_completion_while_disconnected_is_reported_later(self) -> None:
        come = self.moving(10)
        come.done(WHOLE)
        come.lost()
        self.disk.answer(("/d/a", None))
        self.assertEqual((come.state, self.sent()), (TransferState.DONE, []))
        come.offered_again(OFFER)
        self.assertEqual(self.sent(), [OfferAck(1, 10, WHOLE)])

    def test_unsaved_final_record_is_reported_and_the_file_is_whole(self) -> None:
        come = self.moving(10)
        come.done(WHOLE)
        self.disk.answer(("/d/a", OSError("full")))
        self.assertEqual((come.state, self.sent()), (TransferState.DONE, [DoneAck(1)]))
        self.assertIn("full", "".join(self.owner.told))

    @given(st.lists(st.integers(0, 10), max_size=30))
    def test_whatever_happens_nothing_raises_and_the_end_is_the_end(self, what: list[int]) -> None:
        self.begin()
        come = self.receiving()
        results = {"_open_part": There(4, SOME), "_finish": ("", None)}
        for each in what:
            ended = come.state if come.state in ENDED else None
            [
                come.accept,
                come.start,
                come.decline,
                lambda: come.offered_again(OFFER),
                lambda: come.data(4, b"efghij"),
                lambda: come.data(0, b"abc"),
                lambda: come.done(WHOLE),
                lambda: results.update(_finish=("/d/a", None)),
                lambda: self.disk.fail(SinkTrouble("x")),
                come.cancelled,
                come.lost,
            ][each]()
            if self.disk.jobs and each % 3:
                self.disk.answer(results.get(self.disk.job))
            self.assertLessEqual(come.offset, OFFER.size)
            if ended:
                self.assertIs(come.state, ended)

    def test_looking_is_a_senders_matter(self) -> None:
        self.assertNotIn(TransferState.LOOKING, {state for state, _ in RECEIVING})
