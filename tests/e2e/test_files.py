"""Files that arrive whole: real programs, real disks, and a proxy between."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e.harness import Stage
from tests.e2e.movers import MIB, MakeWay, Mover, forget_peak, noise, peak, sha256
from tests.long import LONG, some

SEED = 17
MORE = 40 * MIB  # what a program may hold more while files move


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A folder for what is sent."""
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def small_files(folder: Path, count: int) -> dict[str, str]:
    """So many small files in folders; their hashes by their paths below `folder`'s parent."""
    chance, hashes = random.Random(SEED), {}
    for number in range(count):
        path = folder / f"{number % 7}" / f"{number % 3}" / f"file {number}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(chance.randbytes(chance.choice((0, 1, 700, 5000))))
        hashes[str(path.relative_to(folder.parent))] = sha256(path)
    return hashes


def test_a_large_file_and_a_folder_arrive_whole(
    make_way: MakeWay, source: Path, pytestconfig: pytest.Config
) -> None:
    long = pytestconfig.getoption("--long")
    big, folder = source / "big.bin", source / "many"
    if long:
        with big.open("wb") as file:
            file.truncate(2048 * MIB)
        expected = {"big.bin": sha256(big)}
    else:
        expected = {"big.bin": noise(big, 64 * MIB)}
    expected |= small_files(folder, 10_000 if long else 500)
    way = make_way()
    way.alice.send(big, folder)
    for name in ("big.bin", "many"):
        way.bob.take(name)
    for name in ("big.bin", "many"):
        assert way.bob.done(name, timeout=600)["path"] == str(way.bob.downloads / name)
        way.alice.done(name)
    way.bob.assert_whole(expected)
    assert not list((way.alice.home / "transfers").glob("*")), "what is over is still known"


def test_a_transfer_survives_twenty_cuts(make_way: MakeWay, source: Path) -> None:
    cuts, chance = 20, random.Random(SEED)
    big = source / "big.bin"
    expected = noise(big, 64 * MIB)
    way = make_way()
    for number in range(cuts):
        soon = number % 5 == 0
        least, most = (1, 20_000) if soon else (50_000, 3 * MIB)
        way.proxy.after(chance.randint(least, most), reset=number % 3 == 0)
    way.alice.send(big)
    # Cut before the answer was heard, it is offered again: and answered once.
    way.bob.take()
    way.bob.done(timeout=300)
    way.alice.done()
    assert way.proxy.cuts == cuts
    assert len(way.bob.told(ask=True)) == 1, "asked again"
    way.bob.assert_whole({"big.bin": expected})
    # What had come was not sent again: 64 KiB a cut would be, and what was under way.
    assert way.proxy.passed < 1.6 * 64 * MIB


def test_memory_is_independent_of_file_size_and_stalls(make_way: MakeWay, source: Path) -> None:
    first, big = source / "first.bin", source / "big.bin"
    expected = {"first.bin": noise(first, 4 * MIB), "big.bin": noise(big, 256 * MIB)}
    way = make_way(bob=("--accept", "known"))
    way.alice.send(first)
    way.bob.done()
    way.alice.done()
    ends = way.alice.now, way.bob.now
    before = [end.resident() for end in ends]
    for end in ends:
        forget_peak(end)
    way.alice.send(big)
    way.bob.moved(64 * MIB)
    way.proxy.stall()
    way.alice.files()  # whatever it does while nothing moves, it answers
    way.bob.files()
    for end, held in zip(ends, before, strict=True):
        assert end.resident() - held < MORE
    way.proxy.go()
    way.bob.done(timeout=300)
    way.alice.done()
    for end, held in zip(ends, before, strict=True):
        assert peak(end) - held < MORE
    way.bob.assert_whole(expected)


@LONG
def test_many_files_in_both_directions_share_the_connection(
    make_way: MakeWay, source: Path
) -> None:
    count, size = 8, 2 * MIB
    way = make_way(("--accept", "known"), ("--accept", "known"))
    expected: dict[Mover, dict[str, str]] = {way.alice: {}, way.bob: {}}
    ways = ((way.alice, way.bob), (way.bob, way.alice))
    for sender, receiver in ways:
        for number in range(count + 2):
            path = source / f"{sender.name}-{number}.bin"
            expected[receiver][path.name] = noise(path, size, number)
        sender.send(*(source / name for name in expected[receiver]))
    for sender, receiver in ways:
        for name in expected[receiver]:
            receiver.done(name)
            sender.done(name)
    for receiver, files in expected.items():
        receiver.assert_whole(files)
        moving = most = 0
        seen: dict[int, str] = {}
        for event in receiver.told(to=None):
            seen[event["id"]] = event["state"]
            # One that is compared gives its place away a moment before it is told to be there.
            moving = sum(state in ("checking", "moving") for state in seen.values())
            most = max(most, moving)
        assert 1 < most <= count, f"{most} moved at once"


