"""Invariants, whatever the network does: of every message, after each step, and at the end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from zope.interface import implementer

from chatproto.client.events import (
    Delivered,
    Event,
    Failed,
    MessageReceived,
    Sent,
    Uncertain,
    Undelivered,
)
from chatproto.session.ledger import HEARD
from tests.limits import Limits

MOST_UNSENT = 16 * 1024
"""Bytes that may wait at one end of a connection: a source that is told to wait writes no more, but
short answers to what comes from the other end."""
MOST_LINES = 10_000
"""Lines of a log that are looked at: more than any run has."""
LEASE_CHECK = 2.0
"""Seconds: the server looks once a second who is gone."""


class Broken(AssertionError):
    """Something that must hold does not."""


def hold(true: Any, sentence: str) -> None:
    """Raise Broken with `sentence` if it is not so."""
    if not true:
        raise Broken(sentence)


@dataclass(slots=True)
class Message:
    """One message and what became of it; `number` counts those from `sender` to `receiver`.

    `pinned`: the sender knew the receiver's key when it was said, so that it must arrive. `key`: the
    key that it was said for, where liars are about; None: nobody knew one.
    """

    text: str
    sender: str
    receiver: str
    number: int
    pinned: bool = False
    key: str | None = None
    received: bool = False
    delivered: bool = False
    undelivered: bool = False
    uncertain: bool = False
    taken_back: bool = False

    @property
    def lost(self) -> bool:
        """True if the sender is still owed delivery or a report."""
        must_come = self.pinned and not self.taken_back
        return not (self.received if must_come else self.settled)

    @property
    def settled(self) -> bool:
        """True if it was delivered, or its sender knows that it was not or may not have been."""
        return self.received or self.undelivered or self.uncertain


class Books:
    """Every message that a program took, and what the programs told of it. Texts are unique."""

    def __init__(self, stranger: tuple[str, str] | None = None) -> None:
        """`stranger`: somebody, and whom they pass themselves off as."""
        self.messages: dict[str, Message] = {}
        self._stranger = stranger
        self._count: dict[tuple[str, str], int] = {}
        self._last: dict[tuple[str, str], int] = {}
        self._ids: dict[tuple[str, str, Any], str] = {}
        self._refused = False

    def begin(self, sender: str, receiver: str, text: str, pinned: bool = False) -> None:
        """`sender` is about to say `text`."""
        number = self._count.get((sender, receiver), 0) + 1
        self.messages[text] = Message(text, sender, receiver, number, pinned)
        self._refused = False

    def goes_to(self, key: str | None, text: str) -> None:
        """Note that `text` is for the owner of `key`, whoever has the name that was said."""
        self.messages[text].key = key

    def end(self, text: str) -> None:
        """Note that the text was taken, unless an error was reported."""
        message = self.messages[text]
        if self._refused:
            hold(not message.settled, f"refused and yet {message}")
            del self.messages[text]
        else:
            self._count[message.sender, message.receiver] = message.number

    def held(self, text: str, held: bool, pinned: bool) -> None:
        """`text` was typed and not taken yet (`held`), or now it is, or was reported."""
        message = self.messages[text]
        message.pinned = not held and not message.undelivered and pinned

    def forget(self, text: str) -> None:
        """Note that the program was killed before it took the text."""
        hold(not self.messages[text].settled, f"not taken and yet {self.messages[text]}")
        del self.messages[text]

    def taken_back(self, text: str) -> None:
        """Note that its sender took it back, if it was the sender's to take."""
        message = self.messages.get(text)
        if message is not None:
            message.taken_back = message.undelivered or message.uncertain

    def told(self, who: str, event: Event) -> None:
        """The program of `who` told `event`. Raises Broken."""
        match event:
            case Failed(_, _, "msg" | "say"):
                self._refused = True
            case MessageReceived():
                self._received(who, event)
            case Sent(text, id, to) if id is not None:
                self._ids[who, _unnumbered(to).rstrip("?"), id] = text
            case Delivered():
                message = self._meant(who, event)
                if message is not None:
                    hold(message.received, f"told as delivered and never received: {message}")
                    message.delivered = True
            case Uncertain():
                message = self._meant(who, event)
                if message is not None:
                    message.uncertain = True
            case Undelivered():
                self._undelivered(who, self._meant(who, event), event)

    def heard(self, sender: str, receiver: str) -> list[Message]:
        """List the messages of `sender` that `receiver` was shown, in order."""
        return [
            one
            for one in self.messages.values()
            if one.received and (one.sender, one.receiver) == (sender, receiver)
        ]

    def killed(self, sender: str) -> None:
        """The program of `sender` is gone, and with it what it kept for people without a known key."""
        for one in self.messages.values():
            if one.sender == sender and not one.pinned and not one.settled:
                one.uncertain = True

    def unsettled(self) -> list[Message]:
        """List the messages that were neither delivered nor reported."""
        return [one for one in self.messages.values() if not one.settled]

    def _received(self, who: str, event: MessageReceived) -> None:
        message = self.messages.get(event.text)
        if message is None:
            raise Broken(f"{who} received what nobody said: {event}")
        if event.history and message.received:
            return
        sender, shown = message.sender, _unnumbered(event.from_)
        hold(message.receiver == who, f"{who} received what was for another: {message}")
        if ":" in shown:
            rightly = True  # an address, which claims nothing
        elif self._stranger is not None and sender == self._stranger[0]:
            rightly = shown == self._stranger[1] + "?"
        else:
            rightly = shown.rstrip("?") == sender
        hold(rightly, f"{event.from_} is shown as the sender: {message}")
        hold(not message.received, f"received twice: {message}")
        hold(not message.undelivered, f"received after it was reported: {message}")
        last = self._last.get((sender, who), 0)
        hold(last < message.number, f"received after number {last}: {message}")
        self._last[sender, who] = message.number
        message.received = True

    def _undelivered(self, who: str, message: Message | None, event: Undelivered) -> None:
        hold(message is not None, f"{who} reports what was never said: {event}")
        assert message is not None
        hold(message.sender == who, f"{who} reports another's message: {message}")
        hold(not message.received, f"received and yet reported: {message}")
        hold(not message.undelivered, f"reported twice: {message}")
        message.undelivered = True

    def _meant(self, who: str, event: Any) -> Message | None:
        """The message that `event` is about."""
        text = getattr(event, "text", None) or self._ids.get(
            (who, _unnumbered(event.to).rstrip("?"), event.id), ""
        )
        return self.messages.get(text)


