"""Describe the dialects in which course programs chat with each other, one row each.

A row defines the caller's first bytes, the framing of a message, and the farewell.
`chatproto.wire.reader` recognises the dialect of incoming bytes; a caller is answered in its own
dialect.
"""

from __future__ import annotations

import re
from dataclasses import KW_ONLY

from chatproto.wire.actions import spoken
from chatproto.wire.errors import LocalError
from chatproto.wire.values import value_class

_LINE_ENDS = re.compile(r"[\r\n\x00]+")


@value_class
class Me:
    """Our id and address, as openers announce them."""

    client_id: str
    host: str
    port: int


@value_class
class Capabilities:
    """Properties of a dialect that a session depends on; BCP/2 has them too.

    `asks`: a call must be accepted. `numbered`: messages have ids, and turns and modes can be sent.
    `acknowledged`: the peer reports which messages it has stored. `resumes`: a conversation survives
    its connection. `takes_turns`: the two peers alternate; `strict_turns`: always, not only until the
    peer has sent two messages in a row. `dials_back`: each message has a new connection. `has_id`: the
    caller sends its id. `farewells`: words that a user may type to leave.
    """

    name: str
    _: KW_ONLY
    asks: bool = False
    numbered: bool = False
    acknowledged: bool = False
    resumes: bool = False
    takes_turns: bool = False
    strict_turns: bool = False
    dials_back: bool = False
    has_id: bool = True
    farewells: frozenset[str] = frozenset()


BCP2 = Capabilities("bcp/2", asks=True, numbered=True, acknowledged=True, resumes=True)
"""Peers inside TLS; they take turns only if either of them wants it."""


@value_class
class Dialect(Capabilities):
    """One plain-text dialect: templates with `{id}`, `{host}`, `{port}`, `{text}`, `{length}`, `{end}`.

    `{end}` is the line end of the peer's raw messages, `{word}` the word that the user typed to leave.
    `bare`: a message is raw text that only silence ends. `quits`: raw messages that are farewells.
    `end`: line end of our messages until the peer's is known. `longest`: bytes of a frame that programs
    of this dialect read as one message; 0: no limit.
    """

    opening: str
    message: str
    goodbye: str
    bare: bool = False
    quits: tuple[str, ...] = ()
    end: bytes = b""
    longest: int = 0
    _: KW_ONLY
    takes_turns: bool = True
    strict_turns: bool = True

    def opener(self, me: Me) -> bytes:
        """Return the first bytes that a caller sends; empty if the dialect has no opener."""
        announcement = f"Incoming chat request from {me.client_id} {me.host}:{me.port}"
        return self._fill(self.opening, me, announcement, b"", "")

    def frame(self, me: Me, text: str, line_end: bytes) -> bytes:
        """Return `text` as one message. Framed dialects get blanks for line ends, which would end the
        frame.

        No dialect has actions: they are sent as the text `* waves`.

        Raises LocalError 400 for text that is not Unicode.
        """
        text = spoken(text)
        if not self.bare:
            text = _LINE_ENDS.sub(" ", text)
        return self._fill(self.message, me, text, line_end, "")

    def farewell(self, me: Me, word: str, line_end: bytes) -> bytes:
        """Return the bytes that end a chat."""
        return self._fill(self.goodbye, me, "", line_end, word)

    def _fill(self, template: str, me: Me, text: str, line_end: bytes, word: str) -> bytes:
        try:
            length = len(text.encode())
        except UnicodeEncodeError:
            raise LocalError(400, "that is not Unicode text") from None
        return template.format(
            id=me.client_id,
            host=me.host,
            port=me.port,
            text=text,
            length=length,
            end=line_end.decode("ascii"),
            word=word or "quit",
        ).encode()


_WHERE = "clientID: {id}\r\nIP: {host}\r\nPort: {port}\r\n\r\n"
_COUNTED = "CHAT\r\nType: MESSAGE\r\nLength: {length}\r\n\r\n{text}\r\n"
_WORDS = ("quit", "over", "exit", "bye", "/quit")
_TYPED = frozenset({"quit", "over"})

CANON = Dialect(
    "canon",
    "CHAT\r\n" + _WHERE,
    "{text}{end}",
    "QUIT\r\n\r\n",
    bare=True,
    quits=("QUIT",),
    end=b"\r\n",
)
CHATREQ = Dialect(
    "chatreq",
    "CHATREQ\r\nclientID: {id}\r\n\r\n",
    "{text}{end}",
    "/quit{end}",
    bare=True,
    quits=("/quit",),
)
IDONLY = Dialect(
    "idonly",
    "CHAT\r\nclientID: {id}\r\n\r\n",
    "CHAT\r\nclientID: {id}\r\n{text}\n\r\n\r\n",
    "QUIT\r\n\r\n",
)
TYPEINIT = Dialect(
    "typeinit",
    "CHAT\r\nType: init\r\n" + _WHERE,
    "CHAT\r\nType: message\r\nMessage: {text}\r\n\r\n",
    "CHAT\r\nType: quit\r\n\r\n",
)
TYPELENGTH = Dialect("typelength", _COUNTED, _COUNTED, "CHAT\r\nType: QUIT\r\n\r\n", longest=1024)
CHATMSG = Dialect(
    "chatmsg", "", "CHAT\r\nMESSAGE:{text}\r\n\r\n", "QUIT\r\n{word}\r\n\r\n", has_id=False
)
IDHDR = Dialect(
    "idhdr",
    "ID: {id}\r\nIP: {host}\r\nPort: {port}\r\n\r\n",
    "CHAT\r\nid: {id}\r\nIP: {host}\r\nport: {port}\r\ntext: {text}\r\n\r\n",
    "QUIT\r\nid: {id}\r\n\r\n",
)
DIALBACK = Dialect(
    "dialback",
    "",
    "CHAT\r\nclientID: {id}\r\ncontent: {text}\r\n\r\n",
    "QUIT\r\n\r\n",
    dials_back=True,
)
ANNOUNCE = Dialect(
    "announce",
    "Incoming chat request from {id} {host}:{port}\n",
    "{text}{end}",
    "QUIT\r\n",
    bare=True,
    quits=("QUIT",),
)
PREFIXED = Dialect("prefixed", "", "{id}> {text}\n\n", "{id}> /quit\n\n")
CRLF = Dialect(
    "crlf",
    "",
    "{text}\r\n",
    "/quit\r\n",
    bare=True,
    quits=("/quit", "QUIT"),
    strict_turns=False,
    has_id=False,
    end=b"\r\n",
)
RAW = Dialect(
    "raw",
    "",
    "{text}{end}",
    "{word}{end}",
    bare=True,
    quits=_WORDS,
    farewells=_TYPED,
    strict_turns=False,
    has_id=False,
)
LOBBY = Dialect(
    "lobby",
    "",
    "{text}{end}",
    "{word}{end}",
    bare=True,
    farewells=_TYPED,
    takes_turns=False,
    strict_turns=False,
    has_id=False,
)

DIALECTS: dict[str, Dialect] = {
    row.name: row
    for row in (
        CANON,
        CHATREQ,
        IDONLY,
        TYPEINIT,
        TYPELENGTH,
        CHATMSG,
        IDHDR,
        DIALBACK,
        ANNOUNCE,
        PREFIXED,
        CRLF,
        RAW,
        LOBBY,
    )
}
"""All dialects by name, as in `--dialect` and `/chat --as`."""
PEERS = tuple(name for name in DIALECTS if name != LOBBY.name)
"""Dialects that a called peer may use; lobby is a server's."""
