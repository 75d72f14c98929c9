"""Files arrive whole whoever is killed, and whenever: real programs and SIGKILL."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.e2e.movers import MIB, MakeWay, Mover, noise
from tests.long import some

SEED = 23
SIZE = 12 * MIB
KILLS, LONG = 2, 50
NAMED_EVERY = 5  # of so many kills one comes as soon as the file has its name


def contents(folder: Path, number: int) -> tuple[list[Path], dict[str, str]]:
    """A file and a folder, never the same; and the hashes of what should land."""
    big, many = folder / f"big-{number}", folder / f"many-{number}"
    hashes = {big.name: noise(big, SIZE, number)}
    for part in range(5):
        path = many / f"sub {part % 2}" / f"{part}"
        path.parent.mkdir(parents=True, exist_ok=True)
        hashes[str(path.relative_to(folder))] = noise(path, part * 300_000, 7 * number + part)
    return [big, many], hashes


def wait_until_over(mover: Mover, name: str) -> None:
    """Until it is done; what is not listed any more was over before the program was killed."""
    if any(one["name"] == name for one in mover.files()):
        mover.done(name)


@pytest.mark.parametrize("victim", some(1, ["both", "receiver", "sender"]))
def test_file_arrives_whole_despite_kills_at_any_point(
    make_way: MakeWay, tmp_path: Path, pytestconfig: pytest.Config, victim: str
) -> None:
    kills = LONG if pytestconfig.getoption("--long") else KILLS
    chance = random.Random(f"{SEED} {victim}")
    way = make_way(bob=("--accept", "known"))
    proxy, expected = way.proxy, dict[str, str]()
    killed_under_way = 0
    for number in range(kills):
        folder = tmp_path / f"source-{number}"
        folder.mkdir()
        paths, hashes = contents(folder, number)
        expected |= hashes
        began = proxy.passed
        way.alice.send(*paths)
        if number % NAMED_EVERY:
            proxy.wait_until_passed(began + chance.randint(500, SIZE + 3_000_000))
        else:
            while not (way.bob.downloads / paths[0].name).exists():
                pass
        victims = [way.bob] * (victim != "sender") + [way.alice] * (victim != "receiver")
        for mover in victims:
            mover.kill()
        killed_under_way += way.bob.part() > 0
        for mover in victims:
            mover.begin()
            mover.now.event("registered")
        way.meet_again()
        for path in paths:
            wait_until_over(way.alice, path.name)
            wait_until_over(way.bob, path.name)
    way.bob.assert_whole(expected)
    assert killed_under_way >= kills // 4, "it was nearly always over before"


def test_accepted_file_continues_after_a_kill_without_asking(
    make_way: MakeWay, tmp_path: Path
) -> None:
    path = tmp_path / "one.bin"
    expected = noise(path, SIZE)
    way = make_way(alice=("--rate", "8M"))
    way.alice.send(path)
    way.bob.take()
    way.bob.moved(MIB)
    way.bob.kill()
    kept, before = way.bob.part(), way.proxy.passed
    way.bob.begin()
    way.bob.now.event("registered")
    way.meet_again()
    way.bob.done()
    way.alice.done()
    assert not way.bob.told(ask=True), "asked again"
    assert kept > 0
    assert way.proxy.passed - before < 1.05 * (SIZE - kept) + 100_000, "sent again from the start"
    way.bob.assert_whole({"one.bin": expected})