def test_messages_are_delivered_during_a_file(make_way: MakeWay, source: Path) -> None:
    big = source / "big.bin"
    expected = noise(big, 64 * MIB)
    way = make_way(bob=("--accept", "known"))
    way.alice.send(big)
    way.bob.moved(MIB)
    for number in range(5):
        way.alice.say(f"there {number}")
        way.bob.now.hear(number + 1)
        way.bob.say(f"back {number}")
        way.alice.now.hear(number + 1)
    assert not way.bob.told(state="done"), "it was over before anybody spoke"
    way.bob.done()
    way.alice.done()
    way.bob.assert_whole({"big.bin": expected})


@LONG
def test_files_need_no_turn(make_way: MakeWay, source: Path) -> None:
    path = source / "one.bin"
    expected = noise(path, MIB)
    way = make_way(("--half-duplex",))
    way.alice.say("your turn now")
    way.bob.now.hear(1)
    way.alice.send(path)
    way.bob.take()
    way.bob.done()
    way.alice.done()
    way.bob.assert_whole({"one.bin": expected})


@LONG
def test_rate_limit_is_kept(make_way: MakeWay, source: Path) -> None:
    path = source / "one.bin"
    expected = noise(path, MIB)
    way = make_way(("--rate", "500K"), ("--accept", "known"))
    way.alice.send(path)
    way.alice.file("moving")
    began = len(way.alice.now.events())
    way.bob.done()
    way.alice.done()
    events = way.alice.now.events()
    took = [event for event in events[began - 1 :] if event.get("progress")]
    # One event a second of moving: at this rate it must last two, however fast the machine is.
    assert took and all(event["rate"] < 700_000 for event in took)
    way.bob.assert_whole({"one.bin": expected})


def test_files_are_declined_or_confirmed_by_trust(make_way: MakeWay, source: Path) -> None:
    path = source / "one.bin"
    expected = noise(path, 1000)
    way = make_way(("--accept", "none"), ("--accept", "verified"))
    way.bob.send(path)
    way.bob.file("declined", to="alice")
    way.alice.file("declined", from_="bob")
    way.alice.send(path)
    way.bob.now.send_line(f"/decline {way.bob.asked()}")
    way.bob.file("declined", from_="alice")
    way.alice.file("declined", to="bob")
    way.bob.now.send_line("/verify alice yes")
    way.bob.now.event("session", id="alice", security="verified")
    way.alice.send(path)
    way.bob.done()
    way.alice.done()
    assert not way.alice.downloads.exists()
    way.bob.assert_whole({"one.bin": expected})


@pytest.mark.parametrize("by_sender", some(0, [True, False]))
def test_either_side_can_cancel_and_the_part_is_reused(
    make_way: MakeWay, source: Path, by_sender: bool
) -> None:
    path = source / "big.bin"
    expected = noise(path, 64 * MIB)
    way = make_way(("--rate", "20M"))
    way.alice.send(path)
    way.bob.take()
    way.bob.moved(4 * MIB)
    who, other = (way.alice, way.bob) if by_sender else (way.bob, way.alice)
    who.now.send_line(f"/cancel {who.files()[0]['id']}")
    who.file("cancelled")
    assert "cancelled" in other.file("cancelled")["reason"]
    assert way.alice.files() == way.bob.files() == []
    kept = way.bob.part()
    assert kept > 0
    before = way.proxy.passed
    way.alice.send(path)
    way.bob.take()
    way.bob.done()
    way.alice.done()
    assert way.proxy.passed - before < 1.05 * (64 * MIB - kept) + 100_000
    way.bob.assert_whole({"big.bin": expected})


def test_file_to_a_plain_peer_is_refused(stage: Stage, source: Path) -> None:
    path = source / "one.bin"
    noise(path, 1000)
    carol = stage.client("carol")
    alice = stage.open_client("alice", "none", "--open")
    for dialect in ("canon", "raw"):
        alice.send_line(f"/chat --as {dialect} 127.0.0.1:{carol.port}")
        alice.event("session", state="open", encrypted=False)
        alice.send_line(f"/send {path}")
        refused = alice.event("error", command="send")
        assert (
            refused["status"] == 405
            and f"uses the dialect {dialect}, which cannot carry files" in refused["text"]
        )
        if dialect == "canon":
            carol.event("session", id="alice", state="open")
            carol.send_line(f"/send {path}")
            assert "cannot carry files" in carol.event("error", command="send")["text"]
        alice.send_line("/quit")
        alice.event("session", state="closed")
