"""Outbox and log: messages that are queued across restarts, and received ones not yet shown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from chatproto.client.calls.calls import Calls
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.deliveries import Deliveries
from chatproto.client.events import CommandOutput, Failed, MessageReceived, Notice
from chatproto.client.message_news import tell_outcome
from chatproto.client.name_resolver import NameResolver
from chatproto.client.outbound_streams import OutboundStreams
from chatproto.client.requests import take_part, telling
from chatproto.client.server.server_news import ServerEvents
from chatproto.identity.recipient import Recipient
from chatproto.net.clock import Wall
from chatproto.net.dates import date_of, short_time
from chatproto.net.timers import Timers
from chatproto.session.effects import MessageOutcome
from chatproto.session.ledger import DELIVERED, HEARD, MSG, OVERHEARD, LedgerTrouble, LogLine
from chatproto.wire import reasons
from chatproto.wire.actions import split_mark, spoken
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import ID
from chatproto.wire.reasons import Cause, Reason

LISTED = 256 * 1024
"""Most characters of text in one list of queued messages."""
OLD_EVERY = 3600.0
"""Seconds between two checks for expired messages."""


class Outbox:
    """Queue messages for away contacts, report their outcomes, and show the log."""

    def __init__(
        self,
        context: Context,
        calls: Calls,
        streams: OutboundStreams | None,
        deliveries: Deliveries,
        resolver: NameResolver,
        events: ServerEvents,
    ) -> None:
        self._context = context
        self._calls = calls
        self._streams = streams
        self._deliveries = deliveries
        self._ending = False
        self._line = 0  # highest line number that was shown
        self._marking = False
        self._timers = Timers(context.clock)
        self._last: Recipient | None = None  # recipient of the message queued last
        self._reported: dict[str, list[str]] = {}  # texts queued for the old key, by new key
        calls.signals.shown.listen(self.shown)
        calls.over.listen(self._left_over)
        resolver.elsewhere.listen(deliveries.is_elsewhere)
        events.registered.listen(lambda _: deliveries.look())
        events.contact_online.listen(deliveries.contact_online)

    def start(self) -> None:
        """Show messages received before the last exit and perhaps never shown; report expired ones."""
        if self._streams is None:
            return
        try:
            lines = () if self._context.settings.unread else self._streams.ledger.unshown()
            if lines:
                self._context.publish(Notice("received before the last exit, perhaps never shown:"))
            for line in lines:
                self._show(line)
                self.shown(line.number)
        except LedgerTrouble as error:
            self._context.publish(Failed(str(error), command="log", code=error.reason))
        self._give_up_old()

    def stop(self) -> None:
        """Stop deliveries: the program ends."""
        self._ending = True
        self._deliveries.stop()
        self._timers.stop()

    def end(self) -> None:
        """Report at the end of the program which messages stay queued."""
        if self._streams is None:
            return
        try:
            for key, name, count in self._streams.ledger.waiting():
                if not self._streams.lasts(key):
                    continue
                name = self._calls.name_of(key, name)
                self._context.publish(
                    Notice(f"{_messages(count)} queued for {name} until both of you are online")
                )
            self._mark()
            self._streams.ledger.close()
        except LedgerTrouble as error:
            self._context.publish(Failed(str(error), command="log", code=error.reason))

    def leave_for(self, recipient: Recipient, text: str) -> bool:
        """Queue `text` for a contact; return False if its key is not pinned. Raises LocalError."""
        streams, key = self._streams, recipient.key
        if streams is None or key is None or not streams.lasts(key):
            return False
        if len(text.encode()) > self._context.limits.message:
            raise LocalError(413, reasons.MESSAGE_TOO_LARGE(most=self._context.limits.message))
        name = self._calls.name_of(key)
        delivery = streams.of(key, name)
        entry = delivery.say(MSG, text, self._context.now())
        self._last = recipient
        part = take_part()
        if part is not None:
            self._context.messages[key, entry.id] = part
        with telling(part, "queued"):
            what = f"message {entry.id} is queued for {name} (/unsend {entry.id} {name} to cancel)"
            self._context.publish(Notice(what, name, entry.id))
        self._deliveries.wait_for(key, len(delivery))
        return True

    def _left_over(self, ended: Conversation) -> None:
        """Keep the undelivered messages of an ended conversation if its key is pinned; else report them."""
        delivery, streams = ended.session.delivery, self._streams
        assert delivery is not None
        assert streams is not None
        if not len(delivery):
            return
        if not streams.lasts(delivery.key):
            self._tell_all(delivery.key, delivery.name, delivery.give_up(), reasons.OVER_BEFORE())
            return
        ended.news.left(delivery.queued)
        if not self._ending:
            if not ended.quiet:
                self._context.publish(
                    Notice(f"{_messages(len(delivery))} queued for {delivery.name}")
                )
            self._deliveries.wait_for(delivery.key, len(delivery))

    def unsend(self, number: int, to: str = "") -> None:
        """Withdraw a queued message. Raises LocalError if there is none with that number."""
        calls, streams = self._calls, self._streams
        recipient = calls.names.resolve(to) if to else self._last
        conversation = calls.all.current
        if to or (conversation is None and recipient is not None):
            assert recipient is not None
            conversation = calls.all.with_recipient(recipient) or calls.all.called(to)
        if conversation is not None:
            conversation.apply(conversation.session.unsend(number))
            return
        if streams is None or recipient is None or recipient.key is None:
            raise LocalError(
                404, reasons.NOTHING_QUEUED_FOR(peer=to) if to else reasons.UNSEND_WHAT()
            )
        name = calls.name_of(recipient.key)
        delivery = streams.of(recipient.key, name)
        taken = delivery.take_back(number)
        self._tell_all(recipient.key, name, taken, Cause(Reason.TAKEN_BACK))

    def show_waiting(self, rooms: Iterable[tuple[str, str]] = ()) -> None:
        """Publish the queued messages, by contact and the oldest first. Raises LedgerTrouble.

        At most `LISTED` characters of text; `more` says how many messages are left out.

        Args: rooms: names of rooms and texts queued for them.
        """
        rows: list[dict[str, Any]] = []
        lines: list[str] = []
        size = more = 0
        for to, id, at, text in self._waiting(rooms):
            size += len(text)
            if size > LISTED and rows:
                more += 1
                continue
            known = {"id": id, "said": date_of(at)} if id is not None and at is not None else {}
            said, kind = split_mark(text)
            rows.append({"to": to, "text": said, **known, **({"kind": kind} if kind else {})})
            when = (
                f" ({short_time(at, self._context.now(), form=self._context.settings.time_format)})"
                if at is not None
                else ""
            )
            number = f"{id} " if id is not None else ""
            lines.append(f"{number}to {to}{when}: {spoken(text)}")
        if more:
            lines.append(f"and {more} more")
        data: dict[str, Any] = {"messages": rows, **({"more": more} if more else {})}
        self._context.publish(
            CommandOutput("outbox", tuple(lines) or ("no messages are queued",), data)
        )

    def _waiting(
        self, rooms: Iterable[tuple[str, str]]
    ) -> Iterator[tuple[str, int | None, Wall | None, str]]:
        """Yield recipient, number, time and text of each queued message."""
        streams, calls = self._streams, self._calls
        if streams is not None:
            named = (
                (calls.name_of(key, called), key) for key, called, _ in streams.ledger.waiting()
            )
            for name, key in sorted(named):
                for entry in streams.ledger.entries(key):
                    if entry.kind == MSG and not entry.withdrawn:
                        yield name, entry.id, entry.at, entry.text
        for name, text in (*calls.all.unwritten(), *rooms):
            yield name, None, None, text

    def history(self, most: int, who: str = "") -> None:
        """Show the latest messages with `who`, or in the current conversation.

        Raises LocalError, LedgerTrouble.
        """
        streams, key = self._streams, self._key_of(who)
        if streams is None or key is None:
            raise LocalError(404, reasons.NO_LOG_IN_PLAIN())
        lines = streams.ledger.history(key, min(most, self._context.limits.history_lines))
        for line in lines:
            self._show(line)
        self._context.publish(
            CommandOutput("history", () if lines else ("no messages",), {"count": len(lines)})
        )

    def last(self, key: str, most: int) -> tuple[MessageReceived, ...]:
        """Return the latest `most` logged messages with `key`, or in the room of that name.

        Reads only, and at most `history_lines`. An unreadable log has none.
        """
        streams = self._streams
        if streams is None:
            return ()
        try:
            lines = streams.ledger.history(key, min(most, self._context.limits.history_lines))
        except LedgerTrouble:
            return ()  # the next message reports the failure
        return tuple(self._event_of(line) for line in lines)

    def _key_of(self, who: str) -> str | None:
        """Return the key of `who` or of the target; None in plain text. Raises LocalError."""
        calls = self._calls
        if not who:
            away = calls.all.away
            return away.recipient.key if away is not None else calls.all.need_current().key
        conversation = calls.all.known(who)
        if conversation is not None:
            return conversation.key
        key = calls.names.resolve(who).key
        if key is None:
            raise LocalError(404, reasons.NO_LOG_OF(peer=who))
        return key

    def search(self, words: str) -> None:
        """Show the latest messages of the log with all of `words`. Raises LocalError, LedgerTrouble."""
        streams = self._streams
        if streams is None:
            raise LocalError(404, reasons.NO_LOG_IN_PLAIN())
        lines = streams.ledger.search(words, self._context.limits.history_lines)
        for line in lines:
            self._show(line)
        self._context.publish(
            CommandOutput("search", () if lines else ("no messages",), {"count": len(lines)})
        )

    def shown(self, line: int) -> None:
        """Note that the log up to `line` was shown; stored once it is on the screen."""
        if self._context.settings.unread:
            return
        self._line = max(self._line, line)
        if not self._marking:
            self._marking = True
            self._context.clock.callLater(0, self._when_flushed)

    def _when_flushed(self) -> None:
        line = self._line
        self._context.flushed().addCallback(lambda _: self._mark(line))

    def _mark(self, line: int | None = None) -> None:
        self._marking = False
        streams = self._streams
        line = self._line if line is None else line
        if streams is not None and line:
            try:
                streams.ledger.shown(line)
            except LedgerTrouble as error:
                self._context.publish(Failed(str(error), command="log", code=error.reason))
        if line is not None and line < self._line:
            self.shown(self._line)

    def _show(self, line: LogLine) -> None:
        self._context.publish(self._event_of(line))

    def _event_of(self, line: LogLine) -> MessageReceived:
        if line.state == OVERHEARD:
            where = line.key
            return MessageReceived(
                line.name, line.text, line.id, room=where, history=True, said=line.at
            )
        name = self._name_of(line)
        if line.state == HEARD:
            return MessageReceived(name, line.text, line.id, history=True, said=line.at)
        own = self._context.settings.client_id
        return MessageReceived(
            own, line.text, line.id, name, history=True, said=line.at, state=line.state
        )

    def _name_of(self, line: LogLine) -> str:
        """Return the name of the peer in `line`: as logged, if it still means the same key."""
        name = line.name
        if ":" in name or (
            ID.fullmatch(name) is not None and not self._context.trust.knows(line.key)
        ):
            # Older programs logged unconfirmed names without the mark.
            name = f"{name}?" if ID.fullmatch(name) is not None else line.key
        return self._calls.name_of(line.key, name)

    # Keys that were replaced.

    def replaced(self, old: list[str], key: str, name: str) -> None:
        """Report messages queued for the replaced keys `old`; `name` has `key` now."""
        streams = self._streams
        if streams is None:
            return
        for one in old:
            outcomes = streams.of(one, name).give_up()
            texts = [outcome.text for outcome in outcomes if outcome.text]
            most = self._context.limits.waiting_messages
            self._reported[key] = [*self._reported.get(key, []), *texts][-most:]
            self._tell_all(one, name, outcomes, reasons.FOR_OLD_KEY(peer=name))

    def tell_others(self, client_id: str, keys: set[str]) -> None:
        """Report messages queued for owners of `client_id` at other servers, with none of `keys`."""
        streams = self._streams
        if streams is None:
            return
        others = {pin.key for pin in self._context.trust.file.pins.named(client_id)} - keys
        for key, called, count in streams.ledger.waiting():
            if key in others:
                name = self._calls.name_of(key, called)
                queued = f"{_messages(count)} still queued"
                self._context.publish(
                    Notice(f"{queued} for {name}, who has another key (/outbox lists them)")
                )

    def resend(self, name: str, say: Callable[[str], None]) -> None:
        """Send `name` the texts that were queued for its previous key. Raises LocalError."""
        key = self._calls.names.resolve(name).key
        texts = self._reported.get(key) if key is not None else None
        if not texts:
            raise LocalError(404, reasons.NOTHING_TO_RESEND(peer=name))
        while texts:
            say(texts[0])
            del texts[0]

    def _give_up_old(self) -> None:
        """Report messages that expired, now and every `OLD_EVERY` seconds."""
        streams = self._streams
        assert streams is not None
        self._timers.after("old", OLD_EVERY, self._give_up_old)
        try:
            for key, name, _ in streams.ledger.waiting():
                name = self._calls.name_of(key, name)
                delivery = streams.of(key, name)
                if streams.lasts(key):
                    expired = delivery.expire(self._surely_past())
                    self._tell_all(key, name, expired, Cause(Reason.EXPIRED))
                elif not self._calls.has_conversation_with(key):
                    self._tell_all(key, name, delivery.give_up(), reasons.OVER_BEFORE())
        except LedgerTrouble as error:
            self._context.publish(Failed(str(error), command="log", code=error.reason))

    def _surely_past(self) -> Wall:
        """Return the time of day, or the program's own count of it if that is earlier.

        If the system clock is set forward by mistake, no message expires.
        """
        return min(self._context.now(), Wall(self._context.clock.seconds()), key=float)

    def _tell_all(self, key: str, name: str, outcomes: list[MessageOutcome], reason: str) -> None:
        for one in outcomes:
            part = self._context.messages.pop((key, one.id), None)
            text = None if one.state == DELIVERED else one.text or None
            tell_outcome(self._context.publish, part, name, one, reason, text)


def _messages(count: int) -> str:
    return "1 message is" if count == 1 else f"{count} messages are"
