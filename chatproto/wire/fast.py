"""Read and write the most frequent messages in one step if they have their usual form.

Each function is a short cut for the general parser or writer; `tests/wire/test_fast.py` checks that the
results are equal. The benchmarks in `bench/` justify them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from chatproto.wire.bcp2_common import FIFTEEN_DIGITS, Bcp2Message
from chatproto.wire.bcp2_files import Data
from chatproto.wire.bcp2_peer import Msg
from chatproto.wire.bcp2_rooms import Say
from chatproto.wire.classic import IPV4, ClassicBridge, ClassicRegister, Message, Sender
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import ID
from chatproto.wire.limits import Limits
from chatproto.wire.values import distinct

_REGISTER = (
    rf"REGISTER\r\nclientID: ({ID.pattern})"
    rf"\r\nIP: ({IPV4.pattern})\r\nPort: ([1-9][0-9]{{0,3}}|[1-5][0-9]{{4}})"
)
_REGISTRATION = re.compile(rf"{_REGISTER}\r\n\r\n".encode())
_REQUEST = re.compile(
    rf"(?:{_REGISTER}"
    rf"|BRIDGE\r\nclientID: ({ID.pattern}))\r\n\r\n|([\s\S]+)"
)
"""The two requests in the assignment's form, or everything after the last of them.

Ports from 60000 up are left to the parser.
"""
STARTS = b"REGISTER", b"BRIDGE"
"""First bytes of these requests, and of nothing but plain text."""
_LINE, _BLOCK, _HEADERS = 80, 160, 3
"""No such request has a longer line, a longer block or more headers."""


def fits(limits: Limits) -> bool:
    """Return True if a request that `take_requests` accepts cannot exceed one of `limits`."""
    return limits.line >= _LINE and limits.header_block >= _BLOCK and limits.headers >= _HEADERS


def take_requests(data: bytes, found: list[Message | RemoteError]) -> int:
    """Append the classic requests at the start of `data` to `found`.

    Stops at the first block that is not exactly a canonical REGISTER or BRIDGE.

    Returns: the number of bytes used.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return 0
    for client_id, ip, port, asker, rest in _REQUEST.findall(text):
        if client_id:
            found.append(ClassicRegister(client_id, ip, int(port)))
        elif asker:
            found.append(ClassicBridge(asker))
        else:
            return len(text) - len(rest)
    return len(text)


def take_registration(data: bytes) -> ClassicRegister | None:
    """Return the canonical REGISTER in `data`; None if `data` is anything else."""
    found = _REGISTRATION.fullmatch(data)
    if found is None:
        return None
    client_id, ip, port = found.groups()
    return ClassicRegister(client_id.decode(), ip.decode(), int(port))


def confirm_registration(data: bytes) -> bytes:
    """Write the REGACK that answers `data`, a canonical REGISTER: the same headers and one more."""
    return b"REGACK" + data[len("REGISTER") : -len("\r\n")] + b"Status: registered\r\n\r\n"


def write_confirmation(message: ClassicRegister) -> str:
    """Write the REGACK for a registration that was read from the wire and is in force."""
    return _CONFIRMATION % message


_CONFIRMATION = "REGACK\r\nclientID: %s\r\nIP: %s\r\nPort: %d\r\nStatus: registered\r\n\r\n"


_DATA = re.compile(
    rb"DATA\r\nID: ([1-9][0-9]{0,14})\r\nOffset: ([0-9]{1,15})"
    rb"\r\nContent-Length: ([0-9]{1,9})\r\n\r\n"
)
"""Headers of DATA as we write them. Numbers of 15 digits are within the range of all of them."""
DATA_LINE = len("Content-Length: 123456789")
DATA_BLOCK = len("DATA\r\nID: \r\nOffset: \r\n\r\n") + 2 * 15 + DATA_LINE + 2
"""Largest size of such a block, and of a line in it."""


@distinct
class DataHead(NamedTuple):
    """Headers of one DATA message, and the position of their end in the chunk."""

    id: int
    offset: int
    length: int
    end: int


