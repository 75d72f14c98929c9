"""Test that nobody else can read or impersonate: real programs, recorders and a man in the middle."""

from __future__ import annotations

import contextlib
import re
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from chatproto.identity.keys import new_identity
from chatproto.wire.bcp2_peer import Chat
from chatproto.wire.strict import encode
from tests.e2e.harness import JsonClient, Program, Stage, free_port, staged
from tests.e2e.tls_wires import MiddleMan, context, dial, recorder
from tests.long import LONG, some

SECRET = "the-parrot-sings-at-midnight"
STREAM = "0123456789abcdef"


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    with staged(tmp_path) as made:
        yield made


def person(
    stage: Stage, name: str, server: int | str, *options: str, home: Path | None = None
) -> JsonClient:
    """A registered client that speaks BCP/2."""
    where = server if isinstance(server, str) else f"127.0.0.1:{server}"
    port = () if "--port" in options else ("--port", "tcp:0:interface=127.0.0.1")
    arguments = ("--id", name, *port, "--server", where, "--ui", "json", *options)
    client: JsonClient = stage.start("chatclient", *arguments, kind=JsonClient, home=home)
    client.start()
    if where != "none":
        client.event("registered")
    return client


def talk(caller: JsonClient, callee: JsonClient, accept: bool = True) -> None:
    """A call, taken, and a message each way."""
    caller.send_line(f"/chat {callee.id}")
    callee.event("incoming", id=caller.id, encrypted=True, confirmed=True)
    if accept:
        callee.send_line(f"/accept {caller.id}")
    caller.event("session", id=callee.id, state="open", encrypted=True, security="encrypted")
    caller.send_line(f"{SECRET} one")
    callee.event("message", from_=caller.id, text=f"{SECRET} one")
    caller.event("delivered", to=callee.id)
    callee.send_line(f"{SECRET} two")
    caller.event("message", from_=callee.id, text=f"{SECRET} two")


def failures(client: JsonClient) -> str:
    return " ".join(
        event["text"] for event in client.events() if event["event"] in ("error", "notice")
    )


def key_of(server: Program) -> str:
    return server.expect(re.compile(r"^\* for clients.*: --server \S+/(sha256:\S+)$"))[1]


def test_messages_are_unreadable_on_the_wire(stage: Stage) -> None:
    _, port = stage.server()
    ports = free_port(), free_port()  # either may dial the other
    with (
        recorder(port) as to_server,
        recorder(ports[0]) as to_alice,
        recorder(ports[1]) as to_bob,
    ):
        alice, bob = (
            person(
                stage, name, to_server.port, "--announce", f"127.0.0.1:{way.port}",
                "--port", f"tcp:{real}:interface=127.0.0.1",
            )
            for name, way, real in (("alicetta", to_alice, ports[0]), ("bobbington", to_bob, ports[1]))
        )  # fmt: skip
        talk(alice, bob)
        between = to_alice.recorded + to_bob.recorded
        assert len(between) > 1000 and len(to_server.recorded) > 1000
        for word in (SECRET, "alicetta", "bobbington", "CHAT", "MSG", "REGISTER"):
            assert word.encode() not in between
            assert word.encode() not in to_server.recorded


def test_a_man_in_the_middle_is_refused_at_first_contact_when_the_key_is_named(
    stage: Stage, tmp_path: Path
) -> None:
    server, port = stage.server()
    middle = MiddleMan(port, tmp_path)
    where = f"127.0.0.1:{middle.port}/{key_of(server)}"
    client = stage.open_client("alice", where)
    refused = client.event("error", command="register")
    assert middle.identity.name in refused["text"]
    assert not middle.heard
    middle.close()


def test_changed_server_key_is_refused_with_advice(stage: Stage, tmp_path: Path) -> None:
    _, port = stage.server()
    middle = MiddleMan(port, tmp_path)
    with recorder(port) as way:
        home = stage.place("alice-home")
        client = person(stage, "alice", way.port, home=home)
        client.send_line("/quit")
        assert client.wait() == 0
        way.target = middle.port
        client = stage.start(
            "chatclient", "--id", "alice", "--server", f"127.0.0.1:{way.port}", "--ui", "json",
            kind=JsonClient, home=home,
        )  # fmt: skip
        client.start()
        text = client.event("error", command="register")["text"]
        assert "known_peers, line 1" in text
        assert f"--server 127.0.0.1:{way.port}/{middle.identity.name}" in text
    assert not middle.heard
    middle.close()


