"""A server that answers without end, sends clients away for ever, or tells dates that nobody lives in."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from chatproto.directory.paging import PAGES_WAIT
from chatproto.directory.room_client import PAGE_BYTES, RoomClient
from chatproto.directory.secure_client import DIAL_BURST, DIAL_RATE
from chatproto.net.clock import Wall
from chatproto.net.dates import date_of, moment_of, short_time
from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Bcp2Message, Error, read_date
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import Contact
from chatproto.wire.room_fields import Listed, Occupant
from tests.directory.test_secure_client import ALICE, Case
from tests.limits import DEFAULTS

NEVER = 2**53
DATE = "2026-01-02T03:04:05.678Z"


class PageTests(Case):
    """Lists and histories that do not end."""

    def setUp(self) -> None:
        super().setUp()
        self.started()
        self.rooms = RoomClient(self.server)

    def pages(
        self,
        question: Coroutine[Deferred[Any], Any, Any],
        page: Callable[[int, int], Bcp2Message],
        slow: float = 0.0,
    ) -> tuple[Deferred[Any], int]:
        """Answer each request with `page(cseq, number)`, `slow` seconds later; also how many there were."""
        asked = Deferred.fromCoroutine(question)
        count = 0
        while not asked.called and count < 1000:
            [request] = self.wrote()
            count += 1
            self.net.advance(slow)
            self.says(page(request.cseq, count))
        return asked, count

    def test_lists_time_out_despite_further_pages(self) -> None:
        for question, page in (
            (self.server.info(), lambda cseq, n: bcp2_server.InfoAck(cseq, (), f"a{n:09}")),
            (self.rooms.rooms(), lambda cseq, n: bcp2_rooms.RoomsAck(cseq, f"#a{n:09}")),
            (
                self.rooms.names("#den"),
                lambda cseq, n: bcp2_rooms.NamesAck(cseq, "#den", 1, f"a{n:09}"),
            ),
        ):
            asked, count = self.pages(question, page, slow=1.0)
            self.assertEqual(self.unreachable(asked), "the server did not end its list within 60 s")
            self.assertEqual(count, PAGES_WAIT)
            self.assertTrue(self.server.registered)

    def test_lists_are_limited_in_length(self) -> None:
        def people(cseq: int, page: int) -> Bcp2Message:
            ids = [f"p{page:05}{n:05}" for n in range(3000)]
            return bcp2_server.InfoAck(
                cseq, tuple(Contact(one, "10.0.0.2", 1) for one in ids), ids[-1]
            )

        def rooms(cseq: int, page: int) -> Bcp2Message:
            names = [f"#r{page:05}{n:05}" for n in range(3000)]
            return bcp2_rooms.RoomsAck(cseq, names[-1], tuple(Listed(one, NEVER) for one in names))

        def members(cseq: int, page: int) -> Bcp2Message:
            ids = [f"p{page:05}{n:05}" for n in range(3000)]
            return bcp2_rooms.NamesAck(cseq, "#den", NEVER, ids[-1], tuple(map(Occupant, ids)))

        for question, page in (
            (self.server.info(), people),
            (self.rooms.rooms(), rooms),
            (self.rooms.names("#den"), members),
        ):
            asked, count = self.pages(question, page)
            self.assertEqual(len(self.successResultOf(asked)), DEFAULTS.listed)
            self.assertEqual(count, -(-DEFAULTS.listed // 3000))

    def test_pages_that_repeat_or_go_back_end_the_list(self) -> None:
        for following in (["b", "b"], ["b", "a"]):
            asked, count = self.pages(
                self.rooms.names("#den"),
                lambda cseq, n, to=following: bcp2_rooms.NamesAck(cseq, "#den", 1, to[n - 1]),  # type: ignore[misc]
            )
            self.assertEqual((self.successResultOf(asked), count), ((), 2))

    def test_history_page_is_limited_in_bytes_and_lines(self) -> None:
        for text, most in (("x" * 100_000, PAGE_BYTES // 100_000), ("", DEFAULTS.history_page)):
            asked = Deferred.fromCoroutine(self.rooms.history("#den"))
            [request] = self.wrote()
            for id in range(1, most + 500):
                self.says(bcp2_rooms.Said("#den", "Bob", id, DATE, text, request.cseq))
                if id % 64 == 0:
                    self.net.advance(0)
            self.net.advance(0)
            self.says(bcp2_rooms.HistoryAck(request.cseq, "#den", 0, True))
            self.net.advance(0)
            self.assertEqual(len(self.successResultOf(asked).said), most)

    def test_a_history_without_its_end_fails_in_time(self) -> None:
        asked = Deferred.fromCoroutine(self.rooms.history("#den"))
        [request] = self.wrote()
        for id in range(1, 20):
            self.says(bcp2_rooms.Said("#den", "Bob", id, DATE, "x", request.cseq))
            self.net.advance(1)
        self.assertIn("no answer within 15 s", self.unreachable(asked))


class LaterTests(Case):
    """A server that sends its clients away."""

    def test_for_ever_is_an_hour(self) -> None:
        for push in (bcp2_server.Closing(NEVER), None):
            self.begin()
            self.server.start(ALICE)
            if push is not None:
                wire = self.come()
                self.says(push)
            else:
                wire = self.accept()
                self.says(Error(503, 1, retry_after=NEVER))
            wire.ends()
            for _ in range(3):
                self.net.advance(DEFAULTS.retry_most / 4)
            self.assertEqual(len(self.net.wanted), 1)
            self.net.advance(DEFAULTS.retry_most)
            self.assertEqual(len(self.net.wanted), 2)

    def test_a_time_below_zero_is_no_message(self) -> None:
        for text in (b"-1", b"1e9", b"nan", b"99999999999999999999"):
            self.begin()
            wire = self.started()
            wire.says(b"CLOSING\r\nRetry-After: %s\r\n\r\n" % text)
            self.assertTrue(wire.closing, text)

    def test_one_that_takes_and_ends_each_connection_is_dialled_slowly(self) -> None:
        for ending in (
            lambda: self.says(bcp2_server.Closing(0)),
            lambda: self.says(Error(503)),
            None,
        ):
            self.begin()
            self.server.start(ALICE)
            count = 0
            for _ in range(1200):
                if self.net.dialled:
                    count += 1
                    wire = self.come()
                    if ending is not None:
                        ending()
                    wire.ends()
                self.net.advance(0.1)
            self.assertLessEqual(count, 1 + DIAL_BURST + DIAL_RATE * 120)
            self.assertGreater(count, DIAL_RATE * 120)


class DateTests(Case):
    """Dates from the ends of the calendar, and none."""

    @given(st.datetimes())
    def test_every_calendar_date_can_be_shown_and_stored(self, moment: Any) -> None:
        date = moment.isoformat("T", "milliseconds")[:23] + "Z"
        at = moment_of(read_date(date))
        self.assertEqual(len(date_of(at)), 24)
        self.assertTrue(short_time(at, Wall(1.8e9)))

    def test_invalid_date_ends_the_connection_with_a_sentence(self) -> None:
        for date in (
            "0000-01-01T00:00:00Z",
            "10000-01-01T00:00:00Z",
            "NaN",
            "",
            DATE[:-1] + "+01:00",
        ):
            self.assertRaises(RemoteError, read_date, date)
        wire = self.started()
        wire.says(
            b"SAID\r\nRoom: #den\r\nFrom: Bob\r\nID: 1\r\nDate: NaN\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertTrue(wire.closing)
        wire.ends()
        self.assertEqual(self.news.lost, ["data that is not BCP/2 was received (no date: 'NaN')"])
