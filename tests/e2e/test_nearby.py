"""People on one network find each other with no server: real programs, real multicast.

On loopback where it carries multicast, and in a network of its own where namespaces are permitted.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatproto.nearby.ports import GROUP4, PORT, interfaces, open_socket
from tests.e2e.harness import LIMIT, TWISTD, JsonClient, Stage, staged

KEY = "sha256:" + "A" * 52


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


@pytest.fixture(autouse=True)
def multicast() -> None:
    """Skips where a datagram to the group does not come back."""
    loopback = [one for one in interfaces() if one.address == "127.0.0.1"]
    try:
        with open_socket(loopback[0]) as tried:
            tried.settimeout(2)
            tried.sendto(b"is it carried?", (GROUP4, PORT))
            tried.recvfrom(100)
    except (IndexError, OSError) as reason:
        pytest.skip(f"no multicast on loopback here: {reason}")


def nearby(client: JsonClient, *names: str) -> list[dict[str, object]]:
    """Return the rows of /nearby for `names`, asked again until all are there."""
    end = time.monotonic() + LIMIT
    while True:
        client.send_line("/nearby")
        answer = client.event("answer", command="nearby")
        found = [one for one in answer["people"] if one["id"] in names]
        if {one["id"] for one in found} == set(names):
            return found
        assert time.monotonic() < end, f"{names} are not nearby\n{client.transcript()}"
        time.sleep(0.2)


def cable(six: bool) -> tuple[str, str]:
    """The names of two machines with a cable between them. Raises CalledProcessError."""
    names = (f"near{os.getpid()}a", f"near{os.getpid()}b")
    one, other = names
    try:
        for name in names:
            run(f"ip netns add {name}")
            run(f"ip -n {name} link set lo up")
        run(f"ip link add out netns {one} type veth peer name out netns {other}")
        for number, name in enumerate(names, 1):
            if six:
                run(f"ip netns exec {name} sysctl -qw net.ipv6.conf.out.accept_dad=0")
            else:
                run(f"ip -n {name} address add 10.77.0.{number}/24 dev out")
            run(f"ip -n {name} link set out up")
    except subprocess.CalledProcessError:
        uncable(names)
        raise
    return names


def uncable(names: tuple[str, ...]) -> None:
    for name in names:
        subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


def run(command: str) -> None:
    subprocess.run(command.split(), capture_output=True, text=True, check=True)


def on(stage: Stage, machine: str, name: str, six: bool) -> JsonClient:
    """A client on one of the machines, with --beacon and no server."""
    host = "\\:\\:" if six else "0.0.0.0"
    home = stage.place(f"{name}-home")
    client = JsonClient(
        [
            *("ip", "netns", "exec", machine, *TWISTD, "-n", "chatclient", "--home", str(home)),
            *("--id", name, "--port", f"tcp:4000:interface={host}"),
            *("--server", "none", "--beacon", "--ui", "json"),
        ],
        stage.place(f"{name}-cwd"),
        [home],
    )
    stage.programs.append(client)
    client.start()
    return client


def say(data: bytes) -> None:
    """A datagram of somebody else's."""
    (loopback,) = [one for one in interfaces() if one.address == "127.0.0.1"]
    with open_socket(loopback) as ours:
        ours.sendto(data, (GROUP4, PORT))


def test_two_unknown_clients_find_each_other_and_chat(stage: Stage) -> None:
    alice = stage.open_client("alice", "none", "--beacon")
    bob = stage.open_client("bob", "none", "--beacon")
    (shown,) = nearby(alice, "bob")
    assert (shown["host"], shown["port"]) == ("127.0.0.1", bob.port)
    assert shown["standing"] == "unconfirmed"
    nearby(bob, "alice")

    alice.send_line("/chat bob")
    bob.event("incoming", id="alice", confirmed=False, encrypted=True)
    bob.send_line("/accept alice")
    opened = alice.event("session", id="bob?", state="open", encrypted=True, security="encrypted")
    assert opened["path"]
    alice.send_line("hello")
    bob.event("message", from_="alice?", text="hello")
    bob.send_line("hello yourself")
    alice.event("message", from_="bob?", text="hello yourself")
    for client in (alice, bob):  # neither is kept as the other's key
        pins = client.places[1] / "known_peers"
        assert not pins.exists() or not pins.read_text()

    for client, other in ((alice, "bob"), (bob, "alice")):
        client.send_line(f"/verify {other} yes")
        client.event("answer", command="verify", verified=True)
        (shown,) = nearby(client, other)
        assert shown["standing"] == "verified"


def test_without_beacon_nothing_is_announced_or_found(stage: Stage) -> None:
    alice = stage.open_client("alice", "none", "--beacon")
    bob = stage.open_client("bob", "none")
    bob.send_line("/nearby")
    bob.event("error", command="nearby", text=lambda text: "--beacon" in str(text))
    alice.send_line("/nearby")
    assert "bob" not in [one["id"] for one in alice.event("answer", command="nearby")["people"]]
    alice.send_line("/chat bob")
    alice.event("error", text=lambda text: '"bob" is not nearby' in str(text))


def test_beacon_with_a_false_key_is_not_called(stage: Stage) -> None:
    """The key that was told must be the one that TLS shows; rubbish is passed over."""
    alice = stage.open_client("alice", "none", "--beacon")
    bob = stage.open_client("bob", "none", "--beacon")
    nearby(alice, "bob")
    for rubbish in (b"", b"\0" * 200, b"BEACON\r\n\r\n", b"x" * 1400):
        say(rubbish)
    say(f"BEACON\r\nclientID: carol\r\nKey: {KEY}\r\nPort: {bob.port}\r\n\r\n".encode())
    nearby(alice, "bob", "carol")
    alice.send_line("/chat carol")
    over = alice.event("session", id="carol?", state="closed")
    assert "not the key of carol" in over["reason"]
    alice.send_line("/chat bob")
    bob.event("incoming", id="alice")


@pytest.mark.parametrize("six", [False, True], ids=["IPv4", "IPv6 with link-local addresses only"])
def test_two_machines_on_a_wire_without_a_server(stage: Stage, six: bool) -> None:
    """Each program in a network namespace of its own; on one cable."""
    try:
        machines = cable(six)
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no network namespaces here: {error.stderr.strip()}")
    except FileNotFoundError as error:
        pytest.skip(f"no network namespaces here: there is no {error.filename}")
    try:
        alice = on(stage, machines[0], "alice", six)
        bob = on(stage, machines[1], "bob", six)
        (shown,) = nearby(alice, "bob")
        assert str(shown["host"]).startswith("fe80::" if six else "10.77.0."), shown
        alice.send_line("/chat bob")
        bob.event("incoming", id="alice", confirmed=False)
        bob.send_line("/accept alice")
        alice.event("session", id="bob?", state="open", security="encrypted")
        alice.send_line("hello")
        bob.event("message", from_="alice?", text="hello")
    finally:
        stage.end()
        uncable(machines)
