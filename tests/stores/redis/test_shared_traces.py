"""The same traces at three servers over one Redis and at one in memory: what is sent is the same.

Redis is one in this process, and a real one. `tests/stores/test_traces.py` compares SQLite with memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterable

from hypothesis import given, settings

from chatproto.wire import bcp2_rooms, bcp2_server, classic, codec, strict
from chatproto.wire.bcp2_common import Bcp2Message
from tests.contracts.shared_row import SHARED_LIMITS, Pair
from tests.contracts.traces import TRACES, Step
from tests.limits import Limits
from tests.long import LONG
from tests.stores.test_traces import RECORDED

EVERY = 4
"""The gate tries each fourth recorded trace with a real Redis too."""


def compare(trace: Iterable[Step], limits: Limits = SHARED_LIMITS, port: int = 0) -> None:
    pair = Pair(limits, port)
    try:
        for step in trace:
            pair.do(step)
    finally:
        pair.close()


def recorded() -> list[list[Step]]:
    traces = json.loads(RECORDED.read_text(encoding="utf-8"))
    return [[tuple(step) for step, _ in trace] for trace in traces]


def compare_many(port: int = 0) -> None:
    @settings(max_examples=100, deadline=None)
    @given(TRACES)
    def each(trace: list[Step]) -> None:
        compare(trace, port=port)

    each()


def test_several_servers_answer_recorded_traces_as_memory_does() -> None:
    for trace in recorded():
        compare(trace)


def test_several_servers_answer_recorded_traces_with_a_real_redis(port: int) -> None:
    for trace in recorded()[::EVERY]:
        compare(trace, port=port)


@LONG
def test_several_servers_answer_all_recorded_traces_with_a_real_redis(port: int) -> None:
    for trace in recorded():
        compare(trace, port=port)


@LONG
def test_several_servers_answer_as_memory_does_in_many_traces() -> None:
    compare_many()


@LONG
def test_several_servers_answer_as_memory_does_in_many_traces_with_a_real_redis(port: int) -> None:
    compare_many(port)


def plain(number: int, message: classic.Message) -> Step:
    return "plain", str(number), codec.encode(message).decode()


def keyed(number: int, *messages: Bcp2Message) -> Step:
    return "key", str(number), *(strict.encode(one).decode() for one in messages)


def test_a_classic_lease_ends_after_the_last_request_though_the_connection_lasts() -> None:
    register = classic.ClassicRegister("dora", "198.51.100.1", 3000)
    info = plain(11, classic.ClassicInfo())
    trace = [
        *(plain(10, register), ("wait", "250"), info),
        *(plain(10, register), ("wait", "250"), info, ("wait", "80"), info),
        *(plain(10, register), ("leave", "10"), ("wait", "250"), info, ("wait", "80"), info),
    ]
    compare(trace, SHARED_LIMITS.with_values(["classic-lease=300"]))


def test_unregistered_client_gets_401_for_any_request() -> None:
    compare([keyed(1, bcp2_rooms.Say(1, "#tea", "hi")), keyed(2, bcp2_rooms.Names(1, "#tea"))])


def test_classic_client_keeps_its_id_beside_a_similar_keyed_one() -> None:
    register = plain(10, classic.ClassicRegister("dora", "198.51.100.1", 3000))
    d0ra = keyed(3, bcp2_server.Register(1, "d0ra", 5000))
    compare([register, d0ra, ("wait", "61"), register])


def test_unknown_id_is_404_before_the_watch_limit() -> None:
    names = "ann", "bob", "carl"
    register = [keyed(at, bcp2_server.Register(1, name, 5000)) for at, name in enumerate(names, 1)]
    watches = [bcp2_server.Watch(2, name) for name in (*names, "dora")]
    compare([*register, keyed(1, *watches)])


def test_refusal_of_a_line_follows_earlier_lines() -> None:
    lines = [bcp2_rooms.Say(3, "#tea", "hi"), bcp2_rooms.Say(4, "#den", "you too")]
    register, join = bcp2_server.Register(1, "ann", 5000), bcp2_rooms.Join(2, "#tea")
    compare([keyed(1, register, join), keyed(1, *lines, bcp2_rooms.Say(5, "#tea", "again"))])


def test_a_client_that_registers_again_is_the_one_that_registered_last() -> None:
    names = "ann", "bob", "carl"
    register = [keyed(at, bcp2_server.Register(1, name, 5000)) for at, name in enumerate(names, 1)]
    compare([*register, register[0], keyed(2, bcp2_server.Bridge(2, ""))])


def test_a_classic_id_is_not_taken_while_the_connection_that_registered_it_last_is_open() -> None:
    first, second, other = (
        plain(number, classic.ClassicRegister("dora", "198.51.100.1", 3000))
        for number in (10, 13, 11)
    )
    compare([first, ("wait", "61"), second, ("leave", "10"), ("wait", "250"), other])


def test_a_classic_client_in_a_pair_is_not_free_because_it_asks_again() -> None:
    dora, bob = (classic.ClassicRegister(name, "198.51.100.1", 3000) for name in ("dora", "bob"))
    ask, carl = plain(10, classic.ClassicBridge("dora")), plain(12, classic.ClassicBridge("carl"))
    ann = keyed(1, bcp2_server.Register(1, "ann", 5000, open=True))
    gone = plain(11, classic.Unregister("bob"))
    compare([plain(10, dora), plain(11, bob), ask, ("wait", "61"), gone, ann, ask, carl])


def test_each_request_of_a_classic_client_makes_its_id_last() -> None:
    register, other = (
        plain(number, classic.ClassicRegister("dora", "198.51.100.1", 3000)) for number in (10, 11)
    )
    ask, ended, wait = plain(13, classic.ClassicBridge("dora")), ("leave", "10"), ("wait", "31")
    compare([register, wait, register, ended, wait, other, ask, wait, other, wait, other])


def test_a_classic_client_is_free_again_when_it_registers_again() -> None:
    register = plain(10, classic.ClassicRegister("dora", "198.51.100.1", 3000))
    bob, carl = (plain(11, classic.ClassicBridge(name)) for name in ("bob", "carl"))
    compare([register, bob, carl, register, carl])


def test_the_news_of_two_ids_of_one_client_come_in_any_order() -> None:
    ann, other = (keyed(1, bcp2_server.Register(1, name, 5000)) for name in ("ann", "Ann"))
    watches = bcp2_server.Watch(2, "ann"), bcp2_server.Watch(3, "Ann")
    compare([other, ann, keyed(2, bcp2_server.Register(1, "bob", 5000), *watches), other])


def test_an_id_was_used_until_the_end_of_its_registration() -> None:
    ann, other = (keyed(number, bcp2_server.Register(1, "ann", 5000)) for number in (1, 2))
    wait = "wait", "61"
    for end in (
        ("leave", "1"),
        keyed(1, bcp2_server.Register(2, "ann", 5000, expires=0)),
        keyed(1, bcp2_server.Register(2, "eve", 5000)),
    ):
        compare([ann, wait, end, wait, wait, wait, other, ("wait", "31"), other])
