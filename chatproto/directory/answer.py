"""What classic servers answer, in all the forms that occur (the dialects' section on their servers)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from chatproto.wire.errors import REASONS, RemoteError
from chatproto.wire.fields import ID, Contact, read_host_port, read_port

_STATUS = re.compile(r"([1-6]\d\d)\b")
_METHOD = re.compile(r"[A-Z]{3,16}")


class Refused(Exception):
    """The server said no; its text is why, `status` its code, if it told one."""

    def __init__(self, why: str, status: int | None = None) -> None:
        super().__init__(why)
        self.status = status


class NoAnswer(Exception):
    """What came is no answer; its text goes on from «the server at host:port»."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A start line, its headers by lower-cased name, and its lines as they stood."""

    method: str
    headers: dict[str, str]
    lines: tuple[str, ...]

    def check(self, wanted: str) -> None:
        """Raises Refused if it is a no, NoAnswer if it is no answer to what was asked."""
        status = self.headers.get("status", "")
        refused = self.method in ("ERROR", "REGNACK") or status.lower().startswith("error")
        if refused:
            code = _STATUS.match(status)
            why = status or " ".join(self.lines) or self.method
            if code and int(code[1]) in REASONS:
                why = f"{code[1]} {REASONS[int(code[1])]}"
            raise Refused(why, int(code[1]) if code else None)
        if self.method != wanted:
            raise NoAnswer(f"answered {self.method} instead of {wanted}")


def read_answer(data: bytes, ended: bool) -> Answer | None:
    """The answer that `data` begins with, None if it is not whole yet.

    It ends at a blank line; `ended`: nothing more will come, by end of input or by silence. Raises
    NoAnswer for what no chat server says.
    """
    data = data.lstrip(b"\r\n")
    if data[:1] in (b"\x15", b"\x16"):
        raise NoAnswer("speaks TLS only: leave --plain out")
    if data.startswith(b"HTTP/") or data[:1] == b"<":
        raise NoAnswer("is a web server, no chat server")
    text = data.decode("utf-8", "replace").replace("\r\n", "\n")
    block, blank, _ = text.partition("\n\n")
    if not blank and not ended:
        return None
    start, *lines = [line.strip() for line in block.split("\n")]
    if not _METHOD.fullmatch(start):
        raise NoAnswer("is no chat server (it answered something else)")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers.setdefault(name.strip().lower(), value.strip())
    return Answer(start, headers, tuple(line for line in lines if line))


def contact(answer: Answer, own_id: str) -> Contact | None:
    """Whom BRIDGEACK names; None where a value is missing, blank or `None`, or the id is our own."""
    client_id = answer.headers.get("clientid", "")
    host = answer.headers.get("ip", "")
    try:
        port = read_port(answer.headers.get("port", ""))
    except RemoteError:
        return None
    if not ID.fullmatch(client_id) or client_id in ("None", own_id) or host in ("", "None"):
        return None
    return Contact(client_id, host, port)


def contacts(answer: Answer) -> tuple[Contact, ...]:
    """Whom INFOACK lists; lines that are none are left out."""
    found = []
    for line in answer.lines:
        name, _, where = line.partition(" ")
        try:
            host, port = read_host_port(where.strip())
        except RemoteError:
            continue
        if ID.fullmatch(name):
            found.append(Contact(name, host, port))
    return tuple(found)
