"""Test that stored times survive changes of the system clock."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.files import KEEP_PARTS
from chatproto.directory.classic_registration import ClassicRegistration, Origin
from chatproto.net import rebase as module
from chatproto.net.clock import Wall
from chatproto.net.rebase import OFF_COUNTS, Seen, Shift, rebase
from chatproto.rooms.policy import FOREVER, BanRecord, RoomPolicy
from chatproto.session.delivery import OUTBOX_AGE, Delivery
from chatproto.session.ledger import DELIVERED, MSG, StreamEntry
from chatproto.stores.sqlite import SqliteStore
from chatproto.stores.sqlite_ledger import SqliteLedger
from chatproto.transfer.offer import FileOffer
from chatproto.transfer.records import Record, Records
from chatproto.transfer.state import TransferState
from tests.contracts.names import key
from tests.limits import DEFAULTS

NOW = 1_800_000_000.0
YEAR = 365 * 86400.0


class RebaseTests(SynchronousTestCase):
    @given(st.floats(-1e9, 1e9), st.floats(0, 1e7))
    def test_on_the_same_boot_the_time_off_is_known(self, jump: float, off: float) -> None:
        shift = rebase(Seen(NOW, 5.0, "a"), NOW, Seen(NOW + jump + off, 5.0 + off, "a"))
        self.assertLess(abs(shift.ages - jump), 1.001)
        self.assertEqual(shift.ages, shift.dates)

    @given(st.floats(-1e9, 1e9))
    def test_on_another_boot_it_is_never_negative_and_bounded(self, off: float) -> None:
        shift = rebase(Seen(NOW, 5.0, "a"), NOW, Seen(NOW + off, 1.0, "b"))
        passed = off - shift.ages  # of what an age is reckoned with
        self.assertGreaterEqual(passed, -1e-3)
        self.assertLessEqual(passed, OFF_COUNTS + 1e-3)
        self.assertAlmostEqual(shift.dates, min(0.0, off), 3)

    def test_expiry_ages_exceed_the_largest_shift(self) -> None:
        for age in (DEFAULTS.keep_names, DEFAULTS.keep_rooms, DEFAULTS.room_history_age):
            self.assertGreater(age, OFF_COUNTS)

    def test_a_store_of_an_older_program_is_not_of_the_future(self) -> None:
        self.assertEqual(rebase(None, NOW, Seen(NOW - YEAR, 0, "")), Shift(-YEAR, -YEAR))
        self.assertEqual(rebase(None, NOW, Seen(NOW + YEAR, 0, "")), Shift())

    @given(st.text())
    def test_invalid_note_is_ignored(self, text: str) -> None:
        self.assertIsInstance(Seen.read(text), Seen | None)

    def test_a_note_is_read_as_it_was_written(self) -> None:
        now = Seen.now(NOW)
        self.assertEqual(Seen.read(now.text()), now)


def boot(case: SynchronousTestCase, id: str) -> None:
    """Have the machine of `case` started anew, under another `id`."""
    path = Path(case.mktemp())
    path.write_text(id)
    case.patch(module, "BOOT", path)


class StoreTests(SynchronousTestCase):
    """A server that is ended, and started again with another clock."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        boot(self, "one")
        self.up = 100.0
        self.patch(module, "elapsed", lambda: self.up)

    def open(self, now: float) -> SqliteStore:
        return SqliteStore(self.path, "key", now=lambda: now)

    def fill(self, now: float) -> None:
        store = self.open(now)
        store.names.keep("alice", key(1), now)
        source = Origin("192.0.2.1", 1, False, alive=False)
        store.registry.keep(ClassicRegistration("carol", "192.0.2.1", 3000, source), now)
        both = (BanRecord("id", "eve", now + 600.0), BanRecord("id", "mal", FOREVER))
        bans = {(ban.kind, ban.value): ban for ban in both}
        store.rooms.keep(
            RoomPolicy("#tea", key(1), used=now, mutes={key(2): now + 60.0}, bans=bans)
        )
        store.rooms.append("#tea", "alice", now, "hello")
        store.rooms.settle()
        store.close()

    def ages(self, now: float) -> tuple[float, ...]:
        """Return the age or rest of each stored time, for a program started at `now`."""
        store = self.open(now)
        [room] = store.rooms.rooms()
        [line] = store.rooms.page("#tea", None, None, 9, 10**6).lines
        db = sqlite3.connect(self.path)
        [(used,)] = db.execute("SELECT used FROM names").fetchall()
        db.close()
        moments = used, store.registry.heard_at("carol"), room.used, line.at
        ends = room.bans["id", "eve"].until, room.mutes[key(2)]
        self.assertEqual(room.bans["id", "mal"].until, FOREVER)
        store.close()
        return tuple(round(one - now, 3) for one in (*moments, *ends))

    def test_a_clock_that_was_set_changes_no_age(self) -> None:
        for jump in (YEAR, -YEAR, 600.0, -600.0, 0.0):
            self.path = Path(self.mktemp())
            self.fill(NOW)
            self.up += 10.0
            found = self.ages(NOW + jump + 10.0)
            self.assertEqual(found, (-10.0, -10.0, -10.0, -10.0, 590.0, 50.0), jump)

    def test_a_machine_that_starts_in_the_past_frees_nothing_and_keeps_nothing_for_ever(
        self,
    ) -> None:
        self.fill(NOW)
        boot(self, "two")
        self.assertEqual(self.ages(0.0), (0.0, 0.0, 0.0, 0.0, 600.0, 60.0))

    def test_a_machine_that_starts_in_a_year_frees_no_id_at_once(self) -> None:
        self.fill(NOW)
        boot(self, "two")
        used = self.ages(NOW + YEAR)[0]
        self.assertEqual(used, -OFF_COUNTS)

    def test_twice_is_once(self) -> None:
        self.fill(NOW)
        first = self.ages(NOW - YEAR)
        self.assertEqual(self.ages(NOW - YEAR), first)

    def test_a_file_of_an_older_program_opens(self) -> None:
        self.fill(NOW)
        db = sqlite3.connect(self.path)
        db.execute("DELETE FROM meta WHERE name = 'seen'")
        db.commit()
        db.close()
        self.assertEqual(self.ages(NOW + 5.0)[0], -5.0)


