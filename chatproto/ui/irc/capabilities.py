"""Negotiate capabilities (IRCv3 capability negotiation 302), before and after registration."""

from __future__ import annotations

from chatproto.ui.irc.lines import FACE, reply
from chatproto.ui.irc.numerics import BAD_CAP_COMMAND
from chatproto.wire.irc import IrcLine

KNOWN = (
    *("account-tag", "batch", "cap-notify", "echo-message", "labeled-response", "message-tags"),
    *("multi-prefix", "server-time"),
)
NEEDED_BY = {
    "time": "server-time",
    "account": "account-tag",
    "batch": "batch",
    "label": "labeled-response",
}
"""Capability that a client needs for a tag; other tags need message-tags."""


class ClientCapabilities:
    """Capabilities that one client has requested.

    `open`: the client negotiates, and its registration waits for CAP END.
    """

    def __init__(self) -> None:
        self.on: set[str] = set()
        self.open = False

    def __contains__(self, name: str) -> bool:
        return name in self.on

    def take(self, line: IrcLine, nick: str) -> list[IrcLine]:
        """Answer a CAP line; `nick` is `*` before the registration."""
        command = line.parameters[0].upper() if line.parameters else ""
        match command:
            case "LS":
                self.open = True
                if "302" in line.parameters[1:2]:
                    self.on.add("cap-notify")
                return [_cap(nick, "LS", " ".join(KNOWN))]
            case "LIST":
                return [_cap(nick, "LIST", " ".join(sorted(self.on)))]
            case "REQ":
                self.open = True
                asked = " ".join(line.parameters[1:])
                words = asked.split()
                if any(word.removeprefix("-") not in KNOWN for word in words):
                    return [_cap(nick, "NAK", asked)]
                for word in words:
                    if word.startswith("-"):
                        self.on.discard(word[1:])
                    else:
                        self.on.add(word)
                return [_cap(nick, "ACK", asked)]
            case "END":
                self.open = False
                return []
        return [reply(nick, BAD_CAP_COMMAND, command or "*", "Invalid CAP command")]

    def allowed(self, line: IrcLine) -> IrcLine:
        """Return `line` with only those tags that the client supports."""
        if not line.tags:
            return line
        tags = {
            name: value
            for name, value in line.tags.items()
            if NEEDED_BY.get(name, "message-tags") in self.on
        }
        return IrcLine(line.command, line.parameters, tags, line.source)


def _cap(nick: str, command: str, words: str) -> IrcLine:
    return IrcLine("CAP", (nick, command, words), source=FACE)
