"""Report to the user the messages of one conversation: sent, queued, delivered, or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chatproto.client.events import (
    Delivered,
    Event,
    MessageReceived,
    Notice,
    Sent,
    Uncertain,
    Undelivered,
)
from chatproto.net.clock import Wall
from chatproto.session import ledger
from chatproto.session.effects import MessageOutcome
from chatproto.wire.reasons import Cause, Reason

EACH = 3
"""So many messages that wait are told one by one."""


class MessageNews:
    """Remembers of which messages was told that they wait, so that their fate names them by their text.

    `name` is what the person calls the other one, who may be given another meanwhile.
    """

    def __init__(self, tell: Callable[[Event], None]) -> None:
        self._tell = tell
        self._kept: set[int] = set()

    def heard(self, name: str, text: str, id: int, said: Wall) -> None:
        """Tell a received `text`, said at `said`; `id` is 0 where messages have no number."""
        self._tell(MessageReceived(from_=name, text=text, id=id or None, said=said))

    def written(self, name: str, text: str, said: Wall, id: int | None = None) -> None:
        """A connection took `text`, which was said at the moment `said`."""
        self._tell(Sent(text, id, to=name, said=said))

    def kept_for_turn(self) -> None:
        """Report that a message is queued until our turn."""
        self._tell(Notice("kept until it is your turn (/mode full: without turns)"))

    def kept(self, name: str, id: int) -> None:
        """Report that a message is queued until there is a connection."""
        self._kept.add(id)
        text = f"message {id} waits for {name}: /unsend {id} takes it back"
        self._tell(Notice(text, name, id))

    def wait(self, name: str, ids: Iterable[int]) -> None:
        """Tell which written messages have not arrived: the connection broke or is silent.

        One event each, or one for all of them if they are more than `EACH`.
        """
        fresh = [id for id in ids if id not in self._kept]
        if len(fresh) <= EACH:
            for id in fresh:
                self.kept(name, id)
            return
        self._kept.update(fresh)
        which = f"{len(fresh)} messages wait for {name}, {fresh[0]} to {fresh[-1]}"
        self._tell(Notice(f"{which}: /unsend {fresh[0]} takes the first back", name))

    def waited(self, ids: Iterable[int]) -> None:
        """Note messages that were queued before this conversation, and reported then."""
        self._kept.update(ids)

    def unsaid(self, name: str, text: str, reason: str) -> None:
        """Report a message that was not sent and will not be."""
        self._tell(Undelivered(name, reason, text=text))

    def became(self, name: str, fate: MessageOutcome) -> None:
        """This is known now; with its text if it was told that it waits."""
        late = fate.id in self._kept
        self._kept.discard(fate.id)
        match fate.state:
            case ledger.DELIVERED:
                text = fate.text if late and fate.text else None
                self._tell(Delivered(name, fate.id, text))
            case ledger.UNCERTAIN:
                self._tell(Uncertain(name, fate.id, fate.text or None))
            case _:
                reason = fate.reason or Cause(Reason.CONNECTION_LOST, "it did not arrive")
                self._tell(Undelivered(name, reason, fate.id, fate.text or None))
