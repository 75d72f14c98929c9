"""Carry out the user's commands about conversations: answers to calls and offers, modes, files."""

from __future__ import annotations

from pathlib import Path

from chatproto.client.calls.calls import Calls
from chatproto.client.context import Context
from chatproto.client.events import Notice
from chatproto.client.files import Files
from chatproto.client.targets import AwayContact
from chatproto.wire import reasons
from chatproto.wire.errors import LocalError


class ConversationOrders:
    """Act on the current conversation or a named one; each method raises LocalError with one sentence.

    Ringing calls and offered files share one numbering. `what` is such a number, a name (with `@` before
    one of digits), or empty for the latest question.
    """

    def __init__(
        self,
        context: Context,
        calls: Calls,
        files: Files | None,
    ) -> None:
        self._context = context
        self._calls = calls
        self._files = files

    def accept(self, what: str = "", folder: str = "") -> None:
        """Accept an offered file, or a ringing call, whose conversation becomes the current one.

        Args: folder: absolute path for an offered file, instead of the usual one.
        """
        number = self._offered(what)
        if self._files is not None and number is not None:
            self._files.accept(number, Path(folder) if folder else None)
            return
        if folder:
            raise LocalError(400, reasons.FOLDER_FOR_NO_FILE())
        conversation = self._calls.all.ringing(what.removeprefix("@"))
        self._calls.all.move_to(conversation)
        self._calls.take(conversation)

    def decline(self, what: str = "") -> None:
        """Decline an offered file or a ringing call."""
        number = self._offered(what)
        if self._files is not None and number is not None:
            self._files.decline(number)
            return
        conversation = self._calls.all.ringing(what.removeprefix("@"))
        conversation.apply(conversation.session.decline())

    def _offered(self, what: str) -> int | None:
        """Return the number of the offered file that `what` means; None if it means a call."""
        if self._files is None:
            return None
        if what.isdecimal() and self._files.has(int(what)):
            return int(what)
        name = what.removeprefix("@")
        offered, rings = self._files.offered(name), self._calls.all.rings(name)
        if not offered or (rings and rings[-1].number > offered[-1]):
            return None
        return offered[-1]

    def switch(self, what: str) -> None:
        """Make the conversation with `what` the current one; for an away contact, queue typed lines."""
        conversation = self._calls.all.known(what)
        if conversation is None:
            self._calls.queue_for(self.key_of(what))
        elif not self._calls.all.move_to(conversation):
            conversation.show(current=True)

    def key_of(self, what: str) -> str:
        """Return the pinned key of the contact `what`. Raises LocalError if there is none."""
        key = self._calls.names.resolve(what).key
        if key is not None and self._context.trust.knows(key):
            return key
        raise LocalError(404, reasons.CANNOT_SWITCH(peer=what, call=what.rstrip("?")))

    def set_half(self, half: bool) -> None:
        """Switch the current conversation to half-duplex or full-duplex mode."""
        conversation = self._calls.all.need_current()
        effects = conversation.session.set_half(half, self._context.now())
        conversation.show(mode="half" if half else "full")
        conversation.apply(effects)

    def over(self) -> None:
        """Pass the turn to the peer of the current conversation."""
        conversation = self._calls.all.need_current()
        conversation.apply(conversation.session.pass_turn(self._context.now()))

    def quit_current(self) -> bool:
        """Leave the current conversation; return False if there is none."""
        conversation = self._calls.all.current
        if conversation is None:
            return False
        conversation.apply(conversation.session.leave())
        return True

    def leave_away(self, contact: AwayContact) -> None:
        """Stop queueing typed lines for `contact`, which is the current target."""
        self._calls.all.move_to(None)
        text = f"what you type is not queued for {contact.name} any more (/outbox lists what is queued)"
        self._context.publish(Notice(text))

    def leave(self, to: str) -> None:
        """Leave the conversation with `to`. Raises LocalError if there is none."""
        conversation = self._calls.all.known(to)
        if conversation is None:
            raise LocalError(404, reasons.CANNOT_SWITCH(peer=to, call=to.rstrip("?")))
        conversation.apply(conversation.session.leave())

    def send(self, paths: list[str], to: str = "") -> None:
        """Send files to `to`, or to the peer of the current conversation."""
        files = self._files
        all, away = self._calls.all, self._calls.all.away
        if not to and all.current is None and away is not None:
            to = away.name
        conversation = all.conversation_for(to) if to else all.need_current()
        if conversation is None:
            raise LocalError(404, reasons.FILE_NEEDS_CONVERSATION(peer=to))
        if conversation.session.dialect.numbered and conversation.key is None:
            raise LocalError(404, reasons.NO_FILES_YET(peer=conversation.name))
        if conversation.key is None or files is None:
            how = conversation.session.dialect.name
            raise LocalError(405, reasons.NO_FILES_IN_DIALECT(peer=conversation.name, dialect=how))
        person = files.of(conversation.key, conversation.name)
        person.offer([Path(path) for path in paths])
