"""Test rooms with real programs: searching, moderating, private messages."""

from __future__ import annotations

import re
from typing import Any

from tests.e2e.harness import JsonClient, Program, Stage, free_port
from tests.e2e.test_rooms import member
from tests.long import LONG


def searched(client: JsonClient, words: str) -> list[tuple[str, str, str]]:
    """Return the results of /search: where, by whom and which text."""
    client.forget()
    client.send_line(f"/search {words}")
    client.event("answer", command="search")
    return [
        (event.get("room", ""), event["from"], event["text"])
        for event in client.events()
        if event["event"] == "message"
    ]


def again(stage: Stage, client: JsonClient, server: int, *options: str) -> JsonClient:
    """End a client and start it once more in its home."""
    home = client.places[1]
    client.send_line("/quit")  # the room
    client.event("room", change="parted", own=True)
    client.send_line("/quit")
    assert client.wait() == 0
    arguments = (
        "--id", client.id, "--port", "tcp:0:interface=127.0.0.1",
        "--server", f"127.0.0.1:{server}", "--ui", "json", *options,
    )  # fmt: skip
    back: JsonClient = stage.start("chatclient", *arguments, kind=JsonClient, home=home)
    back.start()
    back.event("registered")
    return back


@LONG
def test_room_messages_are_found_after_a_restart(stage: Stage) -> None:
    _, port = stage.server()
    alice, bob = (member(stage, name, port) for name in ("alice", "bob"))
    alice.send_line("/settings kept=no")
    alice.event("answer", command="settings", kept=False)
    alice.send_line("the kettle boils")
    bob.event("message", text="the kettle boils")
    bob.send_line("Kettle off!")
    alice.event("message", text="Kettle off!")
    wanted = [("#den", "alice", "the kettle boils"), ("#den", "bob", "Kettle off!")]
    assert searched(alice, "kettle") == wanted
    alice = again(stage, alice, port)
    assert searched(alice, "kettle") == wanted
    assert searched(alice, "kettle boils") == wanted[:1]
    assert searched(alice, "teapot") == []


def test_no_log_stores_no_room_message(stage: Stage) -> None:
    _, port = stage.server()
    alice = member(stage, "alice", port)
    quiet = again(stage, alice, port, "--no-log")
    quiet.send_line("/join den")
    quiet.event("room", change="joined", own=True)
    quiet.send_line("a word in confidence")
    quiet.event("sent", text="a word in confidence")
    assert searched(quiet, "confidence") == []
    loud = again(stage, quiet, port)
    assert searched(loud, "confidence") == []
    files = [path for path in loud.places[1].rglob("*") if path.is_file()]
    assert files and not any(b"confidence" in path.read_bytes() for path in files)


@LONG
def test_history_is_available_until_the_room_keeps_none(stage: Stage) -> None:
    _, port = stage.server()
    alice, bob = (member(stage, name, port) for name in ("alice", "bob"))
    for number in range(5):
        alice.send_line(f"line {number}")
    alice.event("sent", text="line 4")
    carol = member(stage, "carol", port)
    carol.send_line("/history 3")
    carol.event("answer", command="history", count=3)
    assert carol.heard() == ["line 2", "line 3", "line 4"]
    alice.send_line("/settings kept=no")
    bob.event("room", change="settings", by="alice")
    alice.send_line("between us")
    bob.event("message", text="between us")
    bob.send_line("/history")
    assert bob.event("answer", command="history")["count"] == 0
    bob.send_line("/settings kept=yes")
    assert bob.event("error", command="settings")["status"] == 403


def ordered(server: Program, line: str, said: str) -> None:
    """The operator types `line`."""
    server.send_line(line)
    server.expect(re.compile(f"^\\* {said}"))


def test_an_owner_an_op_and_the_operator_keep_order(stage: Stage) -> None:
    server, port = stage.server()
    alice, bob, carol = (member(stage, name, port) for name in ("alice", "bob", "carol"))

    def does(who: JsonClient, line: str, command: str, status: int | None = None) -> Any:
        who.forget()
        who.send_line(line)
        if status is None:
            return who.event("room", by=who.id)
        return who.event("error", command=command, status=status)

    does(bob, "/kick carol", "kick", 403)
    does(alice, "/op bob", "op")
    does(bob, "/mute carol 1h", "mute")
    carol.send_line("mmm")
    carol.event("undelivered", text="mmm")
    does(bob, "/kick alice", "kick", 403)
    does(bob, "/ban carol 2h", "ban")
    carol.event("room", change="parted", own=True, reason="banned")
    carol.send_line("/join den")
    assert "banned" in carol.event("error", command="join", status=403)["text"]
    ordered(server, "/unban carol #den", "done|#den|carol")
    alice.event("room", change="unbanned", id="carol", by=None)
    carol.send_line("/join den")
    carol.event("room", change="joined", own=True)
    ordered(server, "/mute carol #den 0s", "done|#den|carol")
    alice.event("room", change="unmuted", id="carol")
    carol.send_line("at last")
    alice.event("message", from_="carol", text="at last")
    ordered(server, "/op bob #den 0s", "done|#den|bob")
    alice.event("room", change="deop", id="bob")
    does(bob, "/topic mine", "topic", 403)
    ordered(server, "/topic #den of the house", "done|#den")
    bob.event("room", change="topic", text="of the house")
    ordered(server, "/set #den invited=yes", "done|#den")
    bob.event("room", change="settings")
    ordered(server, "/kick alice #den", "done|#den|alice")
    alice.event("room", change="parted", own=True)
    alice.send_line("/join den")  # who owns it needs no invitation
    alice.event("room", change="joined", own=True, role="owner")
    ordered(server, "/ban 127.0.0.1 #den 1h", "done|#den|127")
    bob.event("room", change="parted", own=True, reason="banned")
    carol.event("room", change="parted", own=True, reason="banned")


def test_private_message_bypasses_the_server_and_is_queued(stage: Stage) -> None:
    server, port = stage.server("--trace")
    alice, bob = (member(stage, name, port) for name in ("alice", "bob"))
    alice.send_line("hello all")
    bob.event("message", room="#den", text="hello all")
    alice.send_line("/chat bob")
    bob.event("incoming", id="alice")
    bob.send_line("/accept")
    alice.event("session", id="bob", state="open", encrypted=True)
    alice.send_line("/switch #den")
    alice.event("room", change="current")
    alice.send_line("/msg @bob for your eyes")
    assert "room" not in bob.event("message", text="for your eyes", from_="alice")
    home = bob.places[1]
    bob.send_line("/switch #den")
    bob.event("room", change="current")
    bob.send_line("/quit")
    bob.event("room", change="parted", own=True)
    bob.send_line("/quit alice")
    bob.send_line("/quit")
    assert bob.wait() == 0
    alice.event("bye", id="bob")
    alice.send_line("/msg @bob for your eyes too")
    alice.event("notice", to="bob", id=lambda id: id is not None)
    back: JsonClient = stage.start(
        "chatclient", "--id", "bob", "--port", f"tcp:{free_port()}:interface=127.0.0.1",
        "--server", f"127.0.0.1:{port}", "--ui", "json", kind=JsonClient, home=home,
    )  # fmt: skip
    back.start()
    back.event("message", text="for your eyes too", from_="alice")
    alice.event("delivered", to="bob")
    assert len([line for line in server.output.lines if "-> SAY" in line]) == 1
    kept = b"".join(path.read_bytes() for path in server.places[1].rglob("*.sqlite*"))
    assert b"hello all" in kept and b"for your eyes" not in kept
