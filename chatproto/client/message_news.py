"""Tell what becomes of the messages of one conversation, and to whose request each belongs."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from chatproto.client.context import MessageParts
from chatproto.client.events import (
    Delivered,
    Event,
    MessageReceived,
    Notice,
    Sent,
    Uncertain,
    Undelivered,
)
from chatproto.client.requests import AskedPart, take_part, telling
from chatproto.net.clock import Wall
from chatproto.session import ledger
from chatproto.session.effects import MessageOutcome
from chatproto.wire.reasons import NOT_ARRIVED

EACH = 3
"""Messages that wait and are told one by one; more are told as a number."""


class MessageNews:
    """Remembers of which messages was told that they wait, so that their fate names them by their text.

    `name` is what the person calls the other one, who may be given another meanwhile.
    """

    def __init__(self, tell: Callable[[Event], None], parts: MessageParts) -> None:
        self._tell = tell
        self._kept: set[int] = set()
        self._parts = parts
        self._unnumbered: deque[AskedPart | None] = deque()  # of texts that have no number yet

    def asked(self, key: str | None, id: int) -> None:
        """Note whose request the text was that is said now; `id` is 0 if it has no number yet."""
        part = take_part()
        if key is None or not id:
            self._unnumbered.append(part)
        elif part is not None:
            self._parts[key, id] = part

    def next_part(self) -> AskedPart | None:
        """Remove the part of the text that has waited longest for a number, and return it."""
        return self._unnumbered.popleft() if self._unnumbered else None

    def _part(self, key: str | None, id: int | None, *, ended: bool) -> AskedPart | None:
        """Return of whose request message `id` is; `ended`: nothing more is told of it."""
        known = (key or "", id or 0)
        if known in self._parts:
            return self._parts.pop(known) if ended else self._parts[known]
        part = self.next_part()
        if part is not None and key is not None and id and not ended:
            self._parts[key, id] = part
        return part

    def heard(self, name: str, text: str, id: int, said: Wall) -> None:
        """Tell a received `text`, said at `said`; `id` is 0 where messages have no number."""
        self._tell(MessageReceived(from_=name, text=text, id=id or None, said=said))

    def written(
        self, name: str, text: str, said: Wall, key: str | None = None, id: int | None = None
    ) -> None:
        """A connection took `text`, which was said at the moment `said`."""
        part = self._part(key, id, ended=not id)
        with telling(part):
            self._tell(Sent(text, id, to=name, said=said))
        if part is not None and not id:
            part.end("sent")

    def kept_for_turn(self, name: str) -> None:
        """Report that a message for `name` is queued until our turn."""
        self._tell(Notice("queued until it is your turn (/mode full ends taking turns)", name))

    def kept(self, name: str, key: str | None, id: int) -> None:
        """Report that a message is queued until there is a connection."""
        self._kept.add(id)
        text = f"message {id} is queued for {name} (/unsend {id} to cancel)"
        part = self._parts.get((key or "", id))
        with telling(part):
            self._tell(Notice(text, name, id))
        if part is not None:
            part.end("queued")

    def wait(self, name: str, key: str | None, ids: Iterable[int]) -> None:
        """Tell which written messages have not arrived: the connection broke or is silent.

        One event each, or one for all of them if they are more than `EACH`.
        """
        fresh = [id for id in ids if id not in self._kept]
        if len(fresh) <= EACH:
            for id in fresh:
                self.kept(name, key, id)
            return
        self._kept.update(fresh)
        which = f"messages {fresh[0]} to {fresh[-1]} are queued for {name}"
        self._tell(Notice(f"{which} (/unsend {fresh[0]} to cancel the first)", name))
        for id in fresh:
            part = self._parts.get((key or "", id))
            if part is not None:
                part.end("queued")

    def waited(self, ids: Iterable[int]) -> None:
        """Note messages that were queued before this conversation, and reported then."""
        self._kept.update(ids)

    def unsaid(self, name: str, text: str, reason: str) -> None:
        """Report a message that was not sent and will not be."""
        part = self._part(None, None, ended=True)
        with telling(part):
            self._tell(Undelivered(name, reason, text=text))
        if part is not None:
            part.fail(reason)

    def became(self, name: str, key: str | None, fate: MessageOutcome) -> None:
        """This is known now; with its text if it was told that it waits."""
        late = fate.id in self._kept
        self._kept.discard(fate.id)
        part = self._part(key, fate.id, ended=True)
        text = (fate.text or None) if late or fate.state != ledger.DELIVERED else None
        with telling(part):
            self._tell(outcome_event(name, fate, fate.reason or NOT_ARRIVED(), text))
        if part is not None:
            end_with(part, fate, fate.reason or NOT_ARRIVED())


def outcome_event(name: str, fate: MessageOutcome, reason: str, text: str | None) -> Event:
    """Make the event of a message's outcome; `reason`: why it was not delivered."""
    match fate.state:
        case ledger.DELIVERED:
            return Delivered(name, fate.id, text)
        case ledger.UNCERTAIN:
            return Uncertain(name, fate.id, text)
    return Undelivered(name, reason, fate.id, text)


def end_with(part: AskedPart, fate: MessageOutcome, reason: str) -> None:
    """End the part of a message that has this outcome."""
    match fate.state:
        case ledger.DELIVERED:
            part.end("delivered")
        case ledger.UNCERTAIN:
            part.end("uncertain")
        case _:
            part.fail(reason)
