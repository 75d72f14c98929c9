"""Start and end of one user's program."""

from __future__ import annotations

from twisted.internet.interfaces import IDelayedCall

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.connections import Connections
from chatproto.client.calls.rendezvous_table import RendezvousTable
from chatproto.client.context import Context, Signal
from chatproto.client.conversation_orders import ConversationOrders
from chatproto.client.events import Exited, Notice, Running
from chatproto.client.files import Files
from chatproto.client.messages import Messages
from chatproto.client.nearby import Neighbours
from chatproto.client.outbox import Outbox
from chatproto.client.requests import Requests
from chatproto.client.rooms.joined_rooms import JoinedRooms
from chatproto.client.server.introducers import Introducer
from chatproto.session.state import SessionState
from chatproto.wire.dialects import Me
from chatproto.wire.errors import LocalError

END_WAIT = 10.0
"""Seconds after the end of input for what was said to be delivered."""
ENDS_WITH_PEER = "with --plain the program ends with its conversation: start it again for the next"
NAMED = 3
"""Open conversations and rooms that are named after a /quit."""


class Program:
    """Start the parts of a client, and end them in good order.

    `finished` tells the exit code, once, when all connections have closed.
    """

    def __init__(
        self,
        context: Context,
        server: Introducer | None,
        neighbours: Neighbours | None,
        requests: Requests,
        calls: Calls,
        connections: Connections,
        rendezvous: RendezvousTable,
        talk: ConversationOrders,
        messages: Messages,
        rooms: JoinedRooms,
        files: Files | None,
        outbox: Outbox,
    ) -> None:
        self.finished: Signal[int] = Signal()
        """The program has ended, with this exit code."""
        self._context = context
        self._server = server
        self._neighbours = neighbours
        self._requests = requests
        self._calls = calls
        self._connections = connections
        self._rendezvous = rendezvous
        self._talk = talk
        self._messages = messages
        self._rooms = rooms
        self._files = files
        self._outbox = outbox
        self._input_ended: IDelayedCall | None = None
        self._exit_code: int | None = None
        calls.left.listen(self._left)

    def start(self, host: str, port: int) -> None:
        """Start everything; our port is open at `host:port`, as others are told."""
        me = self._context.place.me = Me(self._context.settings.client_id, host, port)
        if not self._context.place.listening[1]:  # what is announced may be elsewhere
            self._context.place.listening = host, port
        self._context.publish(
            Running(me.client_id, host, port, self._context.trust.own_key or None)
        )
        self._outbox.start()
        if self._files is not None:
            self._files.start()
        if self._server is not None:
            self._server.start(me)

    def listens(self, host: str, port: int) -> None:
        """Our own port is open at `host:port`, which the local network may know."""
        if self._neighbours is not None and self._exit_code is None:
            self._neighbours.start(host, port)

    def stop(self, code: int = 0) -> None:
        """Leave every conversation, and when all farewells are written, or after a while, finish."""
        if self._exit_code is not None:
            return
        self._exit_code = code
        if self._input_ended is not None and self._input_ended.active():
            self._input_ended.cancel()
        self._messages.stop()
        self._outbox.stop()
        if self._files is not None:
            self._files.stop()
        self._rooms.stop()
        if self._neighbours is not None:
            self._neighbours.stop()
        if self._server is not None:
            self._server.stop()
        self._calls.leave_all()
        self._rendezvous.stop()
        self._connections.close_all(lambda: self._exit(code))

    def quit(self) -> None:
        """Leave the current conversation or room; outside both, end the program.

        A person also leaves a contact who is away; they are told what a second one would do if it would
        end other conversations too, or if they were in none.
        """
        typed = self._context.settings.typed
        away = self._calls.all.away if typed else None
        if room := self._calls.all.room:
            self._rooms.part()
        elif away is not None:
            self._talk.leave_away(away)
        elif not self._talk.quit_current() or (
            self._context.settings.plain and not len(self._calls.all)
        ):
            self.stop()
            return
        left = self._open(room)
        if typed and (left or away is not None):
            more = f" and {len(left) - NAMED} more" if len(left) > NAMED else ""
            still = f" (still open: {', '.join(left[:NAMED])}{more})" if left else ""
            self._context.publish(Notice(f"/quit once more ends the program{still}"))

    def _open(self, room: str) -> list[str]:
        """List the conversations and rooms that are open, but for `room`, which is being left."""
        live = (SessionState.OPEN, SessionState.BROKEN)
        rooms = (row["room"] for row in self._rooms.rows())
        return [
            *(one.name for one in self._calls.all if one.state in live),
            *(one for one in rooms if one != room),
        ]

    def leave(self, what: str = "") -> None:
        """Leave the conversation or room `what`, or the current one.

        Raises: LocalError: there is none.
        """
        away = self._calls.all.away
        if what.startswith("#") or (not what and self._calls.all.room):
            self._rooms.part(what)
        elif away is not None and what in ("", away.name):
            self._talk.leave_away(away)
        elif what:
            self._talk.leave(what)
        elif not self._talk.quit_current():
            raise LocalError(404, "you are in no conversation and no room: /quit ends the program")

    def end_of_input(self) -> None:
        """Deliver or report what was said, for at most `END_WAIT`, and end: nothing more is typed."""
        if self._input_ended is None and self._exit_code is None:
            wait = END_WAIT
            self._input_ended = self._context.clock.callLater(wait, self.stop)
            self._context.settled.listen(self._settle)
            self._settle()

    def interrupted(self) -> None:
        """End as at the end of input, and say so: the person wants the program to end."""
        self.end_of_input()
        if self._exit_code is None:
            wait = END_WAIT
            text = f"delivering messages for up to {wait:g} s (Ctrl-C again ends at once)"
            self._context.publish(Notice(text))

    def _exit(self, code: int) -> None:
        self._outbox.end()
        self._context.publish(Exited(code))
        self.finished(code)

    def _settle(self, _: None = None) -> None:
        """End if nothing is left to do; the input has ended."""
        if not len(self._requests) and not self._calls.all.unsent and not self._rooms.outbox.unsent:
            self.stop()

    def _left(self, _: None) -> None:
        """With --plain the end of the only conversation by the peer is that of the program."""
        busy = len(self._calls.all) or len(self._requests)
        ends = self._exit_code is not None or self._input_ended is not None
        if self._context.settings.plain and not busy and not ends:
            self._context.publish(Notice(ENDS_WITH_PEER))
            self.stop()
