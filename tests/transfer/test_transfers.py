"""Files between two ends: whole, resumed, told; each in memory but for the disk."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from chatproto.client.files import KEEP_PARTS
from chatproto.transfer import sinks
from chatproto.transfer.rates import byte_rate
from chatproto.transfer.records import Record
from chatproto.transfer.sending import BATCH
from chatproto.transfer.state import TransferState
from chatproto.transfer.transfer import Transfer
from chatproto.transfer.transfers import OFFER_WAIT, OFFERS, OFFERS_BYTES, UNWRITTEN
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import Cancel, Data, Done, Offer, OfferAck
from chatproto.wire.errors import LocalError
from tests.limits import DEFAULTS
from tests.transfer.ends import End, Pair, shown

CHUNK = DEFAULTS.chunk


def noise(size: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(size)


def speed(transfer: Transfer) -> tuple[float, float | None]:
    """Bytes a second, and the seconds left."""
    return transfer.progress.rate, transfer.progress.left(transfer.offer.size)


class Killed(BaseException):
    """The program ended in the middle of its work."""


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        self.pair = Pair(self.folder)
        self.a, self.b = self.pair.a, self.pair.b

    def file(self, name: str, data: bytes) -> Path:
        path = self.folder / "src" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    def assert_whole(self, **files: bytes) -> None:
        self.assertEqual(self.b.landed, {name: shown(data) for name, data in files.items()})
        self.assertEqual(self.b.states[-1], TransferState.DONE)
        self.assertEqual(self.a.states[-1], TransferState.DONE)
        self.assertEqual(list((self.a.home / "transfers").glob("*")), [])

    def until(self, count: int) -> None:
        """Go on until `count` pieces have been sent."""
        while sum(isinstance(message, Data) for message in self.pair.seen) < count:
            self.assertTrue(self.pair.step())


class WholeTests(Case):
    """Transfers without a fault."""

    def test_a_file(self) -> None:
        data = noise(5 * CHUNK + 17)
        self.pair.connect()
        self.a.offer(self.file("a", data))
        self.pair.run()
        self.assert_whole(a=data)
        self.assertEqual(self.pair.kinds(), ["OFFER", "OFFERACK", "DATA", "DONE", "DONEACK"])
        S = TransferState
        self.assertEqual(
            self.a.states, [S.QUEUED, S.OFFERED, S.CHECKING, S.MOVING, S.VERIFYING, S.DONE]
        )
        self.assertEqual(
            self.b.states, [S.OFFERED, S.QUEUED, S.CHECKING, S.MOVING, S.VERIFYING, S.DONE]
        )
        self.assertEqual(self.b.last.path, str(self.b.downloads / "a"))
        mode = (self.b.downloads / "a").stat().st_mode & 0o777
        self.assertEqual(mode, 0o600)

    def test_an_empty_file(self) -> None:
        self.pair.connect()
        self.a.offer(self.file("a", b""))
        self.pair.run()
        self.assert_whole(a=b"")

    def test_a_folder(self) -> None:
        files = {
            "b/empty": b"", "a": noise(10), "b/c/d": noise(3 * CHUNK, 2), "b/e": b"x", "z": b"", "zz": b"",
        }  # fmt: skip
        for name, data in files.items():
            self.file(f"top/{name}", data)
        (self.folder / "src/top/link").symlink_to("/etc/passwd")
        (self.folder / "src/top/loop").symlink_to("..")
        os.mkfifo(self.folder / "src/top/pipe")
        self.pair.connect()
        self.a.offer(self.folder / "src/top")
        self.pair.run()
        self.assert_whole(**{f"top/{name}": data for name, data in files.items()})
        self.assertIn("without 3 links and devices", self.a.texts)

    def test_an_empty_folder(self) -> None:
        (self.folder / "src").mkdir()
        self.pair.connect()
        self.a.offer(self.folder / "src")
        self.pair.run()
        self.assert_whole()
        self.assertTrue((self.b.downloads / "src").is_dir())

    def test_a_name_that_is_taken_is_not_written_over(self) -> None:
        self.b.downloads.mkdir(parents=True)
        (self.b.downloads / "a.txt").write_bytes(b"mine")
        (self.b.downloads / "a (2).txt.part").symlink_to("/etc/passwd")
        self.pair.connect()
        self.a.offer(self.file("a.txt", b"theirs"))
        self.pair.run()
        self.assertEqual((self.b.downloads / "a.txt").read_bytes(), b"mine")
        self.assertEqual((self.b.downloads / "a (3).txt").read_bytes(), b"theirs")

    def test_a_name_that_is_taken_meanwhile_is_not_written_over(self) -> None:
        self.pair.connect()
        self.a.offer(self.file("a.txt", noise(4 * BATCH)))
        self.until(3)
        (self.b.downloads / "a.txt").write_bytes(b"mine")
        self.pair.run()
        self.assertEqual((self.b.downloads / "a.txt").read_bytes(), b"mine")
        self.assertEqual(
            shown((self.b.downloads / "a (2).txt").read_bytes()), shown(noise(4 * BATCH))
        )

    def test_both_ways_at_once_with_the_same_number(self) -> None:
        one, two = noise(9 * CHUNK, 1), noise(9 * CHUNK, 2)
        self.pair.connect()
        self.a.offer(self.file("a", one))
        self.b.offer(self.file("b", two))
        for _ in range(3):
            self.pair.step()
        ids = {message.id for message in self.pair.seen if isinstance(message, Offer)}
        self.assertEqual(len(ids), 1)
        self.a.transfers.accept(2, self.a.now)
        self.pair.run()
        self.assertEqual((self.a.landed, self.b.landed), ({"b": shown(two)}, {"a": shown(one)}))

    def test_eight_of_many_files_move_fairly(self) -> None:
        size = 4 * CHUNK
        for number in range(40):
            self.file(f"f{number:02}", noise(size, number))
        self.pair.connect()
        self.a.offer(*sorted((self.folder / "src").iterdir()))
        most = 0
        while self.pair.step():
            moving = [n for n in self.b.transfers.listing(0.0) if n.state is TransferState.MOVING]
            most = max(most, len(moving))
            unanswered = [
                n for n in self.b.transfers.listing(0.0) if n.state is TransferState.OFFERED
            ]
            self.assertLessEqual(len(unanswered), OFFERS)
        self.assertEqual(most, 8)
        self.assertEqual(self.b.landed, {f"f{n:02}": shown(noise(size, n)) for n in range(40)})

    def test_several_are_offered_in_the_order_in_which_they_were_named(self) -> None:
        names = [f"{number * 7 % 20}" for number in range(20)]
        for seed in range(5):
            pair = Pair(self.folder / f"{seed}", chance=random.Random(seed))
            pair.connect()
            pair.a.offer(*(self.file(name, b"x") for name in names[:10]))
            pair.a.transfers.offer([self.folder / "nowhere"], pair.a.now)
            pair.a.offer(*(self.file(name, b"x") for name in names[10:]))
            pair.run()
            offered = [message.name for message in pair.seen if isinstance(message, Offer)]
            self.assertEqual(offered, names)

    def test_offer_is_sent_after_its_record_is_stored(self) -> None:
        self.pair.connect()
        self.a.transfers.offer([self.file("a", b"x")], self.a.now)
        while not self.a.records.load():
            self.assertIsNone(self.a.pull())
            self.assertTrue(self.a.work.step())
        self.a.settle()
        self.assertIsInstance(self.a.pull(), Offer)

    def test_file_is_whole_wherever_the_receiver_is_killed_at_its_end(self) -> None:
        for where, there in (
            ("before its name", ["a.part"]),
            ("with both names", ["a", "a.part"]),
            ("after its name", ["a"]),
            ("after its record", ["a"]),
        ):
            self.setUp()
            self.pair.connect()
            self.a.offer(self.file("a", noise(3 * CHUNK)))
            with self.killed(where), self.assertRaises(Killed):
                self.pair.run()
            self.assertEqual(sorted(self.b.landed), there)
            self.assertNotIn("DONEACK", self.pair.kinds())
            known = self.b.records.load()[0].state is TransferState.DONE
            self.assertEqual(known, where == "after its record")
            self.b.start()
            self.a.transfers.lost()
            self.pair.connect()
            self.pair.run()
            self.assertEqual(self.b.landed, {"a": shown(noise(3 * CHUNK))})
            self.assertIs(self.a.states[-1], TransferState.DONE)

    @contextmanager
    def killed(self, where: str) -> Iterator[None]:
        """Kill the receiver at one place of the work that gives a file its name."""
        save, link = self.b.records.save, sinks._link

        def save_or_die(record: Record) -> None:
            if (where, record.state) in {
                ("before its name", TransferState.VERIFYING),
                ("after its name", TransferState.DONE),
            }:
                raise Killed
            save(record)
            if (where, record.state) == ("after its record", TransferState.DONE):
                raise Killed

        def link_or_die(part: Path, final: Path) -> None:
            if where != "with both names":
                link(part, final)
                return
            os.link(part, final)
            raise Killed

        with (
            mock.patch.object(self.b.records, "save", save_or_die),
            mock.patch.object(sinks, "_link", link_or_die),
        ):
            yield

    def test_files_of_a_folder_are_sent_in_the_order_of_names(self) -> None:
        wanted = ["A", "B/a", "B/b", "Z", "c", "d/x", "d/y", "d.c/x", "é"]
        for name in random.Random(1).sample(wanted, len(wanted)):
            self.file(f"top/{name}", b"x")
        self.pair.connect()
        self.a.offer(self.folder / "src/top")
        self.pair.run()
        (offer,) = [message for message in self.pair.seen if isinstance(message, Offer)]
        self.assertEqual([path for _, path in offer.files], wanted)


class ResumeTests(Case):
    """Transfers with every fault."""

    def sent(self) -> int:
        return sum(len(message.data) for message in self.pair.seen if isinstance(message, Data))

    def test_file_resumes_after_a_cut(self) -> None:
        data = noise(60 * CHUNK)
        self.pair.connect()
        self.a.offer(self.file("a", data))
        for count in (10, 30, 50):
            self.until(count)
            self.b.settle()
            self.pair.cut()
            self.assertEqual(self.a.states[-1], TransferState.BROKEN)
            self.a.settle()
            self.b.settle()
            self.pair.connect()
        self.pair.run()
        self.assert_whole(a=data)
        self.assertLess(self.sent(), len(data) + 6 * CHUNK)
        self.assertEqual(self.b.states.count(TransferState.OFFERED), 1)

    def test_file_arrives_whole_despite_cuts_and_kills(self) -> None:
        """At any moment, with any work half done, either program or the connection between them."""
        data = {
            "big": noise(23 * CHUNK + 5),
            "d/x": b"",
            "d/y": noise(100),
            "d/z": noise(9 * CHUNK, 3),
        }
        for seed in range(60):
            chance = random.Random(seed)
            pair = Pair(self.folder / str(seed), chance=chance)
            self.a, self.b = pair.a, pair.b
            source = self.folder / "source"
            for name, content in data.items():
                (source / name).parent.mkdir(parents=True, exist_ok=True)
                (source / name).write_bytes(content)
            pair.connect()
            self.a.offer(source / "big", source / "d")
            for _ in range(chance.randrange(1, 5)):
                for _ in range(chance.randrange(60)):
                    pair.step()
                what = chance.randrange(4)
                for end in (self.a, self.b):
                    for _ in range(chance.randrange(3)):
                        end.work.step()
                pair.cut()
                if what in (1, 3):
                    self.a.start()
                if what in (2, 3):
                    self.b.start()
                pair.connect()
            pair.run()
            self.assertEqual(self.b.landed, {n: shown(d) for n, d in data.items()}, seed)
            self.assertEqual(sorted(path.name for path in self.b.downloads.iterdir()), ["big", "d"])
            self.assertEqual(list((self.a.home / "transfers").glob("*")), [], seed)
            for end in (self.a, self.b):
                self.assertEqual(end.transfers.listing(0.0), [], f"{seed}: still waited for")

    def test_different_part_is_not_resumed(self) -> None:
        data = noise(20 * CHUNK)
        self.pair.connect()
        self.a.offer(self.file("a", data))
        self.until(10)
        self.b.settle()
        self.pair.cut()
        self.b.settle()
        with (self.b.downloads / "a.part").open("r+b") as part:
            part.seek(100)
            part.write(b"something else")
        self.b.start()
        self.pair.connect()
        self.pair.run()
        self.assert_whole(a=data)
        self.assertIn("the peer's part differs, sending from the beginning", self.a.texts)

    def test_changed_or_missing_part_is_handled(self) -> None:
        for change in (lambda p: p.write_bytes(noise(99 * CHUNK)), lambda p: p.unlink()):
            pair = self.pair = Pair(self.folder / f"{change}")
            self.a, self.b = pair.a, pair.b
            data = noise(20 * CHUNK)
            pair.connect()
            self.a.offer(self.file("a", data))
            self.until(10)
            self.b.settle()
            pair.cut()
            self.b.settle()
            change(self.b.downloads / "a.part")
            pair.connect()
            pair.run()
            self.assert_whole(a=data)

    def test_stored_but_unacknowledged_file_is_not_sent_twice(self) -> None:
        for lost in range(1, 6):
            pair = self.pair = Pair(self.folder / f"{lost}")
            self.a, self.b = pair.a, pair.b
            pair.connect()
            self.a.offer(self.file("a", noise(3 * CHUNK)))
            while not any(isinstance(message, Done) for message in pair.seen):
                pair.step()
            for _ in range(lost):
                self.b.work.step()
            self.b.start()
            self.a.transfers.lost()
            pair.connect()
            pair.run()
            self.assert_whole(a=noise(3 * CHUNK))

    def test_changed_file_is_restarted_with_a_notice(self) -> None:
        path = self.file("a", noise(60 * CHUNK))
        self.pair.connect()
        self.a.offer(path)
        self.until(12)
        path.write_bytes(noise(40 * CHUNK, 2))
        self.pair.run()
        self.assert_whole(a=noise(40 * CHUNK, 2))
        self.assertIn("the file has changed, sending it again", self.a.texts)
        self.assertIn("changed by the sender, starting again", self.b.texts)

    def test_grown_file_resumes(self) -> None:
        path = self.file("a", noise(60 * CHUNK))
        self.pair.connect()
        self.a.offer(path)
        self.until(20)
        with path.open("ab") as file:
            file.write(b"more")
        self.pair.run()
        self.assert_whole(a=noise(60 * CHUNK) + b"more")
        self.assertLess(self.sent(), 62 * CHUNK)

    def test_file_changed_while_disconnected_is_restarted(self) -> None:
        path = self.file("a", noise(30 * CHUNK))
        self.pair.connect()
        self.a.offer(path)
        self.until(12)
        self.pair.cut()
        path.write_bytes(b"short")
        self.a.start()
        self.pair.connect()
        self.pair.run()
        self.assert_whole(a=b"short")

    def test_a_folder_that_changed_leaves_nothing_of_before(self) -> None:
        self.file("d/a", noise(20 * CHUNK))
        self.file("d/b", noise(60 * CHUNK, 2))
        self.pair.connect()
        self.a.offer(self.folder / "src/d")
        self.until(25)
        (self.folder / "src/d/a").unlink()
        self.file("d/b", noise(CHUNK, 3))
        self.file("d/c", b"new")
        self.pair.run()
        self.assert_whole(**{"d/b": noise(CHUNK, 3), "d/c": b"new"})

    def test_a_file_that_keeps_changing_is_given_up(self) -> None:
        path = self.file("a", noise(60 * CHUNK))
        self.pair.connect()
        self.a.offer(path)
        for round in range(4):
            self.until(20 + 24 * round)
            path.write_bytes(noise(60 * CHUNK, round + 2))
        self.pair.run()
        self.assertEqual(self.a.states[-1], TransferState.FAILED)
        self.assertEqual(self.b.states[-1], TransferState.CANCELLED)
        self.assertIn("a keeps changing: send it when nothing writes to it", self.a.texts)

    def test_missing_source_is_reported_and_resumes_when_back(self) -> None:
        path = self.file("a", noise(30 * CHUNK))
        self.pair.connect()
        self.a.offer(path)
        self.until(20)
        self.b.settle()
        self.pair.cut()
        path.rename(path.with_name("elsewhere"))
        self.pair.connect()
        self.pair.run()
        self.assertEqual(
            (self.a.states[-1], self.b.states[-1]), (TransferState.FAILED, TransferState.CANCELLED)
        )
        self.assertTrue(any("cannot read" in text for text in self.a.texts))
        path.with_name("elsewhere").rename(path)
        self.b.start()
        self.pair.connect()
        self.a.offer(path)
        before = self.sent()
        self.pair.run()
        self.assert_whole(a=noise(30 * CHUNK))
        self.assertLess(self.sent() - before, 15 * CHUNK)


class HashTests(Case):
    """Transfers of damaged data."""

    def run_spoiled(self, times: int) -> None:
        """Send a file, with a piece of it wrong in each of the first `times` tries."""
        data = noise(5 * CHUNK)
        self.pair.connect()
        self.a.offer(self.file("a", data))
        hear = self.b.hear
        spoiled = list[int]()

        def hear_spoiled(message: object) -> None:
            if isinstance(message, Data) and message.offset == CHUNK and len(spoiled) < times:
                spoiled.append(1)
                message = replace(message, data=b"?" * len(message.data))
            hear(message)  # type: ignore[arg-type]

        self.b.hear = hear_spoiled  # type: ignore[method-assign]
        self.pair.run()

    def test_file_with_a_wrong_hash_is_sent_once_more(self) -> None:
        self.run_spoiled(1)
        self.assert_whole(a=noise(5 * CHUNK))
        self.assertIn("the data arrived damaged, sending it again", self.a.texts)
        self.assertIn("the data arrived damaged, receiving it again", self.b.texts)

    def test_twice_is_the_end_and_nothing_is_left(self) -> None:
        self.run_spoiled(2)
        self.assertEqual(
            (self.a.states[-1], self.b.states[-1]), (TransferState.FAILED, TransferState.FAILED)
        )
        self.assertEqual(self.b.landed, {})
        for end in (self.a, self.b):
            self.assertEqual(list((end.home / "transfers").glob("*")), [])
            self.assertIn(
                "the data arrived damaged twice: check both disks, then send it again", end.texts
            )


class RefusedTests(Case):
    """Transfers that are declined or impossible."""

    def setUp(self) -> None:
        super().setUp()
        self.pair.accept = False

    def offered(self, size: int = 30 * CHUNK) -> None:
        self.pair.connect()
        self.a.offer(self.file("a", noise(size)))
        self.pair.run()

    def test_declined(self) -> None:
        self.offered()
        self.b.transfers.decline(1)
        self.pair.run()
        self.assertEqual(
            (self.a.states[-1], self.b.states[-1]), (TransferState.DECLINED, TransferState.DECLINED)
        )
        self.assertFalse(self.b.downloads.exists())
        self.assertEqual(self.a.records.load(), [])

    def test_cancelled_by_either_at_any_time_and_the_part_stays_a_week(self) -> None:
        for who in "ab":
            for count in (0, 1, 10):
                pair = self.pair = Pair(self.folder / f"{who}{count}", accept=bool(count))
                self.a, self.b = pair.a, pair.b
                self.offered_to(count)
                end = self.a if who == "a" else self.b
                end.transfers.cancel(1, end.now)
                pair.run()
                self.assertEqual(
                    (self.a.states[-1], self.b.states[-1]),
                    (TransferState.CANCELLED, TransferState.CANCELLED),
                )
                self.assertRaises(LocalError, end.transfers.cancel, 1, end.now)
                if count:
                    self.assertEqual(list(self.b.landed), ["a.part"])
                    self.b.records.sweep(self.b.now + 7 * 86400 - 1, KEEP_PARTS)
                    self.assertEqual(list(self.b.landed), ["a.part"])
                    self.b.records.sweep(self.b.now + 7 * 86400 + 1, KEEP_PARTS)
                self.assertEqual(self.b.landed, {})
                self.assertEqual(
                    [r for r in self.b.records.load() if r.state is not TransferState.CANCELLED], []
                )

    def test_unanswered_offer_is_cancelled(self) -> None:
        self.pair = Pair(self.folder / "unanswered", accept=False)
        self.a, self.b = self.pair.a, self.pair.b
        self.offered_to(0)
        self.assertEqual(self.b.states[-1], TransferState.OFFERED)
        self.a.transfers.give_up_unanswered(self.a.now + OFFER_WAIT - 1)
        self.assertEqual(self.a.states[-1], TransferState.OFFERED)
        self.a.transfers.give_up_unanswered(self.a.now + OFFER_WAIT + 1)
        self.pair.run()
        self.assertEqual((self.a.states[-1], self.b.states[-1]), (TransferState.CANCELLED,) * 2)

    def test_one_that_is_answered_is_not(self) -> None:
        self.pair = Pair(self.folder / "answered", accept=True)
        self.a, self.b = self.pair.a, self.pair.b
        self.offered_to(1)
        self.a.transfers.give_up_unanswered(self.a.now + OFFER_WAIT + 1)
        self.assertNotIn(TransferState.CANCELLED, self.a.states)

    def offered_to(self, count: int) -> None:
        self.pair.connect()
        self.a.offer(self.file("a", noise(30 * CHUNK)))
        if not count:
            self.pair.run()
        self.until(count)

    def test_cancel_while_disconnected_is_sent_later(self) -> None:
        for who in "ab":
            pair = self.pair = Pair(self.folder / who)
            self.a, self.b = pair.a, pair.b
            self.offered_to(5)
            pair.cut()
            end = self.a if who == "a" else self.b
            end.transfers.cancel(1, end.now)
            end.settle()
            end.start()
            pair.connect()
            pair.run()
            for one in (self.a, self.b):
                self.assertEqual(one.transfers.listing(0.0), [], who)
            self.assertEqual(self.a.records.load(), [])

    def test_accept_while_disconnected_is_sent_later(self) -> None:
        self.offered()
        self.pair.cut()
        self.b.transfers.accept(1, self.b.now)
        self.b.settle()
        self.b.start()
        self.pair.connect()
        self.pair.run()
        self.assert_whole(a=noise(30 * CHUNK))

    def test_one_file_is_received_into_a_folder_of_its_own(self) -> None:
        self.offered()
        there = self.folder / "elsewhere" / "new"
        self.b.transfers.accept(1, self.b.now, there)
        self.until(20)
        self.pair.cut()
        with self.assertRaises(LocalError):
            self.b.transfers.accept(1, self.b.now, self.folder / "third")
        self.b.settle()
        self.b.start()  # anew, from the record
        self.pair.connect()
        self.pair.run()
        self.assertEqual((there / "a").read_bytes(), noise(30 * CHUNK))
        self.assertEqual(self.b.landed, {})

    def test_chosen_folder_gets_safe_names_without_overwriting(self) -> None:
        self.pair.connect()
        there = self.folder / "elsewhere"
        there.mkdir()
        (there / "x").write_bytes(b"mine")
        self.b.hear(Offer(1, "../x", 4, "2026-01-01T00:00:00Z", "a/b"))
        self.b.transfers.accept(1, 0.0, there)
        self.b.settle()
        self.assertEqual(sorted(path.name for path in there.iterdir()), ["x", "x (2).part"])
        self.assertEqual((there / "x").read_bytes(), b"mine")
        self.assertFalse((self.folder / "x").exists())

    def test_a_part_in_another_folder_is_no_use_where_one_is_given(self) -> None:
        self.offered()
        self.b.transfers.accept(1, self.b.now)
        self.until(20)
        self.b.transfers.cancel(1, self.b.now)
        self.pair.run()
        self.a.offer(self.folder / "src/a")
        self.pair.run()
        there = self.folder / "elsewhere"
        self.b.transfers.accept(2, self.b.now, there)
        self.pair.run()
        self.assertEqual((there / "a").read_bytes(), noise(30 * CHUNK))

    def test_missing_paths_and_non_files_are_reported(self) -> None:
        os.mkfifo(self.folder / "pipe")
        self.pair.connect()
        self.a.offer(self.folder / "nothing", self.folder / "pipe")
        self.assertEqual([news.state for news in self.a.told], [None, None])
        self.assertIn("No such file", self.a.texts[0])
        self.assertIn("neither a file nor a folder", self.a.texts[1])
        self.assertIsNone(self.a.pull())

    def test_a_file_that_is_being_sent_is_not_sent_twice(self) -> None:
        self.offered()
        self.a.offer(self.folder / "src/a")
        self.assertEqual(len(self.a.transfers.listing(0.0)), 1)
        self.assertIn("a is being sent already, as transfer 1", self.a.texts)

    def test_missing_disk_space_is_reported_and_accept_can_be_repeated(self) -> None:
        self.pair.connect()
        self.b.hear(Offer(5, "huge", 2**53, "2026-01-01T00:00:00Z", "a/b"))
        self.b.transfers.accept(1, 0.0)
        self.b.settle()
        self.assertEqual(self.b.pull(), Error(503, about="OFFER", id=5))
        self.assertEqual(self.b.states[-1], TransferState.STALLED)
        self.assertIn("huge needs 9,007,199,254,740,992 bytes and", self.b.texts[-1])
        self.assertEqual(list(self.b.downloads.iterdir()), [])
        self.b.transfers.accept(1, 0.0)
        self.b.settle()
        self.assertEqual(self.b.pull(), Error(503, about="OFFER", id=5))

    def test_a_folder_that_cannot_be_written_stalls_both_until_it_can(self) -> None:
        self.offered()
        self.b.home.mkdir(parents=True, exist_ok=True)
        self.b.downloads.write_bytes(b"a file")
        self.b.transfers.accept(1, 0.0)
        self.pair.run()
        self.assertEqual(
            (self.a.states[-1], self.b.states[-1]), (TransferState.STALLED, TransferState.STALLED)
        )
        self.assertIn("cannot write", self.b.texts[-1])
        self.b.downloads.unlink()
        self.b.transfers.accept(1, 0.0)
        self.pair.run()
        self.assert_whole(a=noise(30 * CHUNK))

    def test_another_folder_may_be_chosen_while_nothing_is_on_the_disk(self) -> None:
        full = mock.patch("shutil.disk_usage", lambda _: mock.Mock(free=10))
        refused = mock.patch.object(sinks, "NEW", os.O_RDONLY | os.O_DIRECTORY)
        for trouble, why in ((full, "10 left"), (refused, "cannot write")):
            self.setUp()
            self.offered()
            with trouble:
                self.b.transfers.accept(1, 0.0)
                self.pair.run()
            self.assertIs(self.b.states[-1], TransferState.STALLED)
            self.assertIn(why, self.b.texts[-1])
            self.assertEqual(self.b.landed, {})
            other = self.folder / "other"
            self.b.transfers.accept(1, 0.0, other)
            self.pair.run()
            self.assertEqual((other / "a").read_bytes(), noise(30 * CHUNK))

    def test_too_many_offers_are_refused(self) -> None:
        self.pair.connect()
        for id in range(1, OFFERS + 2):
            self.b.hear(Offer(id, "a", 1, "2026-01-01T00:00:00Z", "a/b"))
        self.assertEqual(self.b.pull(), Error(429, about="OFFER", id=OFFERS + 1))
        self.assertEqual(len(self.b.transfers.listing(0.0)), OFFERS)

    def test_an_offer_that_does_not_add_up_is_malformed(self) -> None:
        self.pair.connect()
        date = "2026-01-01T00:00:00Z"
        self.b.hear(Offer(1, "a", 1, date, "folder", ((2, "x"),)))
        self.b.hear(Offer(2, "a", 2, date, "a/b", ((2, "x"),)))
        for id in (1, 2):
            self.assertEqual(self.b.pull(), Error(400, about="OFFER", id=id))


class StrangeTests(Case):
    """Messages of a hostile or confused peer."""

    def taken(self, size: int = 10) -> End:
        self.pair.connect()
        self.b.hear(Offer(1, "../x", size, "2026-01-01T00:00:00Z", "a/b"))
        self.b.transfers.accept(1, 0.0)
        self.b.settle()
        self.assertIsInstance(self.b.pull(), OfferAck)
        return self.b

    def test_more_than_was_offered_is_not_written(self) -> None:
        for message in (Data(1, 0, b"x" * 11), Data(1, 3, b"x"), Data(1, 2**53, b"x")):
            pair = self.pair = Pair(self.folder / f"{message.offset}{len(message.data)}")
            self.a, self.b = pair.a, pair.b
            b = self.taken()
            b.hear(message)
            b.settle()
            self.assertEqual(b.pull(), Error(400, about="DATA", id=1))
            self.assertEqual((b.landed, b.states[-1]), ({}, TransferState.FAILED))

    def test_done_before_the_end_is_no_end(self) -> None:
        b = self.taken()
        b.hear(Data(1, 0, b"12345"))
        b.hear(Done(1, hashlib.sha256(b"12345").hexdigest()))
        b.settle()
        self.assertEqual(b.pull(), Error(460, about="DONE", id=1))
        self.assertEqual(b.landed, {"x.part": b""})

    def test_messages_about_unknown_transfers_are_answered_or_ignored(self) -> None:
        b = self.taken()
        b.hear(Data(7, 0, b"x"))
        b.hear(Cancel(7))
        b.hear(Cancel(7, "OFFER"))
        self.assertIsNone(b.pull())
        b.hear(Done(7, "ab" * 32))
        b.hear(OfferAck(7, 0, "ab" * 32))
        self.assertEqual([b.pull(), b.pull()], [Error(400, about="DONE", id=7), Cancel(7)])
        self.assertFalse(b.transfers.message(Error(486, about="CHAT"), 0.0))
        self.assertFalse(b.transfers.message(Error(400), 0.0))

    def test_data_that_was_not_agreed_to_is_not_written(self) -> None:
        self.pair.connect()
        self.b.hear(Offer(1, "x", 5, "2026-01-01T00:00:00Z", "a/b"))
        self.b.hear(Data(1, 0, b"12345"))
        self.b.hear(Done(1, hashlib.sha256(b"12345").hexdigest()))
        self.b.settle()
        self.assertFalse(self.b.downloads.exists())

    def test_link_in_the_path_is_not_followed(self) -> None:
        outside = self.folder / "outside"
        outside.mkdir()
        self.file("d/sub/a", noise(20 * CHUNK))
        self.file("d/sub/b", b"b")
        self.pair.connect()
        self.a.offer(self.folder / "src/d")
        self.until(5)
        self.pair.cut()
        self.b.settle()
        sub = self.b.downloads / "d.part/sub"
        (sub / "a").rename(outside / "a")
        sub.rmdir()
        sub.symlink_to(outside)
        before = (outside / "a").read_bytes()
        self.pair.connect()
        self.pair.run()
        self.assertEqual(self.b.states[-1], TransferState.STALLED)
        self.assertEqual(
            {path.name: path.read_bytes() for path in outside.iterdir()}, {"a": before}
        )

    def test_a_peer_that_does_not_read_answers_is_not_read(self) -> None:
        self.pair.connect()
        for id in range(1, 70):
            self.b.hear(Done(id, "ab" * 32))
        self.assertTrue(self.b.held)
        while self.b.pull() is not None:
            pass
        self.assertFalse(self.b.held)


class PressureTests(Case):
    """Bounds on memory, and the order of transfers."""

    def test_a_slow_disk_holds_the_connection_and_not_more_in_memory(self) -> None:
        b = End(self.folder / "slow")
        b.transfers.resumed(0.0)
        size = 400 * CHUNK
        b.hear(Offer(1, "x", size, "2026-01-01T00:00:00Z", "a/b"))
        b.transfers.accept(1, 0.0)
        b.settle()
        at = 0
        while not b.held:
            b.hear(Data(1, at, bytes(CHUNK)))
            at += CHUNK
        self.assertEqual(at, UNWRITTEN + CHUNK)  # the first is being written
        b.work.step()
        self.assertFalse(b.held)

    def test_held_connection_resumes_once_half_is_written(self) -> None:
        b = End(self.folder / "slow")
        b.transfers.resumed(0.0)
        for id in (1, 2):
            b.hear(Offer(id, f"x{id}", 400 * CHUNK, "2026-01-01T00:00:00Z", "a/b"))
            b.transfers.accept(id, 0.0)
        b.settle()
        most = UNWRITTEN // CHUNK
        less = most // 2 - 2
        for id, pieces in ((1, less), (2, most - less)):
            for piece in range(1 + pieces):  # the first is being written
                b.hear(Data(id, piece * CHUNK, bytes(CHUNK)))
        self.assertTrue(b.held)
        b.work.step()
        self.assertTrue(b.held)  # more than half is left, of the second file
        b.work.step()
        self.assertFalse(b.held)

    def test_no_read_ahead_for_a_stuck_receiver(self) -> None:
        self.pair.connect()
        self.a.offer(self.file("a", noise(8 * BATCH)))
        self.until(1)
        self.a.settle()
        sending = next(iter(self.a.transfers._sending.values()))
        waiting = sum(map(len, sending._pieces))
        self.assertLessEqual(waiting, 2 * BATCH)
        self.assertGreater(waiting, 0)

    def test_transfers_take_turns_chunk_by_chunk_and_answers_go_first(self) -> None:
        self.pair.connect()
        self.a.offer(*(self.file(f"f{n}", noise(30 * CHUNK, n)) for n in range(4)))
        self.until(20)
        sent = [m.id for m in self.pair.seen if isinstance(m, Data)][-8:]
        self.assertEqual(sent[:4], sent[4:])
        self.assertEqual(len(set(sent)), 4)
        self.a.hear(Done(99, "ab" * 32))
        self.assertEqual(self.a.pull(), Error(400, about="DONE", id=99))

    def test_rate_limit_is_kept(self) -> None:
        a = self.pair.a = self.a = End(self.folder / "limited", limiter=byte_rate(2.0 * CHUNK))
        self.pair.connect()
        a.offer(self.file("a", noise(10 * CHUNK)))
        began = a.now
        while self.pair.step() or a.transfers.wait(a.now) is not None:
            a.now += a.transfers.wait(a.now) or 0.0
        self.assert_whole(a=noise(10 * CHUNK))
        self.assertAlmostEqual(a.now - began, 4.5, 1)

    def test_rate_is_reported_from_the_beginning(self) -> None:
        self.pair.connect()
        self.a.offer(self.file("a", noise(40 * CHUNK)))
        self.until(10)
        (news,) = self.a.transfers.listing(self.a.now + 1)
        self.assertEqual(speed(news), (10.0 * CHUNK, 3.0))

    def test_rate_is_reported(self) -> None:
        self.pair.connect()
        self.a.offer(self.file("a", noise(40 * CHUNK)))
        self.until(10)
        self.a.transfers.listing(100.0)
        self.until(20)
        (news,) = self.a.transfers.listing(102.0)
        self.assertEqual((news.offset, *speed(news)), (20 * CHUNK, 5.0 * CHUNK, 4.0))
        self.assertTrue(self.a.transfers.moving)


class LongListTests(Case):
    """Offers of folders with many files: a thread looks at them, and few of them may wait."""

    def setUp(self) -> None:
        super().setUp()
        self.pair = Pair(self.folder, accept=False)
        self.b = self.pair.b
        self.b.transfers.resumed(0.0)

    def offer(self, id: int, files: int = 9000, letters: int = 100) -> None:
        listed = tuple((1, f"{number:0{letters}}") for number in range(files))
        self.b.hear(Offer(id, f"folder {id}", files, "2025-01-02T02:04:05Z", "folder", listed))

    def refused(self) -> list[int]:
        found = list[int]()
        while (message := self.b.pull()) is not None:
            assert isinstance(message, Error), message
            found.append(message.status)
        return found

    def test_source_is_not_inspected_before_the_thread_is_done(self) -> None:
        self.offer(1)
        self.assertEqual((self.b.told, len(self.b.work.jobs)), ([], 1))
        self.b.settle()
        self.assertEqual(self.b.states, [TransferState.OFFERED])

    def test_cancelled_list_is_never_shown(self) -> None:
        self.offer(1)
        self.b.hear(Cancel(1))
        self.b.settle()
        self.assertEqual((self.b.told, self.b.transfers.waiting_bytes), ([], 0))

    def test_list_of_a_lost_connection_is_never_shown(self) -> None:
        self.offer(1)
        self.b.transfers.lost()
        self.b.settle()
        self.assertEqual(self.b.told, [])

    def test_offered_anew_meanwhile_the_later_counts(self) -> None:
        self.offer(1)
        self.offer(1, files=60)
        self.b.settle()
        self.assertEqual((self.b.last.files, len(self.b.transfers.listing(0.0))), (60, 1))

    def test_pending_list_bytes_are_limited(self) -> None:
        for id in range(1, 11):
            self.offer(id)
        self.b.settle()
        self.assertEqual(len(self.b.transfers.listing(0.0)), 1)
        self.assertEqual(self.refused(), [429] * 9)
        self.assertLessEqual(self.b.transfers.waiting_bytes, OFFERS_BYTES)

    def test_refused_ones_make_room(self) -> None:
        for id in range(1, 4):
            self.offer(id)
            self.b.settle()
            self.b.transfers.decline(self.b.last.number)
        self.assertEqual(self.refused(), [603] * 3)

    def test_broken_off_ones_make_room(self) -> None:
        for id in range(1, 20):
            self.offer(id)
            self.b.settle()
            self.b.transfers.lost()
            self.b.transfers.resumed(0.0)
        self.assertEqual(self.b.last.state, TransferState.OFFERED)
        self.assertLessEqual(self.b.transfers.waiting_bytes, OFFERS_BYTES)

    def test_pending_list_bytes_are_limited_over_all_peers(self) -> None:
        self.b.transfers._room = lambda: 1000
        self.offer(1)
        self.assertEqual(self.refused(), [429])