def fits_data(limits: Limits) -> bool:
    """Return True if a block that `read_data_head` reads cannot exceed one of `limits`."""
    return limits.line >= DATA_LINE and limits.headers >= 3 and limits.header_block >= DATA_BLOCK


def read_data_head(data: bytes, at: int) -> DataHead | None:
    """Read the headers of DATA at `at`; a file of 1 GiB has 16,000 of them.

    Returns: None if they are incomplete, or not in their usual form.
    """
    found = _DATA.match(data, at)
    if found is None:
        return None
    id, offset, length = found.groups()
    return DataHead(int(id), int(offset), int(length), found.end())


def write_data_head(message: Data) -> bytes | None:
    """Write the headers of `message`; None if they would not have the usual form."""
    id, offset, length = message.id, message.offset, len(message.data)
    if not (
        type(id) is type(offset) is int and 0 < id < FIFTEEN_DIGITS and 0 <= offset < FIFTEEN_DIGITS
    ):
        return None
    head = f"DATA\r\nID: {id}\r\nOffset: {offset}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode()


@distinct
class TextForm(NamedTuple):
    """Usual form of a message that carries a text, as we write it.

    Args: begin: its first bytes. head: matches its headers, with the length of the text last. make:
    creates the message from the values before that length and the text; ValueError: they are invalid.
    limit: name of the limit on the text. line, block: bytes of its longest line and headers.
    """

    begin: bytes
    head: re.Pattern[bytes]
    make: Callable[..., Bcp2Message]
    limit: str
    line: int
    block: int


def _say(cseq: bytes, room: bytes, text: str) -> Say:
    return Say(int(cseq), room.decode(), text)


def _msg(id: bytes, date: bytes, text: str) -> Msg:
    return Msg(int(id), datetime.fromisoformat(date.decode()).timestamp(), text)


_LENGTH = rb"\r\nContent-Length: ([0-9]{1,9})\r\n\r\n"
_SAY_LINE = len("Room: #") + 63
_MSG_LINE = len("Date: 2026-11-21T05:00:00.000Z")
TEXT_FORMS = {
    Sender.CLIENT: TextForm(
        b"SAY",
        re.compile(rb"SAY\r\nCSeq: ([0-9]{1,15})\r\nRoom: (#[a-z0-9][a-z0-9._-]{0,62})" + _LENGTH),
        _say,
        "body_to_server",
        _SAY_LINE,
        len("SAY\r\nCSeq: \r\n\r\n\r\n\r\n") + 15 + _SAY_LINE + DATA_LINE,
    ),
    Sender.PEER: TextForm(
        b"MSG",
        re.compile(
            rb"MSG\r\nID: ([1-9][0-9]{0,14})"
            rb"\r\nDate: ([0-9]{4}(?:-[0-9]{2}){2}T(?:[0-9]{2}:){2}[0-9]{2}\.[0-9]{3}Z)" + _LENGTH
        ),
        _msg,
        "message",
        _MSG_LINE,
        len("MSG\r\nID: \r\n\r\n\r\n\r\n") + 15 + _MSG_LINE + DATA_LINE,
    ),
}
"""Usual form of the text message of each side: SAY to a server, MSG to a peer."""


def text_form(sender: Sender, limits: Limits) -> TextForm | None:
    """Return the form of the text messages of `sender`; None if there is none, or it can exceed one of
    `limits`.
    """
    form = TEXT_FORMS.get(sender)
    if form is None or limits.headers < 3:
        return None
    return form if limits.line >= form.line and limits.header_block >= form.block else None


def take_text(form: TextForm, data: bytes, at: int, most: int) -> tuple[Bcp2Message, int] | None:
    """Read the message at `at`, with at most `most` bytes of text, and the position of its end.

    Returns: None if it is incomplete, or not in its usual form.
    """
    found = form.head.match(data, at)
    if found is None:
        return None
    *values, length = found.groups()
    begin, size = found.end(), int(length)
    text = data[begin : begin + size]
    if size > most or len(text) < size:
        return None
    try:
        return form.make(*values, text.decode()), begin + size
    except ValueError:  # not UTF-8, or not a day of the calendar
        return None
