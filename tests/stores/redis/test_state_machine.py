"""Random requests at three servers over one Redis, and at one in memory: the clients see no difference.

Redis is one in this process, and a real one.
"""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from chatproto.wire import bcp2_rooms, bcp2_server, classic, codec, strict
from chatproto.wire.bcp2_common import Bcp2Message
from tests.contracts.shared_row import Pair
from tests.contracts.traces import CLASSIC, DIRECTORY, IDS, IN_ROOMS, MODERATION, OPENING, ROOMS
from tests.long import LONG

KEYED = st.integers(1, 8)
FOUNDERS = st.integers(1, 3)
PLAIN = st.integers(10, 13)
LOOK_ALIKES = st.sampled_from([("ann", "Ann"), ("bob", "b0b"), ("carl", "cari"), ("dora", "d0ra")])


class Servers(RuleBasedStateMachine):
    """Each rule does a step at both, and compares what all are sent."""

    port = 0
    """Port of a real Redis; 0 for one in this process."""

    def __init__(self) -> None:
        super().__init__()
        self.pair = Pair(port=self.port)

    def ask(self, number: int, *messages: Bcp2Message) -> None:
        """Have a client with a key ask, without waiting for the answers in between."""
        words = [strict.encode(one).decode() for one in messages]
        self.pair.do(("key", str(number), *words))

    def ask_plain(self, number: int, message: Any) -> None:
        self.pair.do(("plain", str(number), codec.encode(message).decode()))

    @initialize()
    def open(self) -> None:
        """Have three people in rooms."""
        for step in OPENING:
            self.pair.do(step)

    @rule(number=KEYED, message=DIRECTORY)
    def directory(self, number: int, message: Bcp2Message) -> None:
        """Ask the directory."""
        self.ask(number, message)

    @rule(number=KEYED, name=IDS, rest=st.sampled_from([None, 0, 60]))
    def renew(self, number: int, name: str, rest: int | None) -> None:
        """Register, and the same again: as it was, or to end it."""
        self.ask(number, bcp2_server.Register(1, name, 5000))
        self.ask(number, bcp2_server.Register(2, name, 5000, expires=rest))

    @rule(one=KEYED, other=KEYED, names=LOOK_ALIKES)
    def look_alikes(self, one: int, other: int, names: tuple[str, str]) -> None:
        """Have two clients want names that look alike."""
        self.ask(one, bcp2_server.Register(1, names[0], 5000))
        self.ask(other, bcp2_server.Register(1, names[1], 5000))

    @rule(number=KEYED, other=KEYED, name=IDS)
    def watched(self, number: int, other: int, name: str) -> None:
        """Watch somebody who comes, and goes."""
        self.ask(number, bcp2_server.Watch(1, name))
        self.ask(other, bcp2_server.Register(1, name, 5000))
        self.pair.do(("leave", str(other)))

    @rule(number=KEYED, message=IN_ROOMS)
    def room(self, number: int, message: Bcp2Message) -> None:
        """Ask about a room."""
        self.ask(number, message)

    @rule(number=FOUNDERS, message=MODERATION)
    def moderate(self, number: int, message: Bcp2Message) -> None:
        """Moderate a room, of which the first three may be owners."""
        self.ask(number, message)

    @rule(number=KEYED, room=ROOMS, messages=st.lists(IN_ROOMS | DIRECTORY, max_size=4))
    def at_once(self, number: int, room: str, messages: list[Bcp2Message]) -> None:
        """Ask several things at once, and say something between them."""
        lines = [bcp2_rooms.Say(50 + at, room, f"line {at}") for at in range(2)]
        self.ask(number, bcp2_rooms.Join(1, room), lines[0], *messages, lines[1])

    @rule(number=PLAIN, message=CLASSIC)
    def plain(self, number: int, message: Any) -> None:
        """Ask in plain text."""
        self.ask_plain(number, message)

    @rule(number=PLAIN, name=IDS)
    def plain_call(self, number: int, name: str) -> None:
        """Register in plain text, want a peer, and go."""
        self.ask_plain(number, classic.ClassicRegister(name, "198.51.100.1", 3000))
        self.ask_plain(number, classic.ClassicBridge(name))
        self.ask_plain(number, classic.ClassicQuit(name))

    @rule(message=MODERATION)
    def operator(self, message: Bcp2Message) -> None:
        """Moderate as the operator."""
        self.pair.do(("operator", strict.encode(message).decode()))

    @rule(what=st.sampled_from(["came", "said", "went"]), name=st.sampled_from(["guest-1", "B0b"]))
    def bare(self, what: str, name: str) -> None:
        """Come to the lobby in bare text, say something there, or go."""
        self.pair.do(("raw", what, name))

    @rule(number=KEYED | PLAIN)
    def leave(self, number: int) -> None:
        """End a connection; who comes again comes to another server."""
        self.pair.do(("leave", str(number)))

    @rule(seconds=st.sampled_from([0.25, 1.0, 31.0, 61.0, 250.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.pair.do(("wait", str(seconds)))

    def teardown(self) -> None:
        """Compare what there is in the end."""
        self.pair.do(("wait", "1.0"))
        questions = [bcp2_server.Info(1), bcp2_rooms.Rooms(2)]
        for room in ("#tea", "#lobby", "#den"):
            questions += [bcp2_rooms.Names(3, room), bcp2_rooms.History(4, room)]
        for number in range(1, 6):
            self.ask(number, *questions)
        self.ask_plain(10, classic.ClassicInfo())
        self.pair.close()


def run(examples: int, steps: int, port: int = 0) -> None:
    class ServersThere(Servers):
        pass

    ServersThere.port = port
    limits = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
    )
    run_state_machine_as_test(ServersThere, settings=limits)


def test_clients_of_several_servers_see_no_difference() -> None:
    run(4, 20)


@LONG
def test_clients_of_several_servers_see_no_difference_for_long() -> None:
    run(150, 50)


def test_clients_of_several_servers_with_a_real_redis_see_no_difference(port: int) -> None:
    run(1, 20, port)


@LONG
def test_clients_of_several_servers_with_a_real_redis_see_no_difference_for_long(port: int) -> None:
    run(100, 50, port)
