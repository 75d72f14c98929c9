"""Answer /who, /status and /path."""

from __future__ import annotations

from typing import Any

from chatproto.client.calls.calls import Calls
from chatproto.client.calls.rendezvous import tried
from chatproto.client.calls.rendezvous_table import RendezvousTable
from chatproto.client.context import Context
from chatproto.client.conversation import Conversation
from chatproto.client.events import CommandOutput
from chatproto.client.rooms.joined_rooms import JoinedRooms
from chatproto.client.server.introducers import Introducer
from chatproto.session.state import SessionState
from chatproto.wire.errors import LocalError
from chatproto.wire.fields import host_port
from chatproto.wire.reasons import CANNOT_SWITCH

WAYS = {
    "direct": "directly",
    "lan": "on the same network",
    "punched": "directly, through the routers in between (punched)",
    "relay": "through the server's relay, which cannot read the messages (relayed)",
}


class StatusReport:
    """Publish the answers; a question about an unknown peer raises LocalError."""

    def __init__(
        self,
        context: Context,
        server: Introducer | None,
        calls: Calls,
        rendezvous: RendezvousTable,
        rooms: JoinedRooms,
    ) -> None:
        self._context = context
        self._server = server
        self._calls = calls
        self._rendezvous = rendezvous
        self._rooms = rooms

    def id(self) -> None:
        """Publish our id (/id)."""
        own = self._context.settings.client_id
        self._context.publish(CommandOutput("id", (own,), {"id": own}))

    def who(self, peer: str = "") -> None:
        """Publish the conversations and rooms; with `peer` also its name here and its key."""
        rows, rooms = self._calls.all.rows(), self._rooms.rows()
        lines = (*(_row_line(row) for row in rows), *(_room_line(row) for row in rooms))
        data: dict[str, Any] = {"conversations": rows, "rooms": rooms}
        if peer:
            name, key = self._named(peer)
            data |= {"name": name, "key": key}
            meant = f"{peer} means {name}" + (f", key {key}" if key else "")
            lines = (meant, *lines)
        self._context.publish(CommandOutput("who", lines or ("no conversations",), data))

    def _named(self, peer: str) -> tuple[str, str | None]:
        """Return the name of `peer` here, and its key if it is known."""
        calls = self._calls
        recipient = calls.names.resolve(peer)
        conversation = calls.all.with_recipient(recipient)
        if recipient.key is not None:
            return calls.name_of(recipient.key, peer), recipient.key
        return (conversation.name if conversation is not None else peer), None

    def status(self) -> None:
        """Publish our id, address and server."""
        me = self._context.own_addresses.me
        server = self._server.name if self._server else None
        registered = self._server is not None and self._server.registered
        lines: tuple[str, ...] = (
            f"{me.client_id} at {host_port(me.host, me.port)}",
            f"server {server}, {'registered' if registered else 'not registered'}"
            if server
            else "no server",
        )
        settings = self._context.settings
        if settings.config:
            chosen = ", ".join(f"{name} {value}" for name, value in settings.configured)
            lines += (f"from {settings.config}: {chosen or 'nothing'}",)
        data = {
            "id": me.client_id,
            "host": me.host,
            "port": me.port,
            "server": server,
            "registered": registered,
            "key": self._context.trust.own_key or None,
            "strangers": {**self._calls.counters(), "meetings": len(self._rendezvous)},
            "config": settings.config or None,
            "configured": dict(settings.configured),
        }
        self._context.publish(CommandOutput("status", lines, data))

    def path(self, peer: str = "") -> None:
        """Publish the path to `peer`, or to the current conversation, and why better ones failed."""
        calls = self._calls
        conversation = calls.all.called(peer) if peer else calls.all.need_current()
        if conversation is None:
            conversation = calls.all.with_recipient(calls.names.resolve(peer))
        if conversation is None:
            raise LocalError(404, CANNOT_SWITCH(peer=peer, call=peer.rstrip("?")))
        path = conversation.path if conversation.state is SessionState.OPEN else None
        race = conversation.race
        why = tried(race.tried()) if race is not None else {}
        lines = (self._way(conversation, path), *self._why_not_better(path, why))
        direct = path is not None and path != "relay"
        data = {
            "id": conversation.name,
            "path": path,
            "host": conversation.peer_host if direct else None,
            "port": conversation.peer_port if direct else None,
            "tried": why,
        }
        self._context.publish(CommandOutput("path", lines, data))

    def _way(self, conversation: Conversation, path: str | None) -> str:
        name = conversation.name
        if path is None:
            return f"{name} is not connected now"
        way, host, port = WAYS[path], conversation.peer_host, conversation.peer_port
        at = f", {host_port(host, port)}" if path != "relay" and host and port else ""
        return f"{name} is reached {way}{at}"

    def _why_not_better(self, path: str | None, why: dict[str, str]) -> list[str]:
        if path not in (None, "relay"):
            return []
        if path == "relay" and self._context.settings.path == "relay":
            return ["no other path is tried (--path relay)"]
        lines = [one if where in one else f"{where}: {one}" for where, one in why.items()]
        if path == "relay" and not lines:
            return ["no address of the peer can be dialled"]
        return [f"tried: {line}" for line in lines]


def _row_line(row: dict[str, Any]) -> str:
    is_open = row["state"] == SessionState.OPEN.value
    marks = ["connected" if is_open else row["state"]]
    if is_open:
        turn = {"mine": "your turn", "theirs": "their turn"}.get(row["turn"], "")
        path = {"lan": "same network", "punched": "punched", "relay": "relayed"}
        marks += [row["security"], path.get(row["path"], ""), turn]
    if row["current"]:
        marks.append("current")
    where = f" {host_port(row['host'], row['port'])}" if row["host"] else ""
    where = "" if where.strip() == row["id"] else where
    return f"{row['id']}{where}: {', '.join(filter(None, marks))}"


def _room_line(row: dict[str, Any]) -> str:
    members = "1 member" if row["count"] == 1 else f"{row['count']} members"
    return f"{row['room']}: {members}" + (", current" if row["current"] else "")
