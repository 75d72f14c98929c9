"""Test the routers with plain sockets: the table that the programs are held to.

Six of its cells always, all of them with `--long`. They run under pytest; trial finds no test case.
"""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations_with_replacement
from pathlib import Path

import pytest

from tests.nat.rig import SERVER, SERVER6, Home, Kind, Rig

ENDS = str(Path(__file__).parent / "ends.py")

NOTHING, WAY, PUNCH = "nothing", "direct", "punched"


def expected(one: Kind, other: Kind) -> set[str]:
    """List the possible results between two homes; `nothing` if only the relay helps."""
    pair = {one, other}
    if Kind.SHUT in pair:
        return {NOTHING}
    if Kind.SIX in pair:
        return {WAY, PUNCH} if pair <= {Kind.SIX, Kind.OPEN} else {NOTHING}
    if pair & {Kind.OPEN, Kind.CONE}:
        return {WAY, PUNCH}  # both dial, and may meet in the middle
    if Kind.RANDOM in pair:
        return {NOTHING}
    if Kind.RESETS in pair:
        return {PUNCH, NOTHING}  # whoever comes too early destroys what was opened: luck
    return {PUNCH}


PAIRS = tuple(combinations_with_replacement(Kind, 2))
ALWAYS = {
    (Kind.OPEN, Kind.RANDOM),
    (Kind.KEEPS, Kind.KEEPS),
    (Kind.KEEPS, Kind.RANDOM),
    (Kind.CONE, Kind.KEEPS),
    (Kind.OPEN, Kind.SIX),
    (Kind.OPEN, Kind.SHUT),
}


def skip_unless(one: Kind, other: Kind, config: pytest.Config) -> None:
    """All pairs take minutes."""
    if (one, other) not in ALWAYS and not config.getoption("--long"):
        pytest.skip("not one of the six cells that are tried without --long")


def outcome(rig: Rig, one: Home, other: Home) -> tuple[str, tuple[str, str]]:
    """Return the path on which two homes connected, and what each end said."""
    server = rig.popen(rig.server, [sys.executable, ENDS, "meet"], stdout=subprocess.PIPE)
    assert server.stdout is not None
    assert server.stdout.readline() == "ready\n"
    both = []
    for home in (one, other):
        host = SERVER6 if ":" in home.hosts[0] else SERVER
        command = [sys.executable, ENDS, "peer", host, str(home.port), *home.hosts]
        both.append(rig.popen(home.name, command, stdout=subprocess.PIPE))
    here, there = (peer.communicate(timeout=20)[0].strip() for peer in both)
    server.communicate(timeout=5)
    words = {here.partition(" ")[0], there.partition(" ")[0]}
    ways = {("none",): NOTHING, ("accepted", "dialled"): WAY, ("dialled",): PUNCH}
    return ways[tuple(sorted(words))], (here, there)


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda kind: kind.name.lower())
def test_paths_between_two_networks_are_as_expected(
    rig: Rig, one: Kind, other: Kind, pytestconfig: pytest.Config
) -> None:
    skip_unless(one, other, pytestconfig)
    found, said = outcome(rig, rig.home(one), rig.home(other))
    assert found in expected(one, other), said


def test_two_clients_in_one_network_connect_directly(rig: Rig) -> None:
    one = rig.home(Kind.KEEPS)
    found, said = outcome(rig, one, rig.home(Kind.KEEPS, beside=one))
    assert found != NOTHING
    assert all(" 192.168." in word for word in said), said


def test_isolated_clients_connect_at_their_router(rig: Rig) -> None:
    one = rig.home(Kind.HAIRPIN)
    found, said = outcome(rig, one, rig.home(Kind.HAIRPIN, beside=one))
    assert found != NOTHING, said
    assert any(f" {SERVER[:-1]}" in word for word in said), said


def test_rig_is_removed_completely(rig: Rig) -> None:
    rig.home(Kind.KEEPS)
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    assert rig.server in names
    rig.close()
    names = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True).stdout
    assert rig.server.removesuffix("server") not in names
