"""A message is for a key: names, servers, plain callers and replaced keys never change that."""

from __future__ import annotations

import re
import socket
from pathlib import Path

from tests.e2e.harness import JsonClient, Stage
from tests.e2e.scripts import Person
from tests.long import LONG


def people(stage: Stage, port: int, *names: str) -> list[Person]:
    return [Person(stage, name, port) for name in names]


def meet(caller: JsonClient, callee: JsonClient) -> None:
    """A call from the first to the second, and a message that arrives."""
    caller.send_line(f"/chat {callee.id}")
    callee.event("incoming", id=caller.id)
    callee.send_line(f"/accept {caller.id}")
    caller.event("session", id=callee.id, state="open")
    caller.send_line("hello")
    callee.event("message", from_=caller.id, text="hello")
    caller.event("delivered", to=callee.id)


def leave(*clients: JsonClient) -> None:
    for client in clients:
        client.end_input()
        client.wait()


def key(client: JsonClient) -> str:
    """The client's own key."""
    client.send_line("/status")
    return str(client.event("answer", command="status")["key"])


def texts(client: JsonClient) -> str:
    return " ".join(str(event.get("text", "")) for event in client.events())


def test_a_queued_message_stays_for_its_key_at_a_server_with_another_bob(stage: Stage) -> None:
    _, first = stage.server()
    _, second = stage.server()
    alice, bob = people(stage, first, "alice", "bob")
    here, there = alice.client(), bob.client()
    meet(here, there)
    here.send_line("/verify bob yes")
    here.event("answer", command="verify")
    leave(there, here)

    [other] = people(stage, second, "bob")
    impostor = other.client()
    alice.port = second
    assert alice.do("send", "bob", "for the first bob")[0] == 3
    here = alice.client()
    here.send_line("/msg @bob for the first bob alone")
    waits = here.event("notice", to="bob")
    told = here.event("notice", text=lambda text: "another key" in text)["text"]
    assert re.search(r"^bob at 127\.0\.0\.1:\d+ has another key now, sha256:", told), told
    assert key(impostor) in told
    here.send_line("/chat bob")
    here.event("error", command="chat", id="bob", code="other-key")
    here.send_line(f"/unsend {waits['id']} bob")  # it is in the outbox still
    here.event("undelivered", to="bob", id=waits["id"], text="for the first bob alone")
    here.send_line("/msg @bob for the first bob at last")
    here.event("notice", to="bob", id=lambda id: id is not None)

    # The bob of this server is reached by a name of his own.
    here.send_line(f"/chat @bob@127.0.0.1:{second}")
    impostor.event("incoming", id="alice")
    impostor.send_line("/accept alice")
    opened = here.event("session", state="open")["id"]
    assert opened != "bob"
    here.send_line("for the second")
    impostor.event("message", text="for the second")
    assert impostor.heard() == ["for the second"]
    leave(here)

    # Neither server is used now, so that bob may be either.
    loner: JsonClient = stage.start(
        "chatclient", "--id", "alice", "--server", "none", "--ui", "json", "--port",
        "tcp:0:interface=127.0.0.1", kind=JsonClient, home=alice.home,
    )  # fmt: skip
    loner.start()
    loner.send_line("/msg @bob which?")
    which = loner.event("error", command="msg")["text"]
    names = re.findall(r"bob@127\.0\.0\.1:\d+", which)
    assert sorted(names) == sorted(f"bob@127.0.0.1:{port}" for port in (first, second)), which
    loner.send_line(f"/msg @bob@127.0.0.1:{first} and this")
    assert loner.event("notice", id=lambda id: id is not None)["to"] == f"bob@127.0.0.1:{first}"
    leave(loner)

    alice.port = first
    there, here = bob.client(), alice.client()
    there.event("message", text="for the first bob at last")
    there.event("message", text="and this")
    assert "for the first" not in texts(impostor)


