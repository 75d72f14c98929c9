"""Read and write the most frequent messages in one step, where they have their usual form.

Each function here is a short cut for what the general parser or writer does, and
`tests/wire/test_fast.py` holds that the results are equal. The benchmarks in `bench/` justify them.
"""

from __future__ import annotations

import re

from chatproto.wire.classic import IPV4, ClassicBridge, ClassicRegister, Message
from chatproto.wire.errors import RemoteError
from chatproto.wire.fields import ID
from chatproto.wire.limits import Limits

_REQUEST = re.compile(
    rf"(?:REGISTER\r\nclientID: ({ID.pattern})"
    rf"\r\nIP: ({IPV4.pattern})\r\nPort: ([1-9][0-9]{{0,3}}|[1-5][0-9]{{4}})"
    rf"|BRIDGE\r\nclientID: ({ID.pattern}))\r\n\r\n"
)
"""The two requests as the assignment writes them; ports from 60000 up are left to the parser."""
_LINE, _BLOCK, _HEADERS = 80, 160, 3
"""No such request has a longer line, a longer block or more headers."""


def fits(limits: Limits) -> bool:
    """Return True if no request that `take_requests` takes can cross one of `limits`."""
    return limits.line >= _LINE and limits.header_block >= _BLOCK and limits.headers >= _HEADERS


def take_requests(data: bytes, found: list[Message | RemoteError]) -> int:
    """Append the classic requests at the head of `data` to `found`.

    Stops at the first block that is not exactly a canonical REGISTER or BRIDGE.

    Returns: the number of bytes taken.
    """
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return 0
    at = 0
    while (match := _REQUEST.match(text, at)) is not None:
        client_id, ip, port, asker = match.groups()
        found.append(
            ClassicBridge(asker) if client_id is None else ClassicRegister(client_id, ip, int(port))
        )
        at = match.end()
    return at
