"""Test the disk: parts, names, records."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer import sources
from chatproto.transfer.hashes import SHA_256
from chatproto.transfer.offer import FileOffer, folder_offer, written_date
from chatproto.transfer.records import Record, Records, of
from chatproto.transfer.sinks import Sink, SinkTrouble
from chatproto.transfer.sources import FileStream, SourceChanged, SourceTrouble, find
from chatproto.transfer.state import TransferState
from chatproto.wire import bcp2_files
from chatproto.wire.bcp2_common import read_date
from tests.limits import DEFAULTS

DATE = "2026-01-01T00:00:00Z"
OFFER = FileOffer("a", 10, DATE)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Case(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)

    def sink(self, local: str = "") -> Sink:
        sink = Sink(self.folder, local)
        self.addCleanup(sink.close)
        return sink


class SinkTests(Case):
    def test_a_full_disk_is_one_sentence_and_the_part_stays(self) -> None:
        sink = self.sink()
        sink.begin(OFFER)
        sink.write((b"abcd",))
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        with mock.patch("os.write", side_effect=full):
            error = self.assertRaises(SinkTrouble, sink.write, (b"efg",))
        self.assertEqual(
            str(error), f"the disk is full: what came so far is in {self.folder}/a.part"
        )
        self.assertEqual((self.folder / "a.part").read_bytes(), b"abcd")
        again = self.sink("a")
        self.assertEqual(again.begin(OFFER).offset, 4)

    def test_closed_sink_has_no_open_file(self) -> None:
        before = os.listdir("/proc/self/fd")  # noqa: PTH208
        for local in ("", "a"):
            sink = self.sink(local)
            sink.begin(OFFER)
            sink.write((b"ab",))
            sink.close()
        self.assertEqual(os.listdir("/proc/self/fd"), before)  # noqa: PTH208

    def test_record_without_room_names_its_own_folder_and_nothing_is_begun(self) -> None:
        records = Records(self.folder / "home")
        record = Record("k1", False, 5, TransferState.CHECKING, OFFER, 1.0)
        full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sink = self.sink()
        with mock.patch("os.fsync", side_effect=full):
            error = self.assertRaises(
                SinkTrouble, sink.begin, OFFER, chosen=lambda: records.save(record)
            )
        self.assertEqual(str(error), f"cannot write {self.folder}/home: No space left on device")
        self.assertEqual((sink.local, sorted(self.folder.glob("a*"))), ("", []))
        sink.begin(OFFER, chosen=lambda: records.save(record))
        self.assertEqual(sink.local, "a")

    def test_file_that_does_not_fit_is_not_begun(self) -> None:
        sink, offer = self.sink(), FileOffer("a", 2**60, DATE)
        self.assertIn("needs", str(self.assertRaises(SinkTrouble, sink.begin, offer)))
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_link_or_device_at_the_part_s_path_is_not_written(self) -> None:
        target = self.folder / "target"
        target.write_bytes(b"mine")
        for make in (
            lambda part: part.symlink_to(target),
            lambda part: os.link(target, part),
            os.mkfifo,
            lambda part: part.mkdir(),
        ):
            part = self.folder / "a.part"
            make(part)
            self.assertRaises(SinkTrouble, self.sink("a").begin, OFFER)
            part.rmdir() if part.is_dir() and not part.is_symlink() else part.unlink()
        self.assertEqual(target.read_bytes(), b"mine")

    def test_broken_link_does_not_create_its_target(self) -> None:
        (self.folder / "a.part").symlink_to(self.folder / "outside")
        self.assertRaises(SinkTrouble, self.sink("a").begin, OFFER)
        self.assertFalse((self.folder / "outside").exists())

    def test_bytes_behind_the_resume_offset_are_dropped(self) -> None:
        sink, offer = Sink(self.folder, "top"), folder_offer("top", DATE, ((2, "a"), (2, "b")))
        (self.folder / "top.part").mkdir()
        (self.folder / "top.part/b").write_bytes(b"longer than it should be")
        self.assertEqual(sink.begin(offer).offset, 0)
        sink.write((b"aabb",))
        self.assertTrue(sink.finish(sha(b"aabb")))
        self.assertEqual((self.folder / "top/b").read_bytes(), b"bb")

    def test_link_inside_a_folder_is_not_followed(self) -> None:
        target = self.folder / "target"
        target.write_bytes(b"mine, and longer")
        offer = folder_offer("top", DATE, ((2, "a"), (2, "b")))
        (self.folder / "top.part").mkdir()
        for name in "ab":
            link = self.folder / "top.part" / name
            link.symlink_to(target)
            sink = Sink(self.folder, "top")
            self.addCleanup(sink.close)
            with self.assertRaises(SinkTrouble):
                sink.begin(offer)
                sink.write((b"aabb",))
            link.unlink()
            (self.folder / "top.part/a").write_bytes(b"aa")
        self.assertEqual(target.read_bytes(), b"mine, and longer")

    def test_file_that_appears_at_the_last_moment_is_not_replaced(self) -> None:
        sink, link = self.sink(), os.link
        sink.begin(OFFER)
        sink.write((b"0123456789",))

        def late(part: Path, final: Path, **how: bool) -> None:
            if final.name == "a":
                final.write_bytes(b"mine")
            link(part, final, **how)

        with mock.patch("os.link", late):
            self.assertEqual(sink.finish(sha(b"0123456789")), str(self.folder / "a (2)"))
        self.assertEqual((self.folder / "a").read_bytes(), b"mine")

    def test_two_files_of_one_name_have_separate_parts(self) -> None:
        one, two = self.sink(), self.sink()
        for sink in (one, two):
            sink.begin(OFFER)
            sink.write((b"0123456789",))
        self.assertEqual({one.part.name, two.part.name}, {"a.part", "a (2).part"})
        for sink in (two, one):
            sink.finish(sha(b"0123456789"))
        self.assertEqual(sorted(os.listdir(self.folder)), ["a", "a (2)"])  # noqa: PTH208

    def test_a_disk_without_links_will_do(self) -> None:
        sink = self.sink()
        sink.begin(OFFER)
        sink.write((b"0123456789",))
        with mock.patch("os.link", side_effect=OSError(errno.EPERM, "no")):
            self.assertEqual(sink.finish(sha(b"0123456789")), str(self.folder / "a"))

    def test_short_or_different_file_does_not_get_its_name(self) -> None:
        sink = self.sink()
        sink.begin(OFFER)
        sink.write((b"01234",))
        self.assertEqual(sink.finish(sha(b"01234")), "")
        sink.write((b"56789",))
        self.assertEqual(sink.finish(sha(b"x")), "")
        self.assertEqual([path.name for path in self.folder.iterdir()], ["a.part"])
        sink.discard()
        self.assertEqual(list(self.folder.iterdir()), [])

    @given(st.lists(st.binary(max_size=9), max_size=6), st.data())
    @settings(max_examples=60)
    def test_folder_survives_any_cuts_and_resumes(
        self, contents: list[bytes], data: st.DataObject
    ) -> None:
        root = Path(self.mktemp()).resolve()
        files = tuple((len(one), f"d{n % 2}/f{n}") for n, one in enumerate(contents))
        offer, stream = folder_offer("top", DATE, files), b"".join(contents)
        sink, at = Sink(root), 0
        for cut in sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4))):
            there = sink.begin(offer)
            self.assertEqual((there.offset, there.digest), (at, sha(stream[:at])))
            sink.write((stream[at:cut],))
            sink.close()
            sink, at = Sink(root, sink.local), cut
        self.assertEqual(sink.begin(offer).offset, at)
        sink.write((stream[at:],))
        self.assertEqual(sink.finish(sha(stream)), str(root / "top"))
        for one, (_, path) in zip(contents, files, strict=True):
            self.assertEqual((root / "top" / path).read_bytes(), one)


class SourceTests(Case):
    def source(self, path: Path, chunk: int = 4) -> FileStream:
        source = FileStream(find(path, DEFAULTS), chunk)
        self.addCleanup(source.close)
        return source

    def test_small_files_share_a_chunk(self) -> None:
        for name, data in (("a", b"ab"), ("b", b""), ("c", b"cdefg"), ("d", b"")):
            (self.folder / name).write_bytes(data)
        source = self.source(self.folder)
        self.assertEqual(source.begin(1, SHA_256, 0)[0], sha(b"a"))
        batch = source.read(100)
        self.assertEqual((batch.pieces, batch.digest), ((b"bcde", b"fg"), sha(b"abcdefg")))

    def test_any_change_is_noticed(self) -> None:
        path = self.folder / "a"
        for change in (
            lambda: path.write_bytes(b"01234567890"), lambda: path.write_bytes(b"0"),
            lambda: os.utime(path, ns=(1, 1)), lambda: path.write_bytes(b"9876543210"),
        ):  # fmt: skip
            for when in (0, 4):
                path.write_bytes(b"0123456789")
                os.utime(path, ns=(5, 5))
                source = self.source(path)
                if when:
                    source.begin(0, SHA_256, 0)
                    source.read(4)
                change()
                if not when:
                    source.begin(0, SHA_256, 0)
                self.assertRaises(SourceChanged, source.read, 10)

    def test_vanished_source_is_reported(self) -> None:
        path = self.folder / "a"
        path.write_bytes(b"x")
        source = self.source(path)
        path.unlink()
        self.assertRaises(SourceTrouble, source.begin, 1, SHA_256, 0)

    def test_file_of_the_kernel_without_a_size_is_not_sent_as_an_empty_one(self) -> None:
        with self.assertRaisesRegex(SourceTrouble, "its size"):
            find(Path("/proc/self/status"), DEFAULTS)
        (self.folder / "empty").touch()
        self.assertEqual(find(self.folder / "empty", DEFAULTS).offer.size, 0)

    def test_missing_file_changes_the_folder(self) -> None:
        for change in (
            lambda path: path.unlink(),
            lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
            lambda path: (path.unlink(), path.parent.rmdir(), path.parent.touch()),
        ):
            top = self.folder / f"{change}"
            path = top / "d" / "a"
            path.parent.mkdir(parents=True)
            path.write_bytes(b"x")
            source = self.source(top)
            change(path)
            self.assertRaises(SourceChanged, source.begin, 1, SHA_256, 0)

    def test_link_replacing_a_source_is_not_followed(self) -> None:
        path = self.folder / "a"
        path.write_bytes(b"x")
        source = self.source(path)
        path.unlink()
        path.symlink_to("/etc/passwd")
        self.assertRaises(SourceTrouble, source.begin, 1, SHA_256, 0)

    def test_secrets_of_our_own_home_are_refused(self) -> None:
        home = self.folder / "home"
        (home / "transfers").mkdir(parents=True)
        for name in ("key.pem", "log.sqlite-wal", "known_peers", "transfers/1", "photo.png"):
            (home / name).write_bytes(b"x")
        (self.folder / "link").symlink_to(home / "key.pem")
        refused = (home, self.folder, home / "transfers", home / "transfers/1", home / "key.pem")
        for path in (*refused, home / "log.sqlite-wal", self.folder / "link", home / "../home"):
            with self.assertRaisesRegex(SourceTrouble, "keeps secret"):
                find(path, DEFAULTS, home)
        self.assertEqual(find(home / "photo.png", DEFAULTS, home).offer.name, "photo.png")

    def test_more_files_than_may_be_listed_are_refused(self) -> None:
        for number in range(4):
            (self.folder / str(number)).touch()
        short = DEFAULTS.with_values(["offer=10"])
        self.assertRaises(SourceTrouble, find, self.folder, short)
        self.patch(sources, "OFFER_FILES", 4)
        find(self.folder, DEFAULTS)
        self.patch(sources, "OFFER_FILES", 3)
        self.assertRaises(SourceTrouble, find, self.folder, DEFAULTS)

    def test_folders_that_the_receiver_would_refuse_as_too_deep_are_refused(self) -> None:
        (self.folder / "a/b").mkdir(parents=True)
        (self.folder / "a/b/c").touch()
        self.patch(bcp2_files, "OFFER_PARTS", 2)
        find(self.folder, DEFAULTS)
        self.patch(bcp2_files, "OFFER_PARTS", 1)
        self.assertRaises(SourceTrouble, find, self.folder, DEFAULTS)

    def test_names_that_are_no_text_are_sent_as_text(self) -> None:
        Path(os.fsdecode(os.fsencode(self.folder) + b"/a\xff\n")).write_bytes(b"x")
        (self.folder / ".hidden").write_bytes(b"y")
        found = find(self.folder, DEFAULTS)
        self.assertEqual(found.offer.files, ((1, "hidden"), (1, "a__")))
        source = FileStream(found, 4)
        self.assertEqual(source.begin(2, SHA_256, 0)[0], sha(b"yx"))
        source.close()

    @given(st.integers(-(2**70), 2**70))
    def test_any_file_date_can_be_written(self, nanoseconds: int) -> None:
        read_date(written_date(nanoseconds))

    def test_a_time_long_ago_has_four_digits_in_its_year(self) -> None:
        self.assertEqual(written_date(-(10**18) * 35)[:4], "0860")


class RecordTests(Case):
    def test_record_is_read_as_written(self) -> None:
        (self.folder / "src").mkdir()
        Path(os.fsdecode(os.fsencode(self.folder / "src") + b"/a\xff")).write_bytes(b"x")
        found = find(self.folder / "src", DEFAULTS)
        records = Records(self.folder / "transfers")
        self.assertEqual(records.load(), [])
        one = Record("k1", True, 5, TransferState.MOVING, found.offer, 7.0, found)
        two = Record(
            "k2",
            False,
            5,
            TransferState.DONE,
            FileOffer("ü", 3, DATE),
            8.0,
            None,
            "/d",
            "ü",
            "ab",
            "/d/ü",
        )
        for record in (two, one, one):
            records.save(record)
        self.assertEqual(records.load(), [one, two])
        self.assertEqual(of(records.load(), "k2"), [two])
        records.remove(one)
        records.remove(one)
        self.assertEqual(records.load(), [two])
        self.assertEqual(
            {path.stat().st_mode & 0o777 for path in (self.folder / "transfers").iterdir()}, {0o600}
        )

    def test_record_with_a_wrong_clock_expires_in_time(self) -> None:
        records, keep, now = Records(self.folder), 100.0, 1000.0
        offer = FileOffer("a", 3, DATE)
        records.save(Record("k1", False, 5, TransferState.CANCELLED, offer, now + 1e9))
        self.assertEqual(len(records.sweep(now, keep)), 1)
        self.assertEqual(len(records.sweep(now + keep - 1, keep)), 1)
        self.assertEqual(records.sweep(now + keep, keep), [])

    def test_unreadable_records_are_skipped(self) -> None:
        records = Records(self.folder)
        for number, text in enumerate(
            ("", "[]", "{}", '{"state": "X"}', "null", '{"offer": 5}', "\xff")
        ):
            (self.folder / f"{number}.json").write_text(text, encoding="latin-1")
        self.assertEqual(records.load(), [])
