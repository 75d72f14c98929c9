"""Test that nothing is lost when a program is killed or a peer is away: real programs, lasting homes."""

from __future__ import annotations

import random
import signal
from typing import Any

import pytest

from tests.e2e.harness import Stage
from tests.e2e.talker import Person, Talker, acquaint, assert_all_arrived
from tests.long import LONG

SEED = 9
KILLS, LONG_KILLS = 4, 20
BURST = 8  # texts that are typed at once, at most
WAITING = 500  # messages that wait for one person, at most


def friends(stage: Stage) -> tuple[Person, Person]:
    """Alice and bob, who talk with each other."""
    _, server = stage.server()
    alice, bob = (Person(stage, name, server) for name in ("alice", "bob"))
    acquaint(alice, bob)
    return alice, bob


def away(stage: Stage) -> tuple[Person, Person]:
    """Alice, and bob, whom she knows and who has gone."""
    alice, bob = friends(stage)
    bob.leave()
    alice.now.event("bye", id="bob")
    return alice, bob


def keep(alice: Person, bob: Person, *texts: str) -> list[int]:
    """Alice says it to bob, who is away; the numbers under which it waits."""
    before = len(alice.now.read().waits)
    alice.say(*texts, to=bob)
    alice.now.until(lambda told: len(told.waits) == before + len(texts), "that it waits")
    return list(alice.now.read().waits)[before:]


def first_hearing(listener: Person) -> list[dict[str, Any]]:
    """List all messages heard in all lives, without those marked as repeated."""
    seen: dict[int, dict[str, Any]] = {}
    for life in listener.lives:
        for event in life.read().heard:
            first = seen.setdefault(event["id"], event)
            if first is not event:
                assert event.get("history") is True, f"heard twice: {first} {event}"
                assert event["text"] == first["text"]
    return list(seen.values())


def accepted(speaker: Person) -> dict[int, str]:
    """By number, what the speaker's programs said that they have taken: it must arrive."""
    taken: dict[int, str] = {}
    for life in speaker.lives:
        for event in life.read().sent:
            assert taken.setdefault(event["id"], event["text"]) == event["text"]
    return taken


def assert_once_and_in_order(speaker: Person, listener: Person, last_words: int) -> None:
    """Check that all texts arrived in order; at most those that a killed program never took are missing.

    The `last_words` texts were typed to a program that was not killed any more.
    """
    heard = first_hearing(listener)
    texts = [event["text"] for event in heard]
    ids = [event["id"] for event in heard]
    assert all(event["from"] == speaker.name for event in heard)
    assert len(set(texts)) == len(texts), "a text came twice, with two numbers"
    assert ids == sorted(ids)
    assert texts == sorted(texts, key=speaker.typed.index), "out of order"
    assert texts[-last_words:] == speaker.typed[-last_words:]
    arrived = dict(zip(ids, texts, strict=True))
    for number, text in accepted(speaker).items():
        assert arrived.get(number) == text, f"{text!r} was sent, and never arrived"
    for life in speaker.lives:
        told = life.read()
        assert told.lost == []
        assert {event["id"] for event in told.delivered} <= set(ids)
        assert set(told.waits) <= set(ids), "it was told that it waits, and it never arrived"
        assert len({event["id"] for event in told.delivered}) == len(told.delivered)


def wait_for_moment(victim: Talker, kind: str) -> None:
    """Let things happen until it is time to kill."""
    told = victim.read()
    heard, sent, delivered = len(told.heard), len(told.sent), len(told.delivered)
    match kind:
        case "it heard something":
            victim.until(lambda told: len(told.heard) > heard, kind)
        case "it said something":
            victim.until(lambda told: len(told.sent) > sent, kind)
        case "something was delivered":
            victim.until(lambda told: len(told.delivered) > delivered, kind)


def wait_for_last_words(speaker: Person, listener: Person) -> None:
    """Wait until what was typed last has arrived and is known to have: then so has all before it."""
    last = speaker.typed[-1]

    def number() -> int | None:
        return next((one["id"] for one in listener.now.read().heard if one["text"] == last), None)

    listener.now.until(lambda told: number() is not None, last)
    speaker.now.until(
        lambda told: any(one["id"] == number() for one in told.delivered), f"{last} delivered"
    )


