"""Tests of `chatproto.net.dates`: for programs, and for people in their time zone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.clock import EPOCH, Wall
from chatproto.net.dates import date_of, moment_of, short_time
from chatproto.wire.bcp2_common import LATEST

NOON = Wall(datetime(2026, 11, 29, 12, 0, tzinfo=UTC).timestamp())
TOKYO = timezone(timedelta(hours=9))


class ShortTimeTests(SynchronousTestCase):
    def test_today_is_a_time(self) -> None:
        self.assertEqual(short_time(NOON + 5 * 3600 + 514.159, NOON, UTC), "17:08")

    def test_another_day_is_a_date_too(self) -> None:
        self.assertEqual(short_time(NOON - 13 * 3600, NOON, UTC), "2026-11-28 23:00")
        self.assertEqual(short_time(NOON + 86400, NOON, UTC), "2026-11-30 12:00")

    def test_the_day_is_the_readers(self) -> None:
        self.assertEqual(short_time(NOON, NOON, TOKYO), "21:00")
        self.assertEqual(short_time(NOON + 3 * 3600, NOON, TOKYO), "2026-11-30 00:00")
        self.assertEqual(short_time(NOON - 12 * 3600, NOON, TOKYO), "09:00")

    @given(st.floats(allow_nan=False, allow_infinity=False))
    def test_no_moment_is_an_error(self, at: float) -> None:
        self.assertIn(len(short_time(Wall(at), NOON, UTC)), (5, 16))


class DateTests(SynchronousTestCase):
    @given(st.floats(0, 250_000_000_000).map(Wall))
    def test_dates_are_moments_to_the_millisecond(self, now: Wall) -> None:
        self.assertLess(-1e-3, now - moment_of(date_of(now)))
        self.assertLess(now - moment_of(date_of(now)), 1.1e-3)

    def test_infinite_moment_is_the_latest_date(self) -> None:
        for far in (float("inf"), 1e30):
            self.assertEqual(date_of(Wall(far)), LATEST)
        self.assertEqual(date_of(EPOCH), "1970-01-01T00:00:00.000Z")