def test_peer_with_another_key_is_refused_until_trusted(stage: Stage) -> None:
    server, port = stage.server()
    alice_home = stage.place("alice-home")
    alice = person(stage, "alice", port, home=alice_home)
    bob = person(stage, "bob", port)
    talk(alice, bob)
    bob.send_line("/quit")
    alice.event("bye", id="bob")
    bob.send_line("/quit")
    assert bob.wait() == 0
    server.send_line("/free bob")
    server.expect('* "bob" is free: any key can register it now')
    other = person(stage, "bob", port)
    alice.forget()
    alice.send_line("/chat bob")
    text = alice.event("error", command="chat")["text"]
    assert "known_peers, line" in text and "/trust bob sha256:" in text
    other.send_line("/chat alice")
    alice.event("error", status=403)
    assert other.event("session", id="alice", state="closed")["code"] == "refused"
    key = re.search(r"/trust bob (sha256:\w+)", text)
    assert key
    alice.send_line(f"/trust bob {key[1]}")
    alice.event("answer", command="trust")
    talk(alice, other)


def test_an_impostor_is_unconfirmed_never_taken_by_itself_and_never_pinned(
    stage: Stage, tmp_path: Path
) -> None:
    _, port = stage.server()
    home = stage.place("bob-home")
    bob = person(stage, "bob", port, "--answer", "all", home=home)
    person(stage, "alice", port)
    before = (home / "known_peers").read_text()
    impostor = dial(bob.port, tmp_path, new_identity())
    impostor.sendall(encode(Chat("alice", "full", STREAM)))
    call = bob.event("incoming", id="alice", confirmed=False, encrypted=True)
    assert call["ask"] is True
    bob.send_line("/accept alice")
    bob.event("session", id="alice?", state="open", security="encrypted")
    assert impostor.recv(65536).startswith(b"CHATACK\r\n")
    assert (home / "known_peers").read_text() == before


@LONG
def test_two_clients_of_one_account_have_two_keys(stage: Stage) -> None:
    _, port = stage.server()
    alice, bob = person(stage, "alice", port), person(stage, "bob", port)
    for client in (alice, bob):
        client.send_line("/status")
    assert (
        alice.event("answer", command="status")["key"]
        != bob.event("answer", command="status")["key"]
    )


def test_only_accepted_callers_are_answered_at_once(stage: Stage) -> None:
    _, port = stage.server()
    alice, bob = person(stage, "alice", port), person(stage, "bob", port)
    talk(alice, bob)
    alice.send_line("/quit")
    bob.event("bye", id="alice")
    bob.forget()
    talk(alice, bob, accept=False)
    alice.send_line("/quit")
    bob.event("bye", id="alice")
    carol = person(stage, "carol", port)
    carol.send_line("/chat bob")
    assert bob.event("incoming", id="carol")["ask"] is True
    bob.send_line("/decline")
    carol.event("session", id="bob", state="closed", code="declined")


def test_calls_that_cross_are_one_conversation(stage: Stage, pytestconfig: pytest.Config) -> None:
    """So often that the two dials, from the ports on which they listen, meet as one connection too."""
    _, port = stage.server("--limits", "introductions-from=1000")
    alice = person(stage, "alice", port, "--answer", "all")
    bob = person(stage, "bob", port, "--answer", "all")
    for number in range(60 if pytestconfig.getoption("--long") else 25):
        for one in (alice, bob):
            one.forget()
        alice.send_line("/chat bob")
        bob.send_line("/chat alice")
        alice.event("session", id="bob", state="open")
        bob.event("session", id="alice", state="open")
        alice.send_line(f"/msg @bob from alice {number}")
        bob.send_line(f"/msg @alice from bob {number}")
        bob.event("message", from_="alice", text=f"from alice {number}")
        alice.event("message", from_="bob", text=f"from bob {number}")
        alice.send_line("/who")
        assert len(alice.event("answer", command="who")["conversations"]) == 1
        alice.send_line("/quit")
        bob.event("bye", id="alice")


@pytest.mark.parametrize("how", some(0, [signal.SIGKILL, signal.SIGTERM]))
def test_clients_reconnect_to_a_restarted_server(stage: Stage, how: signal.Signals) -> None:
    home = stage.place("server-home")
    port = free_port()
    endpoint = ("--port", f"tcp:{port}:interface=127.0.0.1")
    server = stage.start("chatserver", *endpoint, home=home)
    server.expect(re.compile("^Server listening"))
    alice, bob = person(stage, "alice", port), person(stage, "bob", port)
    for client in (alice, bob):
        client.forget()
    server.signal(how)
    server.wait()
    alice.event("notice")
    again = stage.start("chatserver", *endpoint, home=home)
    again.expect(re.compile("^Server listening"))
    for client in (alice, bob):
        client.event("registered", timeout=60)
    talk(alice, bob)


