"""Test the path between each pair of homes: real programs behind routers, within 5 s.

Six of the pairs always, all of them with `--long`. They run under pytest; trial finds no test case.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest

from tests.e2e.harness import JsonClient, Stage
from tests.nat.rig import SERVER, SERVER6, Home, Kind, Rig
from tests.nat.test_rig import NOTHING, PAIRS, PUNCH, WAY, expected, skip_unless

PORT = 5555
SOON = 5.0
"""Seconds from the call until both may talk."""
NAMES = {NOTHING: "relay", WAY: "direct", PUNCH: "punched"}


class Street:
    """A server on the wire, and people in their homes."""

    def __init__(self, rig: Rig, stage: Stage, *options: str) -> None:
        self._rig = rig
        self._stage = stage
        server = stage.start("chatserver", "--port", str(PORT), *options, before=within(rig.server))
        server.expect(re.compile(r"^Server listening on "))

    def person(self, name: str, home: Home, *options: str) -> JsonClient:
        """Start a client that is registered and accepts every call."""
        host = f"[{SERVER6}]" if ":" in home.hosts[0] else SERVER
        client: JsonClient = self._stage.start(
            "chatclient", "--id", name, "--port", str(home.port), "--server", f"{host}:{PORT}",
            "--ui", "json", "--answer", "all", *options,
            kind=JsonClient, before=within(home.name),
        )  # fmt: skip
        client.start()
        client.event("registered")
        return client


@pytest.fixture
def street(rig: Rig, stage: Stage) -> Callable[..., Street]:
    return lambda *options: Street(rig, stage, *options)


def within(name: str) -> list[str]:
    """Return the command that runs the rest of its line in the namespace `name`."""
    return ["ip", "netns", "exec", name]


def talk(alice: JsonClient, bob: JsonClient) -> tuple[set[str], float]:
    """Alice calls, and each says something: the ways that the two tell of, and the seconds it took."""
    since = time.monotonic()
    alice.send_line("/chat bob")
    alice.send_line("hello")
    paths = {
        one.event("session", state="open", path=lambda path: path is not None)["path"]
        for one in (alice, bob)
    }
    bob.event("message", from_="alice", text="hello")
    took = time.monotonic() - since
    bob.send_line("/switch alice")
    bob.send_line("hello yourself")
    alice.event("message", from_="bob", text="hello yourself")
    return paths, took


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda kind: kind.name.lower())
def test_two_networks_connect_by_the_best_path(
    rig: Rig,
    street: Callable[..., Street],
    one: Kind,
    other: Kind,
    pytestconfig: pytest.Config,
    request: pytest.FixtureRequest,
) -> None:
    skip_unless(one, other, pytestconfig)
    here = street()
    alice, bob = here.person("alice", rig.home(one)), here.person("bob", rig.home(other))
    paths, took = talk(alice, bob)
    request.node.user_properties.append(("way", f"{'/'.join(sorted(paths))} in {took:.2f} s"))
    assert paths <= {NAMES[way] for way in expected(one, other)}
    assert took < SOON


def test_two_clients_in_one_network_connect_directly(
    rig: Rig, street: Callable[..., Street]
) -> None:
    here, home = street(), rig.home(Kind.KEEPS)
    alice = here.person("alice", home)
    paths, took = talk(alice, here.person("bob", rig.home(Kind.KEEPS, beside=home)))
    assert (paths, took < SOON) == ({"lan"}, True)


def test_isolated_clients_connect_at_their_router(rig: Rig, street: Callable[..., Street]) -> None:
    here, home = street(), rig.home(Kind.HAIRPIN)
    alice = here.person("alice", home)
    paths, took = talk(alice, here.person("bob", rig.home(Kind.HAIRPIN, beside=home)))
    assert "relay" not in paths
    assert took < SOON


def test_relay_only_option_uses_the_relay(rig: Rig, street: Callable[..., Street]) -> None:
    here = street()
    alice = here.person("alice", rig.home(Kind.OPEN), "--path", "relay")
    bob = here.person("bob", rig.home(Kind.OPEN))
    assert talk(alice, bob)[0] == {"relay"}
    for one in (alice, bob):
        one.send_line("/path")
        assert one.event("answer", command="path")["path"] == "relay"


def test_missing_relay_is_reported_at_once(rig: Rig, street: Callable[..., Street]) -> None:
    here = street("--relay", "off")
    alice = here.person("alice", rig.home(Kind.OPEN), "--path", "relay")
    here.person("bob", rig.home(Kind.OPEN))
    alice.send_line("/chat bob")
    gone = alice.event("session", id="bob", state="closed", timeout=SOON)
    assert gone["reason"] == "the server relays nothing for this call"


def test_no_relay_option_reports_the_attempts(
    rig: Rig, street: Callable[..., Street], pytestconfig: pytest.Config
) -> None:
    if not pytestconfig.getoption("--long"):
        pytest.skip("half a minute")
    here = street()
    alice = here.person("alice", rig.home(Kind.SHUT), "--path", "direct")
    here.person("bob", rig.home(Kind.OPEN))
    alice.send_line("/chat bob")
    why = alice.event("session", id="bob", state="closed", timeout=60.0)["reason"]
    assert "11.0.0." in why and "relay" not in why


def test_lost_path_is_replaced_without_loss(rig: Rig, street: Callable[..., Street]) -> None:
    here, homes = street(), [rig.home(Kind.OPEN), rig.home(Kind.OPEN)]
    alice, bob = (
        here.person(name, home, "--ping", "1")
        for name, home in zip(("alice", "bob"), homes, strict=True)
    )
    paths, _ = talk(alice, bob)
    assert "relay" not in paths
    bob.forget()
    said = [f"message {number}" for number in range(40)]
    for text in said[:20]:
        alice.send_line(text)
    rig.part(*homes)
    for text in said[20:]:
        alice.send_line(text)
    alice.event("session", id="bob", state="broken")
    alice.event("session", id="bob", state="open", path="relay", timeout=60.0)
    bob.event("message", from_="alice", text=said[-1])
    assert bob.heard() == said
    alice.send_line("/path")
    assert alice.event("answer", command="path")["path"] == "relay"