class LedgerTests(SynchronousTestCase):
    """The outbox of a client that is started again with another clock."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        boot(self, "one")
        self.up = 100.0
        self.patch(module, "elapsed", lambda: self.up)

    def open(self, now: float) -> SqliteLedger:
        return SqliteLedger(self.path, now=lambda: now)

    def say(self, now: float, date: float | None = None) -> None:
        """Queue a message in a program whose time is `now`, dated `date`."""
        ledger = self.open(now)
        ledger.begin("key", "stream")
        ledger.add("key", "bob", StreamEntry(1, MSG, Wall(now if date is None else date), "hello"))
        ledger.close()

    def age(self, now: float) -> float:
        """Return the time that the message has been queued, for a program started at `now`."""
        ledger = self.open(now)
        [entry] = ledger.entries("key")
        ledger.close()
        return round(now - float(entry.at) - entry.moved, 3)

    def given_up(self, now: float) -> bool:
        ledger = self.open(now)
        delivery = Delivery(ledger, "key", "bob", True, lambda: "stream", DEFAULTS)
        outcomes = delivery.expire(Wall(now))
        ledger.close()
        return bool(outcomes)

    def test_a_clock_that_was_set_gives_no_message_up_and_keeps_none_for_ever(self) -> None:
        for jump in (YEAR, -YEAR, 600.0, -600.0, 0.0):
            self.path = Path(self.mktemp())
            self.say(NOW)
            self.up += 10.0
            self.assertEqual(self.age(NOW + jump + 10.0), 10.0, jump)
            self.assertFalse(self.given_up(NOW + jump + 10.0), jump)
            self.up += OUTBOX_AGE
            self.assertTrue(self.given_up(NOW + jump + 10.0 + OUTBOX_AGE), jump)

    def test_dates_of_messages_are_not_shifted(self) -> None:
        self.say(NOW)
        ledger = self.open(NOW + YEAR)
        self.assertEqual(ledger.entries("key")[0].at, Wall(NOW))
        ledger.close()

    def test_message_with_a_wrong_date_ages_from_its_storage(self) -> None:
        for wrong in (YEAR, -YEAR):
            self.path = Path(self.mktemp())
            self.say(NOW, NOW + wrong)
            self.up += 10.0
            self.assertEqual(self.age(NOW + 10.0), 10.0)

    def test_a_clock_that_is_wrong_for_a_while_gives_nothing_up_in_the_same_program(self) -> None:
        for wrong in (YEAR, -YEAR):
            self.path = Path(self.mktemp())
            ledger = self.open(NOW)
            delivery = Delivery(ledger, "key", "bob", True, lambda: "stream", DEFAULTS)
            delivery.say(MSG, "hello", Wall(NOW + wrong))
            self.assertEqual(delivery.expire(Wall(NOW + 10.0)), [])
            self.assertEqual(len(delivery.expire(Wall(NOW + OUTBOX_AGE + 1.0))), 1)
            ledger.close()

    def test_a_machine_that_starts_in_a_year_gives_up_nothing(self) -> None:
        self.say(NOW)
        boot(self, "two")
        self.assertEqual(self.age(NOW + YEAR), OFF_COUNTS)
        self.assertFalse(self.given_up(NOW + YEAR))

    def test_entry_of_an_older_program_is_not_queued_in_the_future(self) -> None:
        self.say(NOW)
        db = sqlite3.connect(self.path)
        db.execute("DROP TABLE moved")
        db.execute("DROP TABLE seen")
        db.execute("UPDATE outbox SET at = at + ?", (YEAR,))
        db.commit()
        db.close()
        self.assertEqual(self.age(NOW), 0.0)
        self.up += 10.0
        self.assertEqual(self.age(NOW + 10.0), 10.0)

    def test_settled_messages_leave_nothing_to_move(self) -> None:
        self.say(NOW, NOW + YEAR)
        ledger = self.open(NOW)
        ledger.settle("key", (1,), DELIVERED)
        ledger.close()
        self.open(NOW).close()
        db = sqlite3.connect(self.path)
        self.assertEqual(db.execute("SELECT count(*) FROM moved").fetchall(), [(0,)])
        self.assertEqual(db.execute("PRAGMA user_version").fetchall(), [(1,)])
        db.close()


class PartTests(SynchronousTestCase):
    """Parts of files whose transfer was given up."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        boot(self, "one")
        self.up = 100.0
        self.patch(module, "elapsed", lambda: self.up)

    def start(self, now: float) -> Records:
        records = Records(self.folder)
        records.rebase(now)
        return records

    def kept(self, now: float) -> bool:
        """Return True if a program that starts at `now` keeps the part."""
        return bool(self.start(now).sweep(now, KEEP_PARTS))

    def test_a_clock_that_was_set_removes_no_part_and_keeps_none_for_ever(self) -> None:
        offer = FileOffer("a", 10, "2026-01-01T00:00:00Z", "file")
        for jump in (YEAR, -YEAR, 0.0):
            self.folder = Path(self.mktemp())
            self.start(NOW).save(Record("key", False, 1, TransferState.CANCELLED, offer, NOW))
            self.up += 10.0
            self.assertTrue(self.kept(NOW + jump + 10.0), jump)
            self.up += KEEP_PARTS
            self.assertFalse(self.kept(NOW + jump + 10.0 + KEEP_PARTS), jump)
            self.assertEqual(list(self.folder.iterdir()), [])
