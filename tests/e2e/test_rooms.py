"""Rooms from end to end: real programs, a real server, and its lobby's port."""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.dialects.test_lobby import Member
from tests.e2e.harness import JsonClient, Program, Stage, free_port, other_port
from tests.e2e.proxy import Proxy
from tests.long import LONG, some


def member(stage: Stage, name: str, server: int, room: str = "#den", **how: Any) -> JsonClient:
    """A client that is in `room`."""
    arguments = (
        "--id", name, "--port", "tcp:0:interface=127.0.0.1",
        "--server", f"127.0.0.1:{server}", "--ui", "json",
    )  # fmt: skip
    client: JsonClient = stage.start("chatclient", *arguments, kind=JsonClient, **how)
    client.start()
    client.event("registered")
    client.send_line(f"/join {room}")
    client.event("room", room=room, change="joined", own=True)
    return client


def test_room_messages_arrive_once_and_in_one_order(stage: Stage) -> None:
    _, port = stage.server()
    people = [member(stage, name, port) for name in ("alice", "bob", "carol")]
    for number in range(5):
        for one in people:
            one.send_line(f"{one.id} {number}")
    seen = []
    for one in people:
        one.wait_for(lambda: len(spoken(one)) == 15, "all that was said")  # noqa: B023
        seen.append(spoken(one))
    assert seen[0] == seen[1] == seen[2]
    assert [number for number, _, _ in seen[0]] == sorted({number for number, _, _ in seen[0]})


def spoken(client: JsonClient) -> list[tuple[int, str, str]]:
    """Number, speaker and text of all that was said in rooms, its own too, in the order it was told."""
    return [
        (event["id"], event.get("from", client.id), event["text"])
        for event in client.events()
        if event["event"] in ("message", "sent") and "room" in event
    ]


def assert_same(people: list[JsonClient], texts: list[str]) -> None:
    """All of them were told all of `texts`, each once and in the same order."""
    for one in people:
        one.wait_for(lambda: len(spoken(one)) >= len(texts), "all that was said")  # noqa: B023
    seen = [spoken(one) for one in people]
    assert all(one == seen[0] for one in seen)
    assert sorted(text for _, _, text in seen[0]) == sorted(texts)
    numbers = [number for number, _, _ in seen[0]]
    assert numbers == sorted(set(numbers))
    for one in people:
        lost = [event for event in one.events() if event["event"] in ("undelivered", "uncertain")]
        assert lost == []


def test_returning_member_hears_missed_messages_once(stage: Stage) -> None:
    _, port = stage.server()
    with proxied(port) as proxy:
        alice, bob = member(stage, "alice", port), member(stage, "bob", proxy.port)
        texts = []
        for round_ in range(3):
            proxy.refuse(True)
            proxy.cut(reset=bool(round_ % 2))
            bob.event("notice")
            for number in range(3):
                texts.append(f"alice {round_} {number}")
                alice.send_line(texts[-1])
                alice.event("sent", text=texts[-1])
            texts.append(f"bob {round_}")
            bob.send_line(texts[-1])
            proxy.refuse(False)
            bob.event("room", change="joined", own=True, again=True)
            bob.event("sent", text=texts[-1])
        assert_same([alice, bob], texts)
        history = [event["text"] for event in bob.events() if event.get("history")]
        assert history == [text for text in texts if text.startswith("alice")]


@pytest.mark.parametrize("place", some(1, [400, 1, 100, 1000, 1500, 2000]))
def test_each_message_arrives_once_despite_cuts(stage: Stage, place: int) -> None:
    _, port = stage.server()
    with proxied(port) as proxy:
        alice, bob = member(stage, "alice", port), member(stage, "bob", proxy.port)
        proxy.after(place)
        texts = []
        for number in range(12):
            for one in (alice, bob):
                texts.append(f"{one.id} {number}")
                one.send_line(texts[-1])
        assert_same([alice, bob], texts)
        assert proxy.cuts == 1


def test_killed_server_loses_no_room_message(stage: Stage) -> None:
    port = free_port()
    home = stage.place("server-home")
    server = started(stage, port, home)
    alice, bob = (member(stage, name, port) for name in ("alice", "bob"))
    texts: list[str] = []
    for round_ in range(3):
        for number in range(4):
            for one in (alice, bob):
                texts.append(f"{one.id} {round_} {number}")
                one.send_line(texts[-1])
        alice.event("sent", text=f"alice {round_} 1")
        server.signal(signal.SIGKILL)
        server.wait()
        server = started(stage, port, home)
        for one in (alice, bob):
            one.event("room", change="joined", own=True, again=True)
    assert_same([alice, bob], texts)


