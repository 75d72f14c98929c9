"""Report the outcome of our messages in one conversation, each within its request."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chatproto.client.context import MessageParts
from chatproto.client.events import (
    Delivered,
    Event,
    Notice,
    Sent,
    Uncertain,
    Undelivered,
)
from chatproto.client.requests import AskedPart, take_part, telling
from chatproto.client.targets import Target
from chatproto.net.clock import Wall
from chatproto.session import ledger
from chatproto.session.effects import MessageOutcome
from chatproto.wire.reasons import NOT_ARRIVED

YOUR_TURN = "it is your turn (/mode full ends taking turns)"
EACH = 3
"""Most queued messages that are reported one by one; more are reported as a number."""


@dataclass(slots=True)
class _Unnumbered:
    """Text without a number that no connection has taken yet; `part`: of its request.

    `held`: it was reported as queued until our turn.
    """

    part: AskedPart | None
    held: bool = False


class MessageNews:
    """Remember which messages were reported as queued, so that their outcome repeats the text.

    Args: target: the conversation; its name may change. tell: shows an event. parts: request parts of
    numbered messages.
    """

    def __init__(self, target: Target, tell: Callable[[Event], None], parts: MessageParts) -> None:
        self._target = target
        self._tell = tell
        self._kept: set[int] = set()
        self.waited: Callable[[Iterable[int]], None] = self._kept.update
        """Add messages that were queued before this conversation and reported then."""
        self._held: set[int] = set()  # reported as queued until our turn
        self._parts = parts
        self._unnumbered: deque[_Unnumbered] = deque()  # texts without a number, or without one yet

    def assign_request(self, id: int) -> None:
        """Assign the text sent now to the current request; `id` is 0 if it has no number yet."""
        part = take_part()
        if not id:
            self._unnumbered.append(_Unnumbered(part))
        elif part is not None:
            self._parts[self._place_of(id)] = part

    def numbered(self, ids: Iterable[int]) -> None:
        """Assign the numbers `ids` to the texts without one, the oldest first."""
        for id in ids:
            part = self.next_part()
            if part is not None:
                self._parts[self._place_of(id)] = part

    def next_part(self) -> AskedPart | None:
        """Remove the oldest text without a number; return the part of its request."""
        return self._unnumbered.popleft().part if self._unnumbered else None

    def written(self, text: str, said: Wall, id: int | None = None) -> None:
        """Report that a connection took `text`, which was typed at the time `said`."""
        part = self._part(id) if id else self.next_part()
        self._held.discard(id or 0)
        with telling(part, None if id else "sent"):
            self._tell(Sent(text, id, to=self._target.name, said=said))

    def hold(self, ids: Iterable[int]) -> None:
        """Report messages as queued until our turn, unless that was reported before."""
        fresh = [id for id in ids if id not in self._held]
        self._held.update(fresh)
        self._tell_held([(id, self._part(id)) for id in fresh])

    def hold_unnumbered(self, count: int) -> None:
        """Report the latest `count` texts without a number as queued until our turn, unless done before."""
        waiting = list(self._unnumbered)[len(self._unnumbered) - count :]
        fresh = [one for one in waiting if not one.held]
        for one in fresh:
            one.held = True
        self._tell_held([(None, one.part) for one in fresh])

    def _tell_held(self, held: list[tuple[int | None, AskedPart | None]]) -> None:
        """Report each message, or their number if there are more than `EACH`."""
        name, few = self._target.name, len(held) <= EACH
        if not few:
            text = f"{len(held)} messages are queued until {YOUR_TURN}"
            self._tell(Notice(text, name, turn=True))
        for id, part in held:
            with telling(part, "queued"):
                if few:
                    self._tell(Notice(f"queued until {YOUR_TURN}", name, id, turn=True))

    def left(self, ids: Iterable[int]) -> None:
        """Report that messages held for our turn stay in the outbox, because the conversation has ended.

        Only those of requests are reported one by one; the outbox reports their number.
        """
        for id in ids:
            if id in self._held and self._part(id) is not None:
                self.queued(id)
        self._held.clear()

    def queued(self, id: int) -> None:
        """Report that a message is queued until there is a connection."""
        name = self._target.name
        self._kept.add(id)
        with telling(self._part(id), "queued"):
            text = f"message {id} is queued for {name} (/unsend {id} to cancel)"
            self._tell(Notice(text, name, id))

    def wait(self, ids: Iterable[int]) -> None:
        """Report written messages that have not arrived: the connection broke or is silent.

        Publish one event each, or one for all of them if there are more than `EACH`.
        """
        fresh = [id for id in ids if id not in self._kept]
        if len(fresh) <= EACH:
            for id in fresh:
                self.queued(id)
            return
        self._kept.update(fresh)
        name = self._target.name
        which = f"messages {fresh[0]} to {fresh[-1]} are queued for {name}"
        self._tell(Notice(f"{which} (/unsend {fresh[0]} to cancel the first)", name))
        for id in fresh:
            part = self._part(id)
            if part is not None:
                part.end("queued")

    def unsaid(self, text: str, reason: str) -> None:
        """Report a message that was not sent and will not be."""
        with telling(self.next_part(), fails=reason):
            self._tell(Undelivered(self._target.name, reason, text=text))

    def outcome(self, fate: MessageOutcome) -> None:
        """Report an outcome, with the text if the message was reported as queued or did not arrive."""
        late = fate.id in self._kept
        self._kept.discard(fate.id)
        self._held.discard(fate.id)
        part = self._parts.pop(self._place_of(fate.id), None)
        text = (fate.text or None) if late or fate.state != ledger.DELIVERED else None
        why = fate.reason or NOT_ARRIVED()
        tell_outcome(self._tell, part, self._target.name, fate, why, text)

    def _part(self, id: int) -> AskedPart | None:
        """Return the request part of message `id`."""
        return self._parts.get(self._place_of(id))

    def _place_of(self, id: int) -> tuple[str, int]:
        """Return the key of message `id` in the dict of parts."""
        return self._target.log_key or "", id


def tell_outcome(
    tell: Callable[[Event], None],
    part: AskedPart | None,
    name: str,
    fate: MessageOutcome,
    reason: str,
    text: str | None,
) -> None:
    """Report the outcome of a message to `name`, and end its part of a request.

    Args: reason: why it was not delivered. text: of the message; None if it need not be repeated.
    """
    with telling(part, fate.state, reason if fate.state == ledger.UNDELIVERED else ""):
        match fate.state:
            case ledger.DELIVERED:
                tell(Delivered(name, fate.id, text))
            case ledger.UNCERTAIN:
                tell(Uncertain(name, fate.id, text))
            case _:
                tell(Undelivered(name, reason, fate.id, text))
