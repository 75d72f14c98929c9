"""Speak to a peer like each kind of course program: one row per kind, as bytes on the wire.

Written from the behaviour of such programs, independent of the tables of the programs under test: a
mistake in one is not in the other.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Person:
    """Id of a program, and where it listens."""

    id: str
    ip: str = "127.0.0.1"
    port: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of program.

    The templates know `{id}`, `{ip}`, `{port}` of the speaker, `{text}` and its `{length}` in
    bytes. `bare`: a message is the text and nothing else but `end`. `quits`: what this program may
    send to end it (an empty one: it just closes). `heard`: what it must hear when ours ends it;
    empty: `quits[0]`.
    `named`: the opener tells who calls. `dialect`: what `/chat --as` calls it.
    """

    name: str
    dialect: str
    opener: str
    message: str
    quits: tuple[str, ...]
    heard: tuple[str, ...] = ()
    end: str = ""
    bare: bool = False
    named: bool = True

    def frame(self, template: str, who: Person, text: str = "") -> bytes:
        """A template filled in. For typelength the opener's text is its announcement."""
        length = len(text.encode())
        return template.format(
            id=who.id, ip=who.ip, port=who.port, text=text, length=length
        ).encode()

    def opening(self, who: Person) -> bytes:
        """Return what this kind sends first when it calls; empty: nothing before the first message."""
        text = f"Incoming chat request from {who.id} {who.ip}:{who.port}"
        return self.frame(self.opener, who, text)

    def saying(self, who: Person, text: str) -> bytes:
        return self.frame(self.message, who, text) + self.end.encode()

    def quitting(self, who: Person, number: int = 0) -> bytes:
        return self.frame(self.quits[number], who)

    def quits_heard(self, who: Person) -> set[bytes]:
        """The frames by which ours may end it."""
        return {self.frame(template, who) for template in self.heard or self.quits[:1]}


HEADERS = "clientID: {id}\r\nIP: {ip}\r\nPort: {port}\r\n\r\n"
WORDS = ("quit", "over", "exit", "bye", "/quit", "QUIT")
LENGTH = "CHAT\r\nType: MESSAGE\r\nLength: {length}\r\n\r\n{text}\r\n"

ROWS = (
    Row("canon", "canon", "CHAT\r\n" + HEADERS, "{text}", ("QUIT\r\n\r\n", "QUIT", ""), bare=True),
    Row(
        "canon-lf",
        "canon",
        "CHAT\r\n" + HEADERS,
        "{text}",
        ("QUIT\r\n\r\n\r\n", "QUIT"),
        heard=("QUIT\r\n\r\n",),
        end="\n",
        bare=True,
    ),
    Row("canon-crlf", "canon", "CHAT\r\n" + HEADERS, "{text}", ("QUIT\r\n\r\n",), (), "\r\n", True),
    Row("chatreq", "chatreq", "CHATREQ\r\nclientID: {id}\r\n\r\n", "{text}", ("/quit",), bare=True),
    Row(
        "idonly",
        "idonly",
        "CHAT\r\nclientID: {id}\r\n\r\n",
        "CHAT\r\nclientID: {id}\r\n{text}\n\r\n\r\n",
        ("QUIT\r\n\r\n",),
    ),
    Row(
        "typeinit",
        "typeinit",
        "CHAT\r\nType: init\r\n" + HEADERS,
        "CHAT\r\nType: message\r\nMessage: {text}\r\n\r\n",
        ("CHAT\r\nType: quit\r\n\r\n",),
    ),
    Row("typelength", "typelength", LENGTH, LENGTH, ("CHAT\r\nType: QUIT\r\n\r\n", "")),
    Row(
        "chatmsg",
        "chatmsg",
        "",
        "CHAT\r\nMESSAGE:{text}\r\n\r\n",
        ("QUIT\r\nleaving\r\n\r\n",),
        heard=("QUIT\r\n*\r\n\r\n",),
        named=False,
    ),
    Row(
        "idhdr",
        "idhdr",
        "ID: {id}\r\nIP: {ip}\r\nPort: {port}\r\n\r\n",
        "CHAT\r\nid: {id}\r\nIP: {ip}\r\nport: {port}\r\ntext: {text}\r\n\r\n",
        ("QUIT\r\nid: {id}\r\n\r\n",),
    ),
    Row(
        "announce",
        "announce",
        "Incoming chat request from {id} {ip}:{port}\n",
        "{text}",
        ("QUIT\r\n", ""),
        bare=True,
    ),
    Row("prefixed", "prefixed", "", "{id}> {text}\n\n", ("{id}> /quit\n\n",)),
    Row("crlf", "crlf", "", "{text}", ("/quit\r\n",), end="\r\n", bare=True, named=False),
    Row("raw", "raw", "", "{text}", (*WORDS, ""), WORDS, bare=True, named=False),
    Row(
        "raw-lf",
        "raw",
        "",
        "{text}",
        tuple(f"{word}\n" for word in WORDS[:2]),
        tuple(f"{word}\n" for word in WORDS),
        end="\n",
        bare=True,
        named=False,
    ),
)