def test_plain_caller_with_a_pinned_id_is_another_peer(stage: Stage) -> None:
    _, port = stage.server()
    alice, bob = people(stage, port, "alice", "bob")
    here, there = alice.client("--open", "--answer", "all"), bob.client()
    meet(here, there)
    leave(there)
    here.event("session", id="bob", state="closed")
    with socket.create_connection(("127.0.0.1", here.port)) as plain:
        plain.sendall(b"CHAT\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 4000\r\n\r\n")
        here.event("session", id="bob~open", state="open", encrypted=False)
        plain.sendall(b"I am bob\r\n")
        here.event("message", from_="bob~open", text="I am bob")
        assert alice.do("send", "bob", "for the keyed one")[0] == 4
        here.send_line("/msg @bob for the keyed one too")
        here.event("notice", to="bob", id=lambda id: id is not None)
        there = bob.client()
        for text in ("for the keyed one", "for the keyed one too"):
            there.event("message", from_="alice", text=text)
        here.send_line("/msg @bob~open for you")
        plain.settimeout(30)
        heard = b""
        while b"for you" not in heard:
            heard += plain.recv(4096)
        assert b"keyed" not in heard


@LONG
def test_after_trust_queued_messages_are_sent_only_on_request(stage: Stage) -> None:
    server, port = stage.server()
    alice, bob = people(stage, port, "alice", "bob")
    here, there = alice.client(), bob.client()
    meet(here, there)
    leave(there)
    here.event("session", id="bob", state="closed")
    for text in ("one", "two"):
        here.send_line(f"/msg @bob {text}")
        here.event("notice", to="bob", id=lambda id: id is not None)
    (bob.home / "key.pem").rename(bob.home / "old.pem")
    server.send_line("/free bob")
    server.expect(re.compile("bob"))
    there = bob.client()
    here.send_line(f"/trust bob {key(there)}")
    for text in ("one", "two"):
        told = here.event("undelivered", to="bob", text=text)
        assert "/resend bob" in told["reason"]
    here.send_line("/chat bob")
    there.event("incoming", id="alice")
    there.send_line("/accept alice")
    here.event("session", id="bob", state="open")
    here.send_line("now")
    there.event("message", text="now")
    assert there.heard() == ["now"]
    here.send_line("/resend bob")
    for text in ("one", "two"):
        there.event("message", text=text)
    here.send_line("/resend bob")
    here.event("error", command="resend", code="not-found")


def test_unconfirmed_names_stay_so_in_the_log_and_the_ignored_stay_ignored(stage: Stage) -> None:
    callee: JsonClient = stage.open_client("alice")
    home = Path(callee.command[callee.command.index("--home") + 1])
    mal: JsonClient = stage.open_client("mal")
    mal.send_line(f"/chat 127.0.0.1:{callee.port}")
    callee.event("incoming", id="mal", confirmed=False)
    callee.send_line("/accept mal?")
    callee.event("session", id="mal?", state="open")
    mal.send_line("trust me")
    callee.event("message", from_="mal?", text="trust me")
    callee.send_line("/history")
    callee.event("message", from_="mal?", text="trust me", history=True)
    callee.send_line("/ignore mal?")
    callee.event("session", id="mal?", state="closed")
    leave(callee)
    again: JsonClient = stage.start(
        "chatclient", "--id", "alice", "--server", "none", "--ui", "json", "--port",
        "tcp:0:interface=127.0.0.1", kind=JsonClient, home=home,
    )  # fmt: skip
    again.start()
    again.send_line("/search trust")
    again.event("message", from_="mal?", text="trust me", history=True)
    mal.event("session", state="closed")
    mal.send_line(f"/chat 127.0.0.1:{again.port}")
    mal.event("session", state="closed", code="declined")
    again.send_line("/ignore")
    [ignored] = again.event("answer", command="ignore")["ignored"]
    assert ignored["id"] == "mal"
    again.send_line("/ignore off mal")
    again.event("notice", text="mal is no longer ignored")
    mal.send_line(f"/chat 127.0.0.1:{again.port}")
    again.event("incoming", id="mal", confirmed=False)
