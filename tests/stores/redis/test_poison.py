"""Any bytes under any key in a real Redis harm nobody whom they do not concern."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import provider

from chatproto.stores.redis.accounts import ACCOUNTS
from chatproto.stores.redis.beats import EPOCH
from chatproto.stores.redis.group_text import (
    CLASSIC,
    ENDS,
    FREE,
    HEARD,
    LISTED,
    NEWEST,
    OPEN,
    OWNED,
    PRESENT,
    WAITING,
    network_key,
)
from chatproto.stores.redis.node_table import GONE, NODES, inbox_key
from chatproto.stores.redis.room_store import LISTING, USED
from chatproto.wire import bcp2_rooms, bcp2_server, classic
from tests.contracts.shared_row import BEAT, SharedRow
from tests.contracts.traces import key_of
from tests.limits import Limits
from tests.long import LONG

LIMITS = Limits(server_beat=BEAT, server_lapse=60.0)
ANN, TEA, LOBBY = "chatproto:{i:ann}", "chatproto:{r:#tea}", "chatproto:{r:#lobby}"
LISTS = (LISTED, NEWEST, OPEN, CLASSIC, OWNED, PRESENT, ENDS, HEARD, FREE, WAITING, GONE)
LISTS_OF_ROOMS = LISTING, USED
OTHERS = (
    *(ANN, f"{ANN}:t:token", TEA, f"{TEA}:m", f"{TEA}:s", f"{TEA}:e", LOBBY, f"{LOBBY}:m"),
    *(f"chatproto:{{k:{key_of(1)}}}", f"chatproto:{{k:{key_of(1)}}}:ids"),
    *(network_key("192.0.2.1"), "chatproto:{pair}:partners", "chatproto:{pair}:pairs"),
    *(NODES, EPOCH, "inbox", ACCOUNTS, "chatproto:unknown"),
)
NAMES = st.sampled_from(["version", "data", "policy", "last", "event", "b", "ann", "#tea"])
SCORES = st.sampled_from(["-inf", "0", "1000000", "+inf"])
TEXTS = st.sampled_from(
    [
        *(b"", b"[]", b"{}", b"null", b"-1", b"1e999", b"9" * 400, b"\xff\xfe", b"[" * 3000),
        *(b"ann 192.0.2.1 5000 - -", b"eve 192.0.2.1\r\nQUIT 5000 - -", b"d\xf6ra", b"zzz"),
        *(b'["client",1,"\\ud800",true]', b'["presence","ann",1,{}]', b'["ann",1e400,"x","n",1,1]'),
        *(b'["an\\nn",1,"x","n",1,1]', b'["ann",1,"\\ud800","n",1,1]'),
    ]
)
VALUES = TEXTS | st.binary(max_size=20)
IDS = st.sampled_from(["*", "1-1", "5-7", "77-0", "18446744073709551615-0"])


class Loudness:
    """What was logged while it is there."""

    def __enter__(self) -> Loudness:
        self.failures: list[str] = []
        self.texts: list[str] = []

        @provider(ILogObserver)
        def observe(event: LogEvent) -> None:
            self.texts.append(formatEvent(event))
            if "log_failure" in event:
                self.failures.append(event["log_failure"].getTraceback())

        self._observe = observe
        globalLogPublisher.addObserver(observe)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self._observe)


def command(key: str, kind: str, name: Any, score: str, number: str, value: bytes) -> list[Any]:
    """Return what writes `value` under `key`."""
    return {
        "text": ["SET", key, value],
        "hash": ["HSET", key, name, value],
        "list": ["RPUSH", key, value],
        "sorted": ["ZADD", key, score, value],
        "stream": ["XADD", key, number, "b", value],
    }[kind]


class Crowd:
    """Ann, who is in #tea, and three others who come later."""

    def __init__(self, port: int) -> None:
        self.row = SharedRow(LIMITS, port)
        self.row.ask(1, bcp2_server.Register(1, "ann", 5000))
        self.row.ask(1, bcp2_rooms.Join(2, "#tea"))
        self.row.ask(1, bcp2_rooms.Say(3, "#tea", "hello"))
        self.row.ask_plain(10, classic.ClassicRegister("dora", "198.51.100.1", 3000))
        self.row.wait(1)

    def poison(self, key: str, fresh: bool, words: list[Any]) -> None:
        """Write there, in the place of what is there if `fresh`."""
        redis = self.row.redis
        if key == "inbox":
            [node, *_] = redis.ask("HKEYS", NODES)
            words[1] = key = inbox_key(node.decode())
        if fresh:
            redis.ask("DEL", key)
        redis.run(redis.connection(), *words)  # which may be refused, as there is another type

    def heard(self, who: str) -> str:
        return b"".join(data for name, data in self.row.sent if name == who).decode()

    def expect(self, who: str, *words: str) -> None:
        found = self.heard(who)
        assert all(word in found for word in words), (who, words, found, self.row.sent)

    def go_on(self, lists: bool, rooms: bool) -> None:
        """See that those who come now are served."""
        row = self.row
        row.sent.clear()
        row.ask(4, bcp2_server.Register(1, "yan", 5000))
        row.ask(5, bcp2_server.Register(1, "zoe", 5000))
        row.wait(1)
        row.ask(4, bcp2_server.Watch(2, "zoe"))
        row.ask(4, bcp2_server.Bridge(3, "zoe"))
        row.ask(4, bcp2_rooms.Join(4, "#new"))
        row.wait(1)
        row.ask(5, bcp2_rooms.Join(2, "#new"))
        row.wait(1)
        row.ask(4, bcp2_rooms.Say(5, "#new", "are you there"))
        row.wait(1)
        self.expect("key 4", "REGACK", "WATCHACK", "online", "BRIDGEACK", "JOINACK", "SAYACK")
        self.expect("key 5", "REGACK", "INTRODUCE", "JOINACK", "SAID", "are you there")
        if lists:
            row.ask(4, bcp2_server.Info(6))
            row.ask_plain(11, classic.ClassicRegister("walt", "198.51.100.1", 3000))
            row.ask_plain(12, classic.ClassicRegister("xena", "198.51.100.2", 3000))
            row.ask_plain(12, classic.ClassicBridge("xena"))
            row.wait(1)
            self.expect("key 4", "INFOACK", "yan", "zoe")
            self.expect("plain 12", "REGACK", "BRIDGEACK", "clientID: ")
        if rooms:
            row.ask(5, bcp2_rooms.Rooms(7))
            row.wait(1)
            self.expect("key 5", "ROOMSACK", "#new")