def test_an_id_belongs_to_its_key(stage: Stage) -> None:
    _, port = stage.server()
    person(stage, "alice", port)
    for name in ("alice", "ALlCE", "a1ice"):
        client = stage.open_client(name, f"127.0.0.1:{port}")
        assert client.event("error", command="register")["status"] == 409, name
    plain = stage.client("alice", port)
    plain.send_line("/register")
    refused = plain.event("error", command="register")
    assert refused["status"] == 409
    assert "--id" in refused["text"]
    with socket.create_connection(("127.0.0.1", port), 30) as classic:
        classic.sendall(b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        assert classic.recv(1024) == b"ERROR\r\nStatus: 409 id taken\r\n\r\n"
        classic.sendall(b"REGISTER\r\nclientID: carol\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        assert classic.recv(1024).startswith(b"REGACK")
        client = stage.open_client("carol", f"127.0.0.1:{port}")
        assert client.event("error", command="register")["status"] == 409


@LONG
def test_unlisted_clients_are_found_only_by_allowed_keys(stage: Stage) -> None:
    _, port = stage.server()
    bob = person(stage, "bob", port)
    bob.send_line("/status")
    key = bob.event("answer", command="status")["key"]
    alice = person(stage, "alice", port, "--unlisted", "--allow", key)
    carol = person(stage, "carol", port)
    carol.send_line("/info")
    assert {one["id"] for one in carol.event("contacts")["list"]} == {"bob", "carol"}
    carol.send_line("/chat alice")
    carol.event("error", command="chat", code="not-found")
    talk(bob, alice)


def refused(make: ssl.SSLContext | None, port: int, data: bytes = b"") -> None:
    """A TLS connection like this is ended by the other side."""
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        sock.settimeout(30)
        try:
            if make is None:
                sock.sendall(data)
                while sock.recv(65536):
                    pass
            else:
                with make.wrap_socket(sock) as wrapped:
                    wrapped.sendall(data)
                    while wrapped.recv(65536):
                        pass
        except OSError:
            pass  # a TLS alert, or the end of the connection


def test_bad_handshakes_disturb_nobody(stage: Stage, tmp_path: Path) -> None:
    _, port = stage.server("--limits", "handshake-wait=1")
    alice = person(stage, "alice", port)
    old = context(tmp_path, False)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    bare = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    bare.check_hostname = False
    bare.verify_mode = ssl.CERT_NONE
    bare.set_alpn_protocols(["bcp/2"])
    other = context(tmp_path, False)
    other.set_alpn_protocols(["h2"])
    for target in (port, alice.port):
        for make in (old, bare, other):
            refused(make, target, b"PING\r\nCSeq: 1\r\n\r\n")
        refused(None, target, b"\x16\x03\x01" + bytes(range(256)) * 20)
    half = socket.create_connection(("127.0.0.1", port), 30)
    half.sendall(b"\x16\x03\x01\x02\x00\x01")
    half.settimeout(30)
    with contextlib.suppress(ConnectionResetError):
        assert half.recv(1024) == b""
    bob = person(stage, "bob", port)
    talk(bob, alice)


def test_plain_text_is_refused_where_tls_is_required(stage: Stage) -> None:
    _, port = stage.server("--require", "tls")
    with socket.create_connection(("127.0.0.1", port), 30) as classic:
        classic.sendall(b"INFO\r\n\r\n")
        assert classic.recv(1024) == b"ERROR\r\nStatus: 403 refused\r\n\r\n"
        assert classic.recv(1024) == b""
    person(stage, "alice", port)


def test_a_classic_server_is_one_line_that_suggests_plain(stage: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as classic:
        client = stage.open_client("alice", f"127.0.0.1:{classic.getsockname()[1]}")
        course, _ = classic.accept()
        course.recv(1024)
        course.close()
        assert "--plain" in client.event("notice")["text"]


def test_plain_callers_are_admitted_only_on_request(stage: Stage) -> None:
    alice = stage.open_client("alice")
    with socket.create_connection(("127.0.0.1", alice.port), 30) as caller:
        caller.sendall(b"CHAT\r\nclientID: zoe\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        assert "--open" in alice.event("notice")["text"]
        assert caller.recv(1024) == b""
    bob = stage.open_client("bob", "none", "--open")
    with socket.create_connection(("127.0.0.1", bob.port), 30) as caller:
        caller.sendall(b"CHAT\r\nclientID: zoe\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n")
        assert bob.event("incoming", id="zoe", encrypted=False)["ask"] is True


def test_peer_without_key_is_called_only_on_request(stage: Stage) -> None:
    _, port = stage.server()
    carol = stage.client("carol", port)
    carol.send_line("/register")
    carol.event("registered")
    alice = person(stage, "alice", port)
    alice.send_line("/chat carol")
    assert "no key" in alice.event("error", command="chat")["text"]
    alice.send_line("/chat --as canon carol")
    carol.event("incoming", id="alice")
    alice.event("session", id="carol", state="open", encrypted=False, security="open")


def test_two_users_compare_their_keys(stage: Stage) -> None:
    _, port = stage.server()
    alice, bob = person(stage, "alice", port), person(stage, "bob", port)
    talk(alice, bob)
    numbers = []
    for one, other in ((alice, "bob"), (bob, "alice")):
        one.send_line(f"/verify {other}")
        numbers.append(one.event("answer", command="verify")["number"])
    assert numbers[0] == numbers[1]
    assert re.fullmatch(r"(\d{5} ){11}\d{5}", numbers[0])
    alice.send_line("/verify bob yes")
    alice.event("session", id="bob", security="verified")
