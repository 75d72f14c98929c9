"""Servers that share one Redis, as programs: their clients find each other wherever they are."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chatproto.identity.keys import new_identity
from chatproto.wire import bcp2_rooms, bcp2_server
from chatproto.wire.bcp2_common import Error
from tests.e2e.dialects.test_lobby import Member
from tests.e2e.harness import LIMIT, Stage
from tests.e2e.roamer import Ear
from tests.e2e.several import Several
from tests.e2e.test_accounts import passwd
from tests.e2e.test_server_process import REGISTER, ask, run
from tests.redis_process import Redis

ROOM = "#tea"


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Redis]:
    folder = tmp_path / "redis"
    folder.mkdir()
    one = Redis(folder)
    yield one
    one.kill()


@pytest.fixture
def two(stage: Stage, redis: Redis) -> Several:
    return Several(stage, redis, 2)


def registered(port: int, folder: Path, name: str) -> Ear:
    ear = Ear(port, folder)
    assert isinstance(ear.ask(bcp2_server.Register(1, name, 5000)), bcp2_server.RegAck)
    return ear


def until(fact: Callable[[], bool], what: str) -> None:
    """Ask again and again; nothing tells when it will be so."""
    deadline = time.monotonic() + LIMIT
    while not fact():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def test_clients_of_different_servers_meet(two: Several, tmp_path: Path) -> None:
    assert "registered" in ask(two.ports[0], REGISTER.format("classic"))
    until(lambda: "classic 127.0.0.1:3000" in ask(two.ports[1], "INFO\r\n\r\n"), "classic")
    alice = registered(two.ports[0], tmp_path, "alice")
    bob = registered(two.ports[1], tmp_path, "bob")
    bob.ask(bcp2_server.Watch(2, "alice"))
    found = bob.ask(bcp2_server.Bridge(3, "alice"))
    called = alice.push(bcp2_server.Introduce)
    assert (found.client_id, called.client_id, found.call) == ("alice", "bob", called.call)
    assert found.relay == called.relay == ("127.0.0.1", two.ports[1])
    pipe = [joining(found.relay, one.ticket) for one in (found, called)]
    for end in pipe:
        assert_joined(end)
    for near, far in (pipe, pipe[::-1]):
        near.sendall(b"\x16 through the relay")
        assert far.recv(100) == b"\x16 through the relay"
    for end in pipe:
        end.close()
    for one in (alice, bob):
        assert isinstance(one.ask(bcp2_rooms.Join(4, ROOM)), bcp2_rooms.JoinAck)
    number = alice.ask(bcp2_rooms.Say(5, ROOM, "hello")).id
    assert (bob.push(bcp2_rooms.Said).id, bob.ask(bcp2_rooms.Say(6, ROOM, "hi")).id) == (
        number,
        number + 1,
    )
    assert alice.push(bcp2_rooms.Said).text == "hi"
    alice.close()
    assert bob.push(bcp2_rooms.Parted).peer_id == "alice"


def joining(where: tuple[str, int], ticket: str) -> socket.socket:
    """Connect to the relay with a ticket."""
    end = socket.create_connection(where, LIMIT)
    end.sendall(f"RELAY\r\nTicket: {ticket}\r\n\r\n".encode())
    return end


def assert_joined(end: socket.socket) -> None:
    answer = b""
    while not answer.endswith(b"\r\n\r\n"):
        answer += end.recv(1) or pytest.fail(f"the relay ended after {answer!r}")
    assert answer.startswith(b"RELAYACK"), answer


def test_real_programs_talk_across_servers(two: Several, stage: Stage) -> None:
    alice = stage.open_client("alice", f"127.0.0.1:{two.ports[0]}", "--answer", "all")
    bob = stage.open_client("bob", f"127.0.0.1:{two.ports[1]}")
    for one in (alice, bob):
        one.event("registered")
        one.send_line(f"/join {ROOM}")
        one.event("room", room=ROOM, change="joined", own=True)
    bob.send_line("in the room")
    alice.event("message", text="in the room", room=ROOM)
    bob.send_line("/chat alice")
    alice.send_line("/accept bob")
    bob.event("session", id="alice", state="open")
    bob.send_line("directly")
    alice.event("message", text="directly", from_="bob")


def test_real_programs_at_two_servers_meet_at_a_relay(two: Several, stage: Stage) -> None:
    relay = ("--path", "relay", "--answer", "all")
    alice = stage.open_client("alice", f"127.0.0.1:{two.ports[0]}", *relay)
    bob = stage.open_client("bob", f"127.0.0.1:{two.ports[1]}", *relay)
    for one in (alice, bob):
        one.event("registered")
    bob.send_line("/chat alice")
    alice.event("incoming", id="bob")
    alice.send_line("/accept bob")
    bob.event("session", id="alice", state="open")
    bob.send_line("through a relay")
    alice.event("message", text="through a relay", from_="bob")


def test_real_programs_go_on_at_another_server(two: Several, stage: Stage) -> None:
    first, second = (f"127.0.0.1:{port}" for port in two.ports)
    alice = stage.open_client("alice", first, "--server", second)
    bob = stage.open_client("bob", second, "--server", first)
    for one in (alice, bob):
        one.event("registered")
        one.send_line(f"/join {ROOM}")
        one.event("room", room=ROOM, change="joined", own=True)
    two.kill(0)
    bob.send_line("while alice is away")
    alice.event("registered", server=second)
    alice.event("message", text="while alice is away", room=ROOM)
    alice.send_line("here again")
    bob.event("message", text="here again", room=ROOM)
    bob.send_line("/bridge alice")
    bob.event("bridged", id="alice")


def test_the_lobby_in_bare_text_is_one(stage: Stage, redis: Redis, tmp_path: Path) -> None:
    several = Several(stage, redis, 2, "--lobby", "tcp:0:interface=127.0.0.1")
    ports = []
    for server in several.servers:
        found = [re.search(r"lobby listening on 127.0.0.1:(\d+)$", line) for line in server.lines]
        ports += [int(one[1]) for one in found if one]
    alice = registered(several.ports[0], tmp_path, "alice")
    alice.ask(bcp2_rooms.Join(2, "#lobby"))
    here, there = Member(ports[0]), Member(ports[1])
    here.expect("welcome, (guest-1)")
    name = there.expect("welcome, (.*?):")[1]
    here.say("/nick bob\n")
    here.expect("you are bob")
    there.expect("bob joined")
    here.say("hello\n")
    there.expect("bob: hello")
    assert alice.push(bcp2_rooms.Said).sender == "bob"
    alice.send(bcp2_rooms.Say(3, "#lobby", "hi all"))
    for one in (here, there):
        one.expect("alice: hi all")
    there.say("/nick bob\n")
    there.expect("is taken: choose another")
    several.kill(0)
    there.expect("bob left")
    assert name != "bob"
    for one in (here, there):
        one.close()


@pytest.mark.parametrize("how", ["killed", "hung"])
def test_unreachable_redis_is_503_and_recovers(two: Several, tmp_path: Path, how: str) -> None:
    alice = registered(two.ports[0], tmp_path, "alice")
    bob = registered(two.ports[1], tmp_path, "bob")
    for one in (alice, bob):
        one.ask(bcp2_rooms.Join(2, ROOM))
    first = alice.ask(bcp2_rooms.Say(3, ROOM, "before")).id
    assert bob.push(bcp2_rooms.Said).id == first
    if how == "killed":
        two.redis.kill()
    else:
        two.redis.signal(signal.SIGSTOP)
    # A request before that is answered when Redis is back.
    logs = [home / "chatserver.log" for home in two.homes]
    until(lambda: all(" is not reachable: " in log.read_text() for log in logs), "away")
    assert "503" in ask(two.ports[0], REGISTER.format("carol"))
    assert is_away(bob.ask(bcp2_rooms.Say(4, ROOM, "lost")))
    assert is_away(bob.ask(bcp2_rooms.History(5, ROOM)))
    assert bob.ask(bcp2_rooms.Names(6, ROOM)).count == 2
    if how == "killed":
        two.redis.start()
    else:
        two.redis.signal(signal.SIGCONT)
    until(lambda: not is_away(bob.ask(bcp2_rooms.History(5, ROOM))), "no more 503")
    assert bob.shown == [first]
    until(lambda: not is_away(alice.ask(bcp2_rooms.Say(7, ROOM, "after"))), "no more 503")
    assert bob.push(bcp2_rooms.Said).text == "after"
    until(lambda: "registered" in ask(two.ports[1], REGISTER.format("carol")), "registered")


def is_away(answer: Any) -> bool:
    if not isinstance(answer, Error):
        return False
    assert (answer.status, answer.retry_after is not None) == (503, True), answer
    return True


def test_server_starts_before_its_redis(stage: Stage, redis: Redis, tmp_path: Path) -> None:
    redis.kill()
    several = Several(stage, redis, 1)
    several.servers[0].expect(
        re.compile(rf"\* cannot reach {redis.url}: .+, clients are told to reconnect later")
    )
    assert "503" in ask(several.ports[0], REGISTER.format("alice"))
    redis.start()
    port = several.ports[0]
    until(lambda: "registered" in ask(port, REGISTER.format("alice")), "registered")


def test_all_servers_and_redis_may_end_and_nothing_is_lost(
    stage: Stage, two: Several, tmp_path: Path
) -> None:
    alice = registered(two.ports[0], tmp_path, "alice")
    alice.ask(bcp2_rooms.Join(2, ROOM))
    said = alice.ask(bcp2_rooms.Say(3, ROOM, "hello")).id
    for number in range(2):
        two.kill(number)
    two.redis.kill()
    two.redis.start()
    two.again(1)
    bob = registered(two.ports[1], tmp_path, "bob")
    taken = bob.ask(bcp2_server.Register(2, "alice", 5000))
    assert isinstance(taken, Error) and taken.status == 409
    bob.ask(bcp2_rooms.Join(3, ROOM))
    bob.ask(bcp2_rooms.History(4, ROOM))
    assert bob.shown == [said]


def test_new_server_with_other_limits_finds_all_data(
    stage: Stage, redis: Redis, tmp_path: Path
) -> None:
    two = Several(stage, redis, 2, "--limits", "say-rate=10000")
    alice = registered(two.ports[0], tmp_path, "alice")
    alice.ask(bcp2_rooms.Join(2, ROOM))
    for number in range(1000):
        alice.ask(bcp2_rooms.Say(3, ROOM, f"text {number}"))
    two.kill(1)
    two.options += ("--limits", "names=7")
    two.again(1)
    bob = registered(two.ports[1], tmp_path, "bob")
    bob.ask(bcp2_rooms.Join(2, ROOM))
    bob.ask(bcp2_rooms.History(3, ROOM))
    assert bob.lines[-1] == "text 999" and len(bob.lines) == 1000
    found = bob.ask(bcp2_server.Bridge(4, "alice"))
    assert (
        isinstance(found, bcp2_server.BridgeAck)
        and alice.push(bcp2_server.Introduce).client_id == "bob"
    )


def test_a_server_of_another_key_is_one_line_and_code_2(
    stage: Stage, redis: Redis, tmp_path: Path
) -> None:
    Several(stage, redis, 1)
    home = tmp_path / "other"
    home.mkdir()
    where = ("--port", "tcp:0:interface=127.0.0.1", "--store", redis.url)
    ended: subprocess.CompletedProcess[str] = run(tmp_path, "--home", str(home), *where)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.count("\n") == 1
    assert "belongs to servers with the key sha256:" in ended.stderr


def test_stopping_server_notifies_the_others(two: Several, tmp_path: Path) -> None:
    alice = registered(two.ports[0], tmp_path, "alice")
    bob = registered(two.ports[1], tmp_path, "bob")
    for one in (bob, alice):
        one.ask(bcp2_rooms.Join(2, ROOM))
    begun = time.monotonic()
    two.servers[0].signal(signal.SIGTERM)
    two.servers[0].wait()
    assert bob.push(bcp2_rooms.Parted).peer_id == "alice"
    assert time.monotonic() - begun < 8


def test_continued_server_undoes_nothing(stage: Stage, redis: Redis, tmp_path: Path) -> None:
    """Have alice, and somebody in plain text, leave requests in the sockets of a stopped server."""
    limits = "server-beat=0.2", "server-lapse=2"
    two = Several(stage, redis, 2, *(word for one in limits for word in ("--limits", one)))
    first, second = two.ports
    identity = new_identity()
    old, bob = Ear(first, tmp_path, identity), registered(second, tmp_path, "bob")
    assert isinstance(old.ask(bcp2_server.Register(1, "alice", 5000)), bcp2_server.RegAck)
    two.servers[0].signal(signal.SIGSTOP)
    old.send(bcp2_server.Register(2, "alice", 6000))
    plain = socket.create_connection(("127.0.0.1", first), LIMIT)
    plain.sendall(REGISTER.format("ann").encode())
    until(lambda: "alice" not in str(bob.ask(bcp2_server.Info(2))), "given up")
    new = Ear(second, tmp_path, identity)
    assert isinstance(new.ask(bcp2_server.Register(1, "alice", 5001)), bcp2_server.RegAck)
    assert "registered" in ask(second, REGISTER.format("ann").replace("3000", "4000"))
    two.servers[0].signal(signal.SIGCONT)
    assert b"503" in plain.recv(1000)
    plain.close()
    until(lambda: "registered" in ask(first, REGISTER.format("carol")), "it serves again")
    found = bob.ask(bcp2_server.Bridge(3, "alice"))
    assert found.addresses[0][1] == 5001, found
    assert isinstance(new.ask(bcp2_server.Observe(3)), bcp2_server.ObserveAck)
    assert "ann 127.0.0.1:4000" in ask(second, "INFO\r\n\r\n")


def test_accounts_are_one_list_for_all_servers(stage: Stage, redis: Redis, tmp_path: Path) -> None:
    store = ("--store", redis.url)
    assert passwd("add", "alice", *store, typed="wonderland\n") == "account added: alice\n"
    several = Several(stage, redis, 2, "--auth", "redis", "--require", "login")
    identity = new_identity()

    def login(number: int, word: str) -> Any:
        ear = Ear(several.ports[number], tmp_path, identity)
        answer = ear.ask(bcp2_server.Login(1, "alice", word))
        ear.close()
        return answer

    assert isinstance(login(0, "wonderland"), bcp2_server.LoginAck)
    assert isinstance(login(1, "wonderland"), bcp2_server.LoginAck)
    assert login(0, "guess").status == 403
    assert passwd("list", *store) == "alice\n"
    redis.kill()
    assert is_away(login(0, "wonderland"))
    redis.start()
    assert passwd("remove", "alice", *store) == "account removed: alice\n"
    assert login(0, "wonderland").status == 403
