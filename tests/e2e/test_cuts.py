"""Test that nothing is lost when connections are cut, stall or are refused: real programs and a proxy."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.harness import Stage, free_port
from tests.e2e.proxy import Proxy
from tests.e2e.talker import Person, acquaint, assert_all_arrived
from tests.long import LONG

SEED = 4
BURST = 8  # texts that are typed at once, at most
AHEAD = 16  # texts that are on their way at once, at most, in each direction
FIRST = 100 * AHEAD  # bytes, about: what waited, which goes out as one TLS record


@dataclass(frozen=True, slots=True)
class Pair:
    """Two who know each other and whose connections all go through one proxy.

    `setup`: bytes that a handshake, a call and its answer take.
    """

    alice: Person
    bob: Person
    proxy: Proxy
    setup: int

    def say_last_words(self) -> None:
        """A text each way, when nothing is cut any more; then all before it has arrived too."""
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            one.say("that is all")
            other.now.hear(len(one.typed))
            one.now.settle(len(one.typed))

    def assert_one_conversation(self) -> None:
        for one, other in ((self.alice, self.bob), (self.bob, self.alice)):
            rows = one.now.conversations()
            assert [(row["id"], row["state"]) for row in rows] == [(other.name, "open")]
            for event in one.now.read().sessions:
                assert event["id"] == other.name
                assert event["state"] != "closed"

    def assert_nothing_readable(self) -> None:
        """No text, and no name, passed the proxy as it is."""
        for one in (self.alice, self.bob):
            for word in (*one.typed[::50], one.typed[-2], one.name, "MSGACK"):
                assert not self.proxy.saw(word), word


class Meeting:
    """Makes pairs, and closes their proxies."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._proxies: list[Proxy] = []

    def pair(self, *options: str) -> Pair:
        """Alice has called bob. Each is told to others at a port of the proxy."""
        _, server = self._stage.server()
        ports = free_port(), free_port()
        proxy = Proxy("127.0.0.1", ports[0])
        self._proxies.append(proxy)
        doors = proxy.port, proxy.also("127.0.0.1", ports[1])
        alice, bob = (
            Person(
                self._stage, name, server, "--announce", f"127.0.0.1:{door}", *options, port=port
            )
            for name, port, door in zip(("alicetta", "bobbington"), ports, doors, strict=True)
        )
        acquaint(alice, bob)
        assert proxy.open >= 1, "the call goes past the proxy"
        return Pair(alice, bob, proxy, proxy.passed)

    def close(self) -> None:
        for proxy in self._proxies:
            proxy.close()


@pytest.fixture
def meeting(stage: Stage) -> Iterator[Meeting]:
    made = Meeting(stage)
    yield made
    made.close()