POISONED = st.tuples(
    st.sampled_from(["text", "hash", "list", "sorted", "stream"]),
    NAMES | VALUES,
    SCORES,
    IDS,
    VALUES,
)


def try_it(port: int, key: str, fresh: bool, words: tuple[Any, ...]) -> None:
    with Loudness() as loud:
        crowd = Crowd(port)
        try:
            crowd.poison(key, fresh, command(key, *words))
            crowd.row.wait(2 * BEAT)
            # A list that is none any more cannot be read by anybody.
            is_list = words[0] == "sorted" or (not fresh and words[0] != "text")
            crowd.go_on(is_list or key not in LISTS, is_list or key not in LISTS_OF_ROOMS)
            crowd.row.wait(31)
            crowd.row.ask(8, bcp2_server.Register(1, "late", 5000))
            crowd.row.wait(1)
            crowd.expect("key 8", "REGACK")
        finally:
            crowd.row.redis.close()
    assert not loud.failures, loud.failures


def try_many(port: int, count: int) -> None:
    @settings(max_examples=count, deadline=None)
    @example(NODES, False, ("hash", b"eve", "0", "*", b"abc"))
    @example("inbox", False, ("stream", "b", "0", "5-7", b"x"))
    @example("inbox", False, ("stream", "b", "0", "18446744073709551615-0", b"x"))
    @example(WAITING, False, ("sorted", "b", "-inf", "*", b"\xff\xfe"))
    @example(LISTED, False, ("sorted", "b", "0", "*", b"aaa"))
    @example(ENDS, False, ("sorted", "b", "-inf", "*", b"\xff\xfe"))
    @example(TEA, True, ("text", "b", "0", "*", b"x"))
    @given(st.sampled_from((*LISTS, *LISTS_OF_ROOMS, *OTHERS)), st.booleans(), POISONED)
    def each(key: str, fresh: bool, words: tuple[Any, ...]) -> None:
        try_it(port, key, fresh, words)

    each()


def test_invalid_data_of_other_programs_affect_no_other_client(port: int) -> None:
    try_many(port, 2)


@LONG
def test_any_data_of_other_programs_affect_no_other_client(port: int) -> None:
    try_many(port, 1000)
