"""Keys of contacts: compare them, accept new ones, and ignore calls."""

from __future__ import annotations

from chatproto.client.calls.calls import Calls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.events import CommandOutput, Notice
from chatproto.client.outbox import Outbox
from chatproto.identity.pins import Ignored
from chatproto.identity.recipient import FirstContact, KeyedPerson, Recipient
from chatproto.session.state import SessionState
from chatproto.wire import reasons
from chatproto.wire.bcp2_common import read_key
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import ID, read_client_id
from chatproto.wire.reasons import CodedError

IGNORED = 10_000
"""Most ignored contacts."""


class ContactKeys:
    """Carry out /verify, /trust and /ignore; each method raises CodedError."""

    def __init__(self, context: Context, calls: Calls, outbox: Outbox) -> None:
        self._context = context
        self._trust = context.trust
        self._calls = calls
        self._names = calls.names
        self._outbox = outbox

    def verify(self, peer: str = "", same: str = "") -> None:
        """Publish the safety number to compare with `peer`, or with the current peer.

        `same`: `yes` if the numbers matched; then the key is marked as verified.
        """
        name = peer or ("" if self._calls.all.room else self._calls.all.target_name)
        self._need_key()
        if not name:
            raise CodedError(reasons.VERIFY_WHOM())
        recipient = self._names.resolve(name)
        conversation = self._calls.all.with_recipient(recipient)
        if conversation is None and recipient.key is None:
            conversation = self._calls.all.called(name)
        if conversation is not None:
            recipient = conversation.recipient
        key = recipient.key
        if key is None:
            raise CodedError(reasons.KEY_UNKNOWN(peer=name))
        number = self._trust.safety_number(key)
        groups = number.split(" ")
        half = len(groups) // 2  # half a number fits in 40 columns, so that no group is broken
        lines: tuple[str, ...] = (
            " ".join(groups[:half]),
            " ".join(groups[half:]),
            f"{name} is verified: these digits were compared"
            if self._trust.is_verified(key)
            else f"if {name} sees the same digits, type /verify {name} yes",
        )
        if same == "yes":
            client_id = conversation.id if conversation is not None else name
            if not self._trust.knows(key) and ID.fullmatch(client_id) is None:
                raise CodedError(reasons.TOLD_NO_ID(peer=name))
            self._trust.verify(client_id, key)
            self._calls.names_changed()
            lines = (f"{name} is verified",)
            if conversation is not None:
                conversation.show(host=None, port=None, security=conversation.security())
        data = {"id": name, "key": key, "number": number, "verified": same == "yes"}
        self._context.publish(CommandOutput("verify", lines, data))

    def trust(self, peer: str, key: str) -> None:
        """Pin `key` to `peer` in place of another key, and end conversations with the old one.

        Messages queued for the old key are reported. Raises CodedError.
        """
        self._need_key()
        client_id, at, where = peer.partition("@")
        read_client_id(client_id)
        server = None
        if at:
            server = self._names.server_of(where)
            if server is None:
                raise CodedError(reasons.SERVER_KEY_UNKNOWN(server=where))
        old = self._trust.trust(client_id, read_key(key), server)
        answer = CommandOutput(
            "trust", (f"{peer} is now pinned to {key}",), {"id": peer, "key": key}
        )
        self._context.publish(answer)
        theirs = [one for one in self._calls.all if one.key in old]
        talking = {one.key for one in theirs if one.state is SessionState.OPEN}
        self._outbox.replaced([one for one in old if one not in talking], key, peer)
        self._outbox.tell_others(client_id, {key, *old})
        for one in theirs:
            if one.state is not SessionState.OPEN:
                one.apply(one.session.leave())
        self._calls.names_changed()

    def _need_key(self) -> None:
        """Raise CodedError with --plain, where this program has no key."""
        if not self._trust.own_key:
            raise CodedError(reasons.NOTHING_ENCRYPTED())

    def ignore(self, peer: str) -> None:
        """Ignore calls of `peer` and end the conversation with it; if it is ignored, take calls again."""
        one, conversation = self._ignored(peer)
        if not (one.key or one.server):
            on = one.name not in self._calls.ignored
        else:
            on = not any(other.same(one) for other in self._trust.ignored)
        self._set_ignored(one, on)
        if on and conversation is not None:
            rings = conversation.state is SessionState.RINGING
            session = conversation.session
            conversation.apply(session.decline() if rings else session.leave())

    def unignore(self, peer: str) -> None:
        """Take calls of `peer` again. Raises LocalError if it is not ignored."""
        if peer in self._calls.ignored:
            self._set_ignored(Ignored(peer), False)
            return
        found = [one for one in self._trust.ignored if peer in (one.name, one.key)]
        if not found:
            one, _ = self._ignored(peer)
            found = [other for other in self._trust.ignored if other.same(one)]
        if len({one.key or one.server for one in found}) > 1:
            keys = " or ".join(one.key for one in found if one.key)
            raise LocalError(409, reasons.SEVERAL_IGNORED(peer=peer, keys=keys))
        if not found:
            raise LocalError(404, reasons.NOT_IGNORED(peer=peer))
        self._set_ignored(found[0], False)

    def list_ignored(self) -> None:
        """Publish the ignored contacts."""
        rows = [{"id": one.name, "key": one.key or None} for one in self._trust.ignored]
        rows += [{"id": name, "key": None} for name in sorted(self._calls.ignored)]
        lines = tuple(f"{row['id']} {row['key'] or ''}".strip() for row in rows)
        text = lines or ("nobody is ignored",)
        self._context.publish(CommandOutput("ignore", text, {"ignored": rows}))

    def _ignored(self, peer: str) -> tuple[Ignored, Conversation | None]:
        """Return the key or id to ignore, and the conversation with that peer."""
        conversation = self._calls.all.known(peer)
        if conversation is None:
            recipient: Recipient = self._names.resolve(peer)
        else:
            recipient = conversation.recipient
        match recipient:
            case KeyedPerson(key):
                return Ignored(self._calls.name_of(key, peer).rstrip("?"), key=key), conversation
            case FirstContact(_, client_id) if self._trust.own_key and conversation is None:
                return Ignored(client_id, server=self._trust.current_server), None
        return Ignored(conversation.called if conversation is not None else peer), conversation

    def _set_ignored(self, one: Ignored, on: bool) -> None:
        """Add `one` to the ignored contacts, or remove it. Raises LocalError, PinTrouble."""
        entries = len(self._calls.ignored) + len(self._trust.ignored)
        if on and entries >= IGNORED:
            raise LocalError(413, reasons.IGNORED_FULL(most=IGNORED))
        if one.key or one.server:
            self._trust.ignore(one, on)
        elif on:
            self._calls.ignored.add(one.name)
        else:
            self._calls.ignored.discard(one.name)
        self._context.publish(Notice(f"{one.name} is {'ignored' if on else 'no longer ignored'}"))