def test_killed_programs_resume_after_a_restart(stage: Stage, pytestconfig: pytest.Config) -> None:
    kills = LONG_KILLS if pytestconfig.getoption("--long") else KILLS
    chance = random.Random(SEED)
    alice, bob = friends(stage)
    others = {alice: bob, bob: alice}
    kinds = ["at once", "it heard something", "it said something", "something was delivered"]
    moments = kinds * (kills // len(kinds))
    chance.shuffle(moments)
    for number, moment in enumerate(moments):
        victim = chance.choice((alice, bob))
        for speaker, listener in others.items():
            words = range(chance.randint(1, BURST))
            speaker.say(*(f"{speaker.name} {number}.{word}" for word in words), to=listener)
        wait_for_moment(victim.now, moment)
        victim.kill()
        victim.begin()
    for speaker, listener in others.items():
        speaker.say(*(f"{speaker.name} at last {word}" for word in range(BURST)), to=listener)
    for speaker, listener in others.items():
        wait_for_last_words(speaker, listener)
    for speaker, listener in others.items():
        assert_once_and_in_order(speaker, listener, BURST)
        rows = speaker.now.conversations()
        assert [(row["id"], row["state"]) for row in rows] == [(listener.name, "open")]
    assert len(alice.lives) + len(bob.lives) == kills + 2


@LONG
def test_unshown_messages_are_shown_after_the_kill(stage: Stage) -> None:
    alice, bob = friends(stage)
    bob.now.output.reading.clear()  # his screen stands still: 64 KiB of a pipe, then nothing more
    texts = [f"{number:4} {'and so on ' * 20}" for number in range(1000)]
    for begin in range(0, len(texts), BURST):
        alice.say(*texts[begin : begin + BURST])
    alice.now.settle(len(texts))
    bob.now.signal(signal.SIGKILL)
    bob.now.output.reading.set()
    bob.kill()
    assert len(bob.now.read().heard) < len(texts), "the pipe has taken everything"
    bob.begin()
    # Until the last: some of what the pipe had taken comes again, so a count would be reached early.
    bob.now.until(
        lambda told: any(one["text"] == texts[-1] for one in told.heard), "the last of it"
    )
    assert [event["text"] for event in first_hearing(bob)] == alice.typed
    alice.say("and now?")
    bob.now.until(lambda told: told.heard[-1]["text"] == "and now?", "what is new")
    assert_once_and_in_order(alice, bob, 1)
    again = [event for event in bob.now.read().heard if event.get("history")]
    assert [event["text"] for event in again] == alice.typed[-1 - len(again) : -1]


def test_queued_messages_survive_and_are_delivered(stage: Stage) -> None:
    alice, bob = away(stage)
    keep(alice, bob, "before the kill", "and this")
    alice.kill()
    alice.begin()
    keep(alice, bob, "after it")
    alice.kill()
    alice.begin()
    bob.begin()
    bob.now.hear(3)
    alice.now.settle(3)
    assert [event["text"] for event in first_hearing(bob)] == alice.typed
    assert len({event["id"] for event in alice.now.read().delivered}) == 3
    assert alice.now.read().lost == []


def test_message_taken_back_never_arrives(stage: Stage) -> None:
    alice, bob = away(stage)
    first, second = keep(alice, bob, "what a fool he is", "are you well?")
    alice.now.send_line(f"/unsend {first} bob")
    told = alice.now.event("undelivered", to="bob", id=first)
    assert told["text"] == "what a fool he is"
    alice.now.send_line(f"/unsend {first} bob")
    alice.now.event("error", command="unsend", status=404)
    bob.begin()
    alice.now.event("delivered", to="bob", id=second)
    bob.now.hear(1)
    alice.say("one more", to=bob)
    bob.now.hear(2)
    assert [event["text"] for event in bob.now.read().heard] == ["are you well?", "one more"]


@LONG
def test_outbox_of_one_peer_is_limited(stage: Stage) -> None:
    alice, bob = away(stage)
    texts = [f"letter {number}" for number in range(WAITING)]
    keep(alice, bob, *texts)
    alice.say("one too many", to=bob)
    alice.now.until(lambda told: bool(told.errors), "a refusal")
    # Another command behind it: there is one refusal, not one a letter.
    alice.now.send_line("/who")
    alice.now.event("answer", command="who")
    refusals = alice.now.read().errors
    assert [error["status"] for error in refusals] == [429]
    refusals.clear()
    alice.typed.remove("one too many")
    bob.begin()
    bob.now.hear(WAITING)
    alice.now.settle(WAITING)
    alice.say("room again", to=bob)
    bob.now.hear(WAITING + 1)
    alice.now.settle(WAITING + 1)
    assert_all_arrived(alice, bob)