@pytest.mark.skipif(shutil.which("nc") is None, reason="there is no netcat here")
def test_the_lobby_is_one_room_for_netcat_raw_and_classic_clients_and_ours(stage: Stage) -> None:
    server, port = stage.server("--lobby", "tcp:0:interface=127.0.0.1")
    raw = other_port(server, "lobby")
    alice, bob = (member(stage, name, port, "#lobby") for name in ("alice", "bob"))
    netcat = Program(["nc", "127.0.0.1", str(raw)], stage.place("netcat"))
    stage.programs.append(netcat)
    netcat.send_line("/nick netta")
    alice.event("room", change="joined", id="netta", role="open")
    rawley = Member(raw)
    rawley.say("/nick rawley")
    alice.event("room", change="joined", id="rawley", role="open")
    classy = stage.client("classy", port)
    classy.send_line(f"/chat --as lobby 127.0.0.1:{raw}")
    classy.event("session", state="open")
    classy.send_line("//nick classy")
    alice.event("room", change="joined", id="classy", role="open")
    texts = []
    for speaker, say in {
        "alice": alice.send_line,
        "bob": bob.send_line,
        "netta": netcat.send_line,
        "rawley": rawley.say,
        "classy": classy.send_line,
    }.items():
        texts.append(f"hello of {speaker}")
        say(texts[-1])
        for one in (alice, bob):
            if one.id != speaker:
                event = one.event("message", room="#lobby", text=texts[-1])
                assert event["from"] == speaker
        if speaker != "netta":
            netcat.expect(f"{speaker}: {texts[-1]}")
        if speaker != "rawley":
            rawley.expect(f"{speaker}: {texts[-1]}")
        if speaker != "classy":
            heard = f"{speaker}: {texts[-1]}"
            classy.event("message", text=lambda text: heard in text)  # noqa: B023
    assert_same([alice, bob], texts)
    alice.send_line("/names")
    people = alice.event("answer", command="names")["members"]
    roles = {one["id"]: one["role"] for one in people}
    open_ = dict.fromkeys(("netta", "rawley", "classy"), "open")
    assert roles == {"alice": "member", "bob": "member", **open_}
    rawley.close()


@LONG
def test_a_paste_of_a_hundred_lines_on_a_terminal_is_one_message(stage: Stage) -> None:
    _, port = stage.server()
    bob = member(stage, "bob", port)
    alice = stage.start(
        "chatclient", "--id", "alice", "--port", "tcp:0:interface=127.0.0.1",
        "--server", f"127.0.0.1:{port}", "--ui", "plain", terminal=True,
    )  # fmt: skip
    alice.expect(re.compile("registered with"))
    alice.send_line("/join den")
    alice.expect("* in #den, with 1 other (the server can read)")
    lines = [f"line {number}" for number in range(100)]
    alice.send("".join(f"{line}\n" for line in lines).encode())
    assert bob.event("message")["text"] == "\n".join(lines)
    bob.send_line(json.dumps("two\nlines"))
    alice.expect("#den bob> two")
    alice.expect("#den bob> lines")


@LONG
def test_the_plain_interface_shows_rooms_as_lines(stage: Stage) -> None:
    _, port = stage.server()
    bob = member(stage, "bob", port)
    options = (
        "--id", "alice", "--port", "tcp:0:interface=127.0.0.1",
        "--server", f"127.0.0.1:{port}", "--ui", "plain",
    )  # fmt: skip
    alice = stage.start("chatclient", *options)
    alice.expect(re.compile("registered with"))
    alice.send_line("/join den")
    alice.send_line("hello")
    alice.expect("* in #den, with 1 other (the server can read)")
    assert bob.event("message", room="#den")["from"] == "alice"
    bob.send_line("/topic tea")
    alice.expect("* #den bob set the topic: tea")
    bob.send_line("good day")
    alice.expect("#den bob> good day")
    alice.send_line("/who")
    alice.expect("* #den: 2 members, current")
    alice.send_line("/history 2")
    alice.expect(re.compile(r"^\d\d:\d\d #den alice> hello$"))
    alice.expect(re.compile(r"^\d\d:\d\d #den bob> good day$"))
    alice.signal(signal.SIGKILL)
    alice.wait()
    bob.event("room", change="parted", id="alice")
    bob.send_line("said meanwhile")
    bob.event("sent", text="said meanwhile")
    alice = stage.start("chatclient", *options, home=alice.places[1])
    alice.expect("* in #den, with 1 other (the server can read)")
    alice.expect("* 1 message in #den since you were last there")
    alice.expect(re.compile(r"^\d\d:\d\d #den bob> said meanwhile$"))
    alice.send_line("/search meanwhile")
    alice.expect(re.compile(r"^\d\d:\d\d #den bob> said meanwhile$"))
    bob.send_line("/kick alice too loud")
    alice.expect("* #den bob removed you (too loud)")
    alice.end_input()
    assert alice.wait() == 0


def test_piped_room_messages_all_arrive_before_the_end(stage: Stage) -> None:
    _, port = stage.server("--limits", "say-rate=200")
    bob = member(stage, "bob", port)
    alice = member(stage, "alice", port)
    texts = [str(number) for number in range(600)]
    alice.send("".join(f"{text}\n" for text in texts).encode())
    alice.end_input()
    assert alice.wait() == 0
    bob.wait_for(lambda: len(bob.heard()) == len(texts), "all of it")
    assert bob.heard() == texts


def started(stage: Stage, port: int, home: Path) -> Program:
    """A server that keeps what it knows in `home`."""
    options = ("--port", f"tcp:{port}:interface=127.0.0.1")
    server: Program = stage.start("chatserver", *options, home=home)
    server.expect(re.compile(r"^Server listening on"))
    return server


@contextlib.contextmanager
def proxied(port: int) -> Iterator[Proxy]:
    """A proxy before the server at `port`."""
    proxy = Proxy("127.0.0.1", port)
    try:
        yield proxy
    finally:
        proxy.close()
