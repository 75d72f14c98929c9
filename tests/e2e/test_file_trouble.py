"""Files that change, vanish or find no room, and readers that do not read: real programs and disks."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Stage
from tests.e2e.movers import MIB, MakeWay, Mover, noise, sha256
from tests.long import LONG, some

SLOW = ("--rate", "10M")
SIZE = 16 * MIB


@contextlib.contextmanager
def small_disk(place: Path, size: int) -> Iterator[None]:
    """A disk of `size` bytes at `place`, in memory. Skips the test where that is not permitted."""
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)],
        capture_output=True,
        text=True,
        check=False,
    )
    if made.returncode:
        pytest.skip(f"a disk of its own needs the right to mount one: {made.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def limit_files(mover: Mover, size: int) -> None:
    """No file of its program may grow beyond `size` bytes; -1: as far as they like."""
    resource.prlimit(mover.now.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_full_disk_stalls_the_file_until_there_is_room(
    make_way: MakeWay, stage: Stage, tmp_path: Path
) -> None:
    disk, path, filler = tmp_path / "disk", tmp_path / "big.bin", tmp_path / "disk/filler"
    disk.mkdir()
    expected = noise(path, SIZE)
    with small_disk(disk, SIZE + MIB), contextlib.ExitStack() as ended:
        way = make_way(SLOW, downloads=disk / "downloads")
        ended.callback(stage.end)
        filler.write_bytes(bytes(2 * MIB))
        way.alice.send(path)
        number = way.bob.take()
        # Not begun: it is known beforehand that it cannot fit.
        assert "big.bin needs 16,777,216 bytes and" in way.bob.file("stalled")["reason"]
        assert way.alice.file("stalled")["reason"] == "the peer cannot write it now"
        assert list(way.bob.downloads.iterdir()) == []
        filler.unlink()
        way.bob.now.send_line(f"/accept {number}")
        way.bob.moved(MIB)
        filler.write_bytes(bytes(4 * MIB))
        assert "the disk is full" in way.bob.file("stalled")["reason"]
        way.alice.file("stalled")
        kept = way.bob.part()
        assert 0 < kept < SIZE
        way.alice.say("is it full?")  # all else goes on
        way.bob.now.hear(1)
        way.bob.now.send_line(f"/accept {number}")
        way.bob.file("stalled")
        filler.unlink()
        before = way.proxy.passed
        way.bob.now.send_line(f"/accept {number}")
        way.bob.done()
        way.alice.done()
        assert way.proxy.passed - before < 1.05 * (SIZE - kept) + 100_000
        way.bob.assert_whole({"big.bin": expected})


def test_file_size_limit_stalls_the_file(make_way: MakeWay, tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    expected = noise(path, SIZE)
    way = make_way(SLOW)
    limit_files(way.bob, 5 * MIB)
    way.alice.send(path)
    number = way.bob.take()
    told = way.bob.file("stalled")
    assert "cannot write" in told["reason"]
    assert "File too large" in told["reason"]
    way.alice.file("stalled")
    assert way.bob.part() == 5 * MIB
    limit_files(way.bob, resource.RLIM_INFINITY)
    way.bob.now.send_line(f"/accept {number}")
    way.bob.done()
    way.alice.done()
    way.bob.assert_whole({"big.bin": expected})


@pytest.mark.parametrize("change", some(1, ["grows", "shrinks", "is another", "is replaced"]))
def test_a_source_that_changes_meanwhile_is_sent_anew_and_says_so(
    make_way: MakeWay, tmp_path: Path, change: str
) -> None:
    path, other = tmp_path / "big.bin", tmp_path / "other.bin"
    noise(path, SIZE)
    noise(other, SIZE // 2, 2)
    way = make_way(SLOW)
    way.alice.send(path)
    way.bob.take()
    way.bob.moved(2 * MIB)
    with path.open("r+b") as file:
        match change:
            case "grows":
                file.seek(0, os.SEEK_END)
                file.write(os.urandom(MIB))
            case "shrinks":
                file.truncate(3 * MIB)
            case "is another":
                file.write(os.urandom(1000))
            case "is replaced":
                other.replace(path)
                way.proxy.cut()  # who has it open goes on with what was there
    for mover, says in (
        (way.alice, "the file has changed, sending it again"),
        (way.bob, "changed by the sender, starting again"),
    ):
        mover.now.event("file", reason=says, timeout=60)
    way.bob.done()
    way.alice.done()
    way.bob.assert_whole({"big.bin": sha256(path)})


def test_vanished_source_is_reported_and_resumes_when_back(
    make_way: MakeWay, tmp_path: Path
) -> None:
    path, away = tmp_path / "big.bin", tmp_path / "away.bin"
    expected = noise(path, SIZE)
    way = make_way(SLOW)
    way.alice.send(path)
    way.bob.take()
    way.bob.moved(2 * MIB)
    path.rename(away)
    way.proxy.cut()
    assert "No such file" in way.alice.file("failed")["reason"]
    assert way.bob.file("cancelled")["reason"] == "the peer cancelled it"
    kept, before = way.bob.part(), way.proxy.passed
    assert kept > 0
    away.rename(path)
    way.alice.send(path)
    way.bob.take()
    way.bob.done()
    way.alice.done()
    assert way.proxy.passed - before < 1.05 * (SIZE - kept) + 100_000
    way.bob.assert_whole({"big.bin": expected})


@LONG
def test_changing_folder_arrives_in_its_final_state(make_way: MakeWay, tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(8):
        noise(folder / f"{number}", 2 * MIB, number)
    way = make_way(SLOW)
    way.alice.send(folder)
    way.bob.take()
    way.bob.moved(MIB)
    (folder / "6").unlink()
    noise(folder / "8", MIB, 8)
    way.bob.now.event("file", reason="changed by the sender, starting again", timeout=60)
    way.bob.done()
    way.alice.done()
    way.bob.assert_whole({f"many/{one.name}": sha256(one) for one in folder.iterdir()})
