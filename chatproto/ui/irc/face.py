"""Show one client to any number of IRC clients, and carry out their commands."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress

from chatproto.client.app import Client
from chatproto.client.conversations import ActiveTarget
from chatproto.client.events import (
    Bridged,
    CommandOutput,
    Contacts,
    Event,
    Exited,
    Failed,
    MessageReceived,
    Notice,
    RoomChanged,
    Running,
    Sent,
)
from chatproto.client.requests import PendingRequest, current
from chatproto.ui.control import for_others, is_answer
from chatproto.ui.held_connections import HeldConnections
from chatproto.ui.irc.answers import Answer
from chatproto.ui.irc.channels import Channels
from chatproto.ui.irc.connection import IrcConnection
from chatproto.ui.irc.events import EventLines, Told
from chatproto.ui.irc.lines import Batch
from chatproto.ui.irc.past import MissedMessages, past, past_of_room
from chatproto.ui.irc.people import People
from chatproto.ui.irc.welcome import greeting
from chatproto.ui.references import begin
from chatproto.wire.actions import spoken as said_as_text
from chatproto.wire.irc import IrcLine
from chatproto.wire.reasons import CodedError

IRC_CONNECTIONS = 16
"""Largest number of IRC clients of one program."""
FailedLines = Callable[[Failed], Iterable[IrcLine]]
AnswerLines = Callable[[Event], Iterable[IrcLine]]
EndedLines = Callable[[PendingRequest], Iterable[IrcLine]]


def no_lines(_: object) -> Iterable[IrcLine]:
    """Return no lines, for an answer or an end that needs none."""
    return ()


class IrcAsked(PendingRequest):
    """Request of an IRC client: its connection, and how failures, answers and the end are reported."""

    def __init__(
        self,
        command: str,
        connection: IrcConnection,
        answer: Answer,
        failed: FailedLines,
        ended: EndedLines,
        answered: AnswerLines,
    ) -> None:
        super().__init__(command, lambda _: self._tell_end(), connection)
        self.connection = connection
        self.answer = answer
        self.failed = failed
        self.answered = answered
        self._ended = ended
        answer.parts += 1
        connection.begun()

    def _tell_end(self) -> None:
        self.answer.tell(self._ended(self))
        self.answer.end()
        self.connection.ended()


class IrcFace(HeldConnections[IrcConnection]):
    """All IRC clients of one program.

    Args: take: carries out the line of a client. password: expected in PASS; empty: none. where: one
    sentence on how to connect, shown once the program runs.
    """

    def __init__(
        self,
        client: Client,
        people: People,
        take: Callable[[IrcFace, IrcConnection, IrcLine, Answer], None],
        password: str,
        where: Callable[[], str],
    ) -> None:
        super().__init__()
        self.client = client
        self.people = people
        self.take = take
        self.password = password
        self.channels = Channels(people)
        self.events = EventLines(people, self.channels, client.context.now)
        self._where = where
        self._missed = MissedMessages()
        self._any_before = False
        self._asking = False  # True while a command is carried out, with the target of its client

    def listen(self) -> None:
        """Subscribe to the events of the client."""
        self.client.context.publish.listen(self.tell)
        self.client.context.hold_input.listen(self.hold)
        self.client.member_keys.changed.listen(self._rename_member)

    def buildProtocol(self, addr: IAddress | None) -> IrcConnection | None:
        if not self._make_room():
            return None
        return IrcConnection(self, ActiveTarget(self.client.conversations))

    def _make_room(self) -> bool:
        """Return True if there is a place, perhaps that of the oldest unregistered client."""
        if len(self._connections) < IRC_CONNECTIONS:
            return True
        first = next((one for one in self._connections if not one.registered), None)
        if first is None:
            return False
        del self._connections[first]
        first.drop()
        return True

    # Commands of an IRC client.

    def ask(
        self,
        connection: IrcConnection,
        answer: Answer,
        command: str,
        work: Callable[[], Event | None],
        failed: FailedLines,
        ended: EndedLines = no_lines,
        answered: AnswerLines = no_lines,
    ) -> None:
        """Carry out `command` by `work`; its results become the `answer`.

        `failed`: returns the lines about a failure. `ended`: the lines at the end. `answered`: those
        about the output of the command.
        """
        asked = IrcAsked(command, connection, answer, failed, ended, answered)
        self._asking = True
        try:
            connection.target.run(lambda: begin(asked, work, self.tell))
        finally:
            self._asking = False

    def beside(
        self, screen: Callable[[Event], None], spoken: bool = False
    ) -> Callable[[Event], None]:
        """Return a function that passes all events to `screen` except answers to IRC clients.

        `spoken`: a message of an IRC client is passed as a notice, because the screen shows no own
        messages.
        """

        def tell(event: Event) -> None:
            asked = _current()
            if asked is not None and not asked.is_over and is_answer(event, asked):
                return
            shown = for_others(event) if self._asking else event
            match shown:
                case None:
                    return
                case Sent(text=text) if asked is not None and spoken:
                    shown = Notice(f"you to {shown.room or shown.to}: {said_as_text(text)}")
            screen(shown)

        return tell

    # Events of the client.

    def tell(self, event: Event) -> None:
        """Show `event` to the clients that it concerns."""
        asked = _current()
        request = asked if asked is not None and not asked.is_over else None
        match event:
            case CommandOutput() | Contacts() | Bridged():
                if request is not None:
                    request.answer.tell(request.answered(event))
            case MessageReceived(history=True) if current() is not None and request is not None:
                self._show_past(request.connection, event)
            case Failed() if request is not None:
                request.answer.tell(request.failed(event))
            case Failed() if current() is not None:
                pass  # an answer to another front end
            case Exited():
                for connection in tuple(self._connections):
                    connection.close("the program ends")
            case _:
                self._publish(event, asked)

    def _rename_member(self, client_id: str) -> None:
        """Show the member `client_id` of each room under the nickname of its present key."""
        for channel in self.channels:
            _, lines = self.channels.member(channel.name, client_id)
            self._write_to_all(lines)

    def _write_to_all(self, lines: Iterable[IrcLine]) -> None:
        for connection in self._registered():
            connection.write_all(lines)

    def _registered(self) -> list[IrcConnection]:
        return [one for one in self._connections if one.registered]

    def _publish(self, event: Event, request: IrcAsked | None) -> None:
        """Show `event` to all clients; `request`: its cause, which may have ended."""
        registered = self._registered()
        shown = self.events.of(event)
        for told in shown:
            for connection in registered:
                self._show(connection, told, request)
        match event:
            case MessageReceived() | Sent() if shown and not registered:
                self._missed.add(event)
            case RoomChanged(room=room, change="joined", own=True, again=again):
                if not again:
                    self._show_log(registered, room, past_of_room(self.client, room))
                self._ask_names(room, again=bool(again))
            case Running():
                self.client.context.publish(Notice(self._where()))

    def _show(self, connection: IrcConnection, told: Told, request: IrcAsked | None) -> None:
        if told.own and request is not None and request.connection is connection:
            if "echo-message" in connection.capabilities:
                request.answer.tell(told.lines)
        elif told.message and len(told.lines) > 1:
            connection.write(Batch("chatproto/message", told.lines))
        else:
            connection.write_all(told.lines)

    def _show_past(self, connection: IrcConnection, event: MessageReceived) -> None:
        for told in self.events.said(event):
            connection.write_past(told.lines)

    def _ask_names(self, room: str, *, again: bool) -> None:
        """Request the members of `room` with their roles from the server, and show them."""

        async def work() -> None:
            try:
                found = await self.client.rooms.client.names(room)
            except CodedError:
                lines = []  # then the members are shown without their roles
            else:
                lines = self.channels.named(room, [(one.id, one.role) for one in found])
            channel = self.channels.get(room)
            if channel is not None:
                # A new channel is shown completely, another one with its changes.
                self._write_to_all(lines if again else self.channels.names(channel))

        Deferred.fromCoroutine(work())

    # Called by connections.

    def entered(self, connection: IrcConnection, asked: str) -> None:
        """Greet a client that has registered, and show it the present state."""
        own = self.people.own_id
        connection.write_all(greeting(asked, self.client.context.limits))
        if asked != own:
            connection.write(IrcLine("NICK", (own,), source=f"{asked}!{own}@chat"))
        for channel in self.channels:
            connection.write_all(self.channels.opening(channel))
            connection.write_all(self.channels.names(channel))
        alone = not any(one.registered for one in self._connections if one is not connection)
        missed = self._missed.take() if alone else ()
        again, self._any_before = self._any_before and alone, True
        if again:
            self._show_missed(connection, missed)
        else:
            known: set[tuple[object, str]] = set()
            for target, lines in past(self.client, self.people, self.channels):
                self._show_log([connection], target, lines)
                known |= {(one.id, one.text) for one in lines}
            fresh = [one for one in missed if (one.id, one.text) not in known]
            self._show_missed(connection, fresh)

    def _show_log(
        self, connections: Iterable[IrcConnection], target: str, lines: Iterable[MessageReceived]
    ) -> None:
        """Show messages of our log with `target`, a room or a nickname."""
        peer = "" if target.startswith("#") else target
        told = [one for event in lines for one in self.events.said(event, peer)]
        shown = [line for one in told for line in one.lines]
        if shown:
            for connection in connections:
                connection.write_past(shown, target)

    def _show_missed(
        self, connection: IrcConnection, missed: Iterable[MessageReceived | Sent]
    ) -> None:
        """Show messages that arrived while no client was connected."""
        for event in missed:
            for told in self.events.said(event):
                connection.write_past(told.lines)


def _current() -> IrcAsked | None:
    """Return the request of an IRC client that causes the present event."""
    part = current()
    asked = part.asked if part is not None else None
    return asked if isinstance(asked, IrcAsked) else None
