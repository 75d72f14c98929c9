"""The head of DATA as everybody writes it, read and written in one go: a GiB has sixteen thousand of them."""

from __future__ import annotations

import re
from typing import NamedTuple

from chatproto.wire.bcp2_files import Data
from chatproto.wire.limits import Limits

USUAL = re.compile(
    rb"DATA\r\nID: ([1-9][0-9]{0,14})\r\nOffset: ([0-9]{1,15})\r\nContent-Length: ([0-9]{1,9})\r\n\r\n"
)
"""No number of 15 digits is too large for any of them."""
LINE = len("Content-Length: 123456789")
BLOCK = len("DATA\r\nID: \r\nOffset: \r\n\r\n") + 2 * 15 + LINE + 2
"""No line is longer, and no head with its empty line."""
MOST = 10**15


class DataHead(NamedTuple):
    """What the head says, and where it ends."""

    id: int
    offset: int
    length: int
    end: int


def fits(limits: Limits) -> bool:
    """Whether no usual head crosses any of `limits`."""
    return limits.line >= LINE and limits.headers >= 3 and limits.header_block >= BLOCK


def read_data_head(data: bytes, at: int) -> DataHead | None:
    """What stands at `at`; None if it is no head of DATA, or not a usual one, or not all of it."""
    found = USUAL.match(data, at)
    if found is None:
        return None
    id, offset, length = found.groups()
    return DataHead(int(id), int(offset), int(length), found.end())


def write_data_head(message: Data) -> bytes | None:
    """The head of `message`; None if it would not be a usual one."""
    id, offset, length = message.id, message.offset, len(message.data)
    if not (type(id) is type(offset) is int and 0 < id < MOST and 0 <= offset < MOST):
        return None
    head = f"DATA\r\nID: {id}\r\nOffset: {offset}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode()