def _unnumbered(name: str | None) -> str:
    """Return a name without the number that tells two peers of a name apart."""
    return str(name).partition("~")[0]


@implementer(ILogObserver)
class ErrorLog:
    """Collect errors that the programs log; each is a failure, unless its format is `expected`."""

    def __init__(self, expected: tuple[str, ...] = ()) -> None:
        self.errors: list[str] = []
        self._expected = expected

    def __enter__(self) -> ErrorLog:
        globalLogPublisher.addObserver(self)
        return self

    def __exit__(self, *_: object) -> None:
        globalLogPublisher.removeObserver(self)

    def check(self) -> None:
        """Raise Broken if there is one."""
        hold(not self.errors, "logged: " + "\n".join(self.errors))

    def __call__(self, event: Any) -> None:
        failure = event.get("log_failure")
        if failure is not None:
            self.errors.append(failure.getTraceback())
        elif event.get("log_level") in (LogLevel.error, LogLevel.critical):
            sentence = str(event.get("log_format"))
            if sentence not in self._expected:
                self.errors.append(sentence)


def check_node(node: Any, limits: Limits, dials: int = 0) -> None:
    """One conversation a key, and nothing past its limit; `dials`: connections that a server may cause."""
    who = node.own_addresses.me.client_id
    open_with: set[str] = set()
    ringing = 0
    for one in node.calls.all:
        hold(
            one.unsent <= limits.waiting_messages,
            f"{who} has {one.unsent} messages for {one.name} waiting",
        )
        ringing += one.state.value == "ringing"
        if one.state.value == "open" and one.key is not None:
            hold(one.key not in open_with, f"{who} has two sessions with {one.name}")
            open_with.add(one.key)
    hold(ringing <= 2 * limits.ringing, f"{ringing} calls ring at {who}")  # strangers and known
    connections = len(node.connections.carried)
    hold(
        connections <= limits.callers + len(node.calls.all) + dials,
        f"{who} has {connections} connections",
    )


def check_server(side: Any, now: float, keys: dict[str, str]) -> None:
    """One owner a name, one connection an owner, no lease past its end."""
    directory = side.directory
    present: set[str] = set()
    for client in side.connections:
        if client.client_id is None:
            continue
        name = client.client_id
        hold(name not in present, f"{name} is registered by two connections")
        present.add(name)
        owner = directory.names.owner(name)
        hold(owner == client.key, f"{name} is registered by {client.key} and owned by {owner}")
        hold(owner == keys[name], f"{name} is owned by a stranger")
    for contact in directory.contacts():
        hold(contact.client_id in present, f"{contact.client_id} is listed and not connected")
    for stored in directory._presences.all():
        name = stored.client_id
        presence = directory._find(name) or stored
        if presence.until is not None:
            hold(
                now <= presence.until + LEASE_CHECK,
                f"the lease of {name} ended at {presence.until:.3f}",
            )


def check_log(receiver: str, ledger: Any, key: str, heard: list[Message]) -> None:
    """Check that the messages shown to `receiver` are in its log, in order."""
    kept = [line.text for line in ledger.history(key, MOST_LINES) if line.state == HEARD]
    shown = [message.text for message in heard]
    hold(kept == shown, f"{receiver} was shown {len(shown)} messages and has {len(kept)}")


def check_transports(transports: Any) -> None:
    """Check that no end of a connection has too much queued."""
    for one in transports:
        waits = len(one.buffer)
        hold(waits <= MOST_UNSENT, f"{waits} bytes wait at {one.name}")
