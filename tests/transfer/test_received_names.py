"""Whatever others call their files, and whatever lies in the way, nothing but the download folder changes."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stdio.printable import printable
from chatproto.transfer.names import PART, safe_name
from chatproto.transfer.state import TransferState
from chatproto.wire.bcp2_files import Data, Done, DoneAck, Offer, OfferAck
from tests.transfer.ends import End
from tests.transfer.test_names import NAMES

DATE = "2026-01-01T00:00:00Z"
PATHS = st.lists(NAMES, min_size=1, max_size=4).map("/".join)
CONTENT = st.binary(max_size=20)
FILES = st.tuples(NAMES, CONTENT)
FOLDERS = st.tuples(NAMES, st.lists(st.tuples(PATHS, CONTENT), max_size=4))

Seen = dict[str, tuple[int, str]]


def look(folder: Path) -> Seen:
    """Describe everything below `folder`: modes and content, without following links."""
    found: Seen = {}
    for path in folder.rglob("*"):
        mode = path.lstat().st_mode
        inside = ""
        if stat.S_ISREG(mode):
            inside = hashlib.sha256(path.read_bytes()).hexdigest()
        elif stat.S_ISLNK(mode):
            inside = str(path.readlink())
        found[str(path.relative_to(folder))] = mode, inside
    return found


def traps(outside: Path) -> list[Callable[[Path], object]]:
    """List the traps that an attacker may have put in place of a file."""
    return [
        lambda path: path.symlink_to(outside),
        lambda path: path.symlink_to(outside / "mine"),
        lambda path: path.symlink_to(outside / "nothing"),
        lambda path: path.symlink_to(path.name),
        lambda path: os.link(outside / "mine", path),
        lambda path: path.write_bytes(b"was here"),
        lambda path: path.mkdir(),
        lambda path: os.mkfifo(path),
    ]


class ReceivedNamesTests(SynchronousTestCase):
    """Offers as a program that means no good would make them."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        self.turns = 0

    def receive(self, end: End, id: int, offer: Offer, contents: list[bytes]) -> None:
        """Take it, whole."""
        stream = b"".join(contents)
        hear, now = end.transfers.message, end.now
        hear(offer, now)
        number = end.last.number
        end.transfers.accept(number, now)
        end.settle()
        self.assertEqual(end.pull(), OfferAck(id, 0, hashlib.sha256().hexdigest()), end.texts)
        hear(Data(id, 0, stream), now)
        hear(Done(id, hashlib.sha256(stream).hexdigest()), now)
        end.settle()
        self.assertEqual(end.pull(), DoneAck(id), end.texts)
        self.assertIs(end.last.state, TransferState.DONE)

    @given(st.lists(FILES | FOLDERS, min_size=1, max_size=4), st.data())
    @settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow], deadline=None)
    def test_only_the_received_files_change(
        self,
        offered: list[tuple[str, bytes] | tuple[str, list[tuple[str, bytes]]]],
        data: st.DataObject,
    ) -> None:
        self.turns += 1
        root = self.root / f"{self.turns}"
        outside, end = root / "outside", End(root / "bob")
        outside.mkdir(parents=True)
        (outside / "mine").write_bytes(b"mine")
        end.downloads.mkdir(parents=True)
        for name, _ in offered:
            for ending in ("", PART):
                trap = data.draw(st.sampled_from([None, *traps(outside)]))
                place = end.downloads / f"{safe_name(name)}{ending}"
                if trap is not None and not os.path.lexists(place):
                    trap(place)
        before, elsewhere = look(end.downloads), look(outside)
        end.transfers.resumed(end.now)
        for id, (name, content) in enumerate(offered, 1):
            if isinstance(content, bytes):
                self.receive(end, id, Offer(id, name, len(content), DATE, "a/b"), [content])
            else:
                files = tuple((len(one), path) for path, one in content)
                size = sum(number for number, _ in files)
                offer = Offer(id, name, size, DATE, "folder", files)
                self.receive(end, id, offer, [one for _, one in content])
        after = look(end.downloads)
        self.assertEqual(look(outside), elsewhere)
        self.assertEqual({path: after[path] for path in before}, before)
        self.assertEqual(
            sorted(path.name for path in root.iterdir()), ["bob", "outside"], "beside them"
        )
        new = {path: seen for path, seen in after.items() if path not in before}
        files_there, wanted = [], []
        for path, (mode, inside) in new.items():
            self.assertEqual(printable(path), path, "the screen shows another name")
            if stat.S_ISDIR(mode):
                self.assertEqual(stat.S_IMODE(mode), 0o700)
            else:
                self.assertTrue(stat.S_ISREG(mode))
                self.assertEqual(stat.S_IMODE(mode), 0o600)
                files_there.append(inside)
        for _, content in offered:
            one = [content] if isinstance(content, bytes) else [data for _, data in content]
            wanted += [hashlib.sha256(each).hexdigest() for each in one]
        self.assertEqual(sorted(files_there), sorted(wanted))
        tops = {Path(path).parts[0] for path in new}
        self.assertEqual(len(tops), len(offered))
        if not any(PART in safe_name(name).lower() for name, _ in offered):
            self.assertFalse({top for top in tops if top.endswith(PART)}, "a part is left")

    @given(NAMES)
    def test_screen_shows_the_stored_name(self, sent: str) -> None:
        self.assertEqual(printable(safe_name(sent)), safe_name(sent))