def plan(pair: Pair, cuts: int, chance: random.Random) -> None:
    """So many cuts: a fifth are resets; a fifth come before a new connection has carried much.

    Those cost a second or more each, and some of them follow each other.
    """
    early = [True] * (cuts // 5) + [False] * (cuts - cuts // 5)
    resets = [True] * (cuts // 5) + [False] * (cuts - cuts // 5)
    chance.shuffle(early)
    chance.shuffle(resets)
    for soon, reset in zip(early, resets, strict=True):
        begun = pair.setup + FIRST
        count = chance.randint(1, begun) if soon else chance.randint(begun, begun + 3000)
        pair.proxy.after(count, reset)


def test_every_message_survives_the_cuts(meeting: Meeting, pytestconfig: pytest.Config) -> None:
    cuts, messages = (1000, 10_000) if pytestconfig.getoption("--long") else (100, 2000)
    chance = random.Random(SEED)
    pair = meeting.pair()
    proxy = pair.proxy
    plan(pair, cuts, chance)
    ways = (pair.alice, pair.bob), (pair.bob, pair.alice)
    each = messages // 2
    while proxy.planned or any(len(one.typed) < each for one, _ in ways):
        allowed = (
            each * (proxy.cuts + 1) // cuts
        )  # so that there is something to say until the last
        said = False
        for speaker, listener in ways:
            under_way = len(speaker.typed) - len(listener.now.read().heard)
            room = min(allowed, each) - len(speaker.typed)
            count = min(room, AHEAD - under_way, chance.randint(1, BURST))
            if count > 0:
                first = len(speaker.typed)
                speaker.say(*(f"{speaker.name} says {first + n}" for n in range(count)))
                said = True
        if said:
            continue
        late = [way for way in ways if len(way[0].typed) > len(way[1].now.read().heard)]
        if late:
            _, listener = late[0]
            listener.now.hear(len(listener.now.read().heard) + 1)
        elif proxy.planned and not proxy.hurry():
            proxy.wait_for(lambda: proxy.open > 0, "another connection")
    assert proxy.cuts == cuts, "every planned cut was made, and no other"
    pair.say_last_words()
    for speaker, listener in ways:
        assert_all_arrived(speaker, listener)
    pair.assert_one_conversation()
    pair.assert_nothing_readable()


@LONG
def test_a_silent_connection_is_noticed_and_left(meeting: Meeting) -> None:
    pair = meeting.pair("--ping", "1")
    pair.alice.say("before the silence")
    pair.bob.now.hear(1)
    pair.proxy.stall()
    for one in (pair.alice, pair.bob):
        one.say(*(f"{one.name} into the silence {number}" for number in range(20)))
    for one in (pair.alice, pair.bob):
        one.now.until(lambda told: told.state == "broken", "the loss of a silent connection")
    pair.alice.say("while it is broken")
    pair.proxy.go()
    pair.say_last_words()
    assert_all_arrived(pair.alice, pair.bob)
    assert_all_arrived(pair.bob, pair.alice)
    pair.assert_one_conversation()


@LONG
def test_peer_is_reached_again_after_an_outage(meeting: Meeting) -> None:
    pair = meeting.pair()
    pair.proxy.refuse(True)
    pair.proxy.cut(reset=True)
    for one in (pair.alice, pair.bob):
        one.now.until(lambda told: told.state == "broken", "the loss of a cut connection")
        one.say("kept", "in order")
    pair.proxy.refuse(False)
    pair.say_last_words()
    assert_all_arrived(pair.alice, pair.bob)
    assert_all_arrived(pair.bob, pair.alice)
    pair.assert_one_conversation()


def test_no_turn_is_lost(meeting: Meeting) -> None:
    turns, cuts = 200, 20
    chance = random.Random(SEED)
    pair = meeting.pair("--half-duplex")
    proxy = pair.proxy
    assert any(event.get("mode") == "half" for event in pair.bob.now.read().sessions)
    speaker, listener = pair.alice, pair.bob
    passed = True
    for turn in range(turns):
        wants = turn % 3 == 1
        if turn % (turns // cuts) == 1:
            # Mostly while the turn itself, or the message that passes it, is on its way.
            proxy.after(chance.randint(1, 150), reset=chance.random() < 0.2)
            wants = chance.random() < 0.6
        passed = wants and not passed  # by whoever has heard something, and so knows that it may
        if passed:
            # The other side is not told to speak: what it says waits for its turn.
            speaker.now.send_line("/over")
        else:
            speaker.say(f"turn {turn}")
            listener.now.hear(len(speaker.typed))
        speaker, listener = listener, speaker
        if turn % (turns // cuts) == turns // cuts - 1 and proxy.planned and not proxy.hurry():
            proxy.wait_for(lambda: proxy.open > 0, "another connection")
            proxy.hurry()
    assert proxy.cuts == cuts
    pair.say_last_words()
    assert_all_arrived(pair.alice, pair.bob)
    assert_all_arrived(pair.bob, pair.alice)
    pair.assert_one_conversation()


def test_pipe_input_is_held_while_the_connection_stalls(meeting: Meeting) -> None:
    lines = 600
    pair = meeting.pair()
    pair.proxy.stall()
    texts = [f"line {number}" for number in range(lines)]
    pair.alice.say(*texts)
    # 500 may be unacknowledged at once; the rest of the lines is not even read.
    pair.alice.now.until(lambda told: len(told.sent) >= 500, "as many as may wait")
    assert len(pair.alice.now.read().sent) == 500
    pair.proxy.go()
    pair.bob.now.hear(lines)
    pair.alice.now.settle(lines)
    assert_all_arrived(pair.alice, pair.bob)
