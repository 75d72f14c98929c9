"""Inputs that the programs really meet, from which the fuzzers start."""

from __future__ import annotations

import json
from pathlib import Path

from chatproto.directory.shared import ListedClient, PresenceNotice, ToClient
from chatproto.stores.redis.group_text import write_group, write_listed, write_notice
from chatproto.wire import strict
from tests.contracts.names import key
from tests.stores.redis.test_group_text import keyed, state
from tests.wire.bcp2_samples import MESSAGES

FOUND = Path(__file__).parent / "found"
"""By target: inputs that once broke something."""

CHAT = b"CHAT\r\nclientID: bob\r\nIP: 127.0.0.1\r\nPort: 3001\r\n\r\nhello\r\nQUIT\r\n\r\n"
PLAIN = (
    b"REGISTER\r\nclientID: alice\r\nIP: 127.0.0.1\r\nPort: 3000\r\n\r\n",
    b"BRIDGE\r\nclientID: alice\r\n\r\n",
    b"INFO\r\nRequesting clients\r\n\r\n",
    b"UNREGISTER\nclientID:alice\n\nPROBE\n\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00",
)
TYPED = (
    b"/chat 127.0.0.1:5002\nhello\n/msg Hello Bob!\n",
    b'"a text\\nof two lines"\n/send "a b" ~/c\n/help chat\n',
    b'{"do": "msg", "to": "bob", "text": "hi"}\n{"do": "send", "paths": ["\\udcff"]}\n',
    b"/who\n/status\n/info a\n/register\n/bridge\n/accept 3\n/decline\n/switch #tea\n",
    b"/join tea key=x\n/topic x\n/ban bob 60\n/history 5\n/search a b\n/unsend 1 bob\n/verify\n",
)
PEERS = (
    CHAT,
    b"CHATREQ\r\nclientID: x\r\n\r\nhi/quit",
    b"CHAT\r\nType: MESSAGE\r\nLength: 5\r\n\r\nhello\r\n",
    b"ID: x\r\nIP: 1.2.3.4\r\nPort: 3\r\n\r\n",
    b"Incoming chat request from x 1.2.3.4:5\nhello",
    b"<x>> hello\n\n",
)
KEYED = tuple(strict.encode(message) for sent in MESSAGES.values() for message in sent)
ENTRIES = (
    write_notice(ToClient(7, "REPLACED\r\n\r\n", True)).encode(),
    write_notice(PresenceNotice("ann", 4, keyed())).encode(),
    write_listed(ListedClient("ann", "192.0.2.7", 4000, key(7), "node")).encode(),
    b"[" * 3000,
    b'["client",1e400,"x",true]',
)
OLD = json.loads((Path(__file__).parent.parent / "old" / "redis-log-3.json").read_text())


def _cut(texts: tuple[bytes, ...]) -> list[bytes]:
    """Whole, and in pieces of three bytes."""
    return [size + text for text in texts for size in (b"\0", b"\3")]


SEEDS: dict[str, list[bytes]] = {
    "classic": _cut(PLAIN),
    "keyed": _cut(KEYED),
    "peer_text": _cut(PEERS),
    "datagram": [b"SEEK\r\nToken: 0123456789abcdef\r\n\r\n"],
    "first_block": [b"PUNCH\r\nCall: abc\r\n\r\n", b"RELAY\r\nTicket: " + b"A" * 26 + b"\r\n\r\n"],
    "server_port": _cut(PLAIN),
    "control_socket": _cut(TYPED),
    "json_line": _cut(TYPED),
    "client_log": [bytes(range(40))],
    "server_store": [bytes(range(40))],
    "known_peers": [
        (Path(__file__).parent.parent / "old" / "alice" / "known_peers").read_bytes(),
    ],
    "redis_entry": list(ENTRIES),
    "redis_group": [write_group(state()).encode(), b'{"a": 1}', b"[" * 3000],
    "older_log": [
        "\n".join(OLD["picture"]).encode(),
        *(line.encode() for _, line in OLD["entries"]),
        b'["node",1e400,[["beat"]]]',
    ],
}


def seeds(target: str) -> list[bytes]:
    """All inputs to begin with, those that once broke something first."""
    found = sorted((FOUND / target).glob("*")) if (FOUND / target).is_dir() else []
    return [path.read_bytes() for path in found] + SEEDS.get(target, [])
