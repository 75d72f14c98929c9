"""One-shot commands about files and clients: `send-file`, `receive`, `info`."""

from __future__ import annotations

from collections.abc import Sequence

from chatproto.ui.oneshot import (
    DONE,
    LATER,
    NOT_DONE,
    NOTHING,
    REFUSED,
    WRONG,
    Over,
    Said,
    Step,
    Unreached,
    Work,
    WorkWithPeer,
    over,
    retrying,
)
from chatproto.ui.values import Values
from chatproto.wire.fields import host_port

_LINE = 32 * 1024
"""Characters of paths in one command; escaped, each takes at most 12 bytes of a line."""
INFO_TRIES, INFO_WAIT = 3, 0.5
"""Number of INFO requests to a server, and seconds between two of them."""
_ENDED = frozenset({"done", "declined", "cancelled", "failed", "stalled"})
"""States of a file that end the wait for it; a stalled one may continue much later."""


class SendFiles(WorkWithPeer):
    """Send the files and folders at `paths`, absolute and without links in them, each named once."""

    def __init__(self, to: str, paths: Sequence[str], patient: bool = False) -> None:
        super().__init__(to, patient)
        self._states = dict.fromkeys(paths, "")
        self._reasons: dict[str, str] = {}
        self._offered = False

    def heard(self, event: Said) -> Step:
        if event["event"] == "answer" and event["command"] == "who":
            if self._begun:  # another command's, or progress
                return NOTHING
            self._begun = True
        call = self._reach.heard(event)
        if event["event"] == "error" and event["command"] == "who":
            return over(WRONG, event["text"])
        if call:
            return Step(call)
        if (later := self._reach.refused_for_now(event)) is not None:
            return later
        if self._reach.came(event) and self._patient:
            self._reach.why = None
            return Step((self._reach.call,))
        if self._reach.open and not self._offered:
            self._offered = True
            return Step(({"do": "files"},))
        match event:
            case {"event": "answer", "command": "files", "files": list(known)} if self._offered:
                ours = [one for one in known if one.get("to") == self._to]
                return self._offer({one.get("path", ""): one["state"] for one in ours})
            case {"event": "file", "to": self._to, "path": str(path)} if path in self._states:
                return self._changed(path, event)
            case {"event": "error", "command": "send"} if self._offered:
                return self._refused(event.get("path"), event["text"])
            case {"event": "session" | "error"} if self._reach.why is not None:
                return self._unreached(self._reach.why)
        return NOTHING

    def again(self) -> Step:
        return Step(self._reach.again())

    def stopped(self, why: str, goes_on: bool) -> Over:
        if not any(self._states.values()):
            return Over(NOT_DONE, f"{why}: nothing was sent to {self._to}")
        whole = sum(state == "done" for state in self._states.values())
        rest = "the running client continues" if goes_on else "repeat the command to continue"
        return Over(LATER, f"{why}: {whole} of {len(self._states)} files sent, {rest}")

    def concerns(self, event: Said) -> bool:
        return event.get("to") == self._to and event.get("path") in self._states

    def _offer(self, under_way: dict[str, str]) -> Step:
        """Send the paths that are not in progress; `under_way`: state by path."""
        parts: list[list[str]] = []
        room = 0
        for path in self._states:
            if path in under_way:
                self._states[path] = under_way[path]
                continue
            if len(path) > room:
                parts.append([])
                room = _LINE
            parts[-1].append(path)
            room -= len(path)
        commands = ({"do": "send", "to": self._to, "paths": part} for part in parts)
        return Step(tuple(commands)) if parts else self._settled()

    def _changed(self, path: str, event: Said) -> Step:
        if event.get("progress"):
            return NOTHING
        self._states[path] = event["state"]
        self._reasons[path] = event.get("reason", "")
        return self._settled()

    def _refused(self, which: str | None, why: str) -> Step:
        """Note a file that could not be offered; `which`: None for all of them."""
        for path, state in self._states.items():
            if not state and which in (None, path):
                self._states[path], self._reasons[path] = "failed", why
        return self._settled()

    def _settled(self) -> Step:
        if not all(state in _ENDED for state in self._states.values()):
            return NOTHING
        for state, code in (("declined", REFUSED), ("failed", NOT_DONE), ("cancelled", NOT_DONE)):
            if state in self._states.values():
                return over(code, self._first(state))
        stalled = "stalled" in self._states.values()
        return over(LATER, self._first("stalled")) if stalled else over(DONE)

    def _first(self, state: str) -> str:
        """Return a sentence about the first file that is `state`, and the number of others."""
        paths = [path for path, one in self._states.items() if one == state]
        name, why = paths[0].rpartition("/")[2], self._reasons.get(paths[0])
        said = f"{self._to} declined {name}" if state == "declined" else f"{name}: {state}"
        more = f", and {len(paths) - 1} more" if len(paths) > 1 else ""
        return f"{said}{f' ({why})' if why else ''}{more}"

    def _unreached(self, why: Unreached) -> Step:
        end = why.end(self._to)
        if any(self._states.values()):
            return Step(over=self.stopped(end.sentence, goes_on=False))
        return NOTHING if self._patient and why.is_away else Step(over=end)


class Receive(Work):
    """Accept calls and files of `sender`, or of any peer confirmed by the server; print their paths.

    Done after `count` files; 0: never.
    """

    def __init__(self, sender: str = "", count: int = 0) -> None:
        self._sender = sender
        self._key: str | None = None  # the sender's, if it is known
        self._count = count
        self._came = 0

    def begin(self) -> Step:
        who = {"do": "who", "id": self._sender} if self._sender else {"do": "who"}
        return Step((who, {"do": "files"}))

    def heard(self, event: Said) -> Step:
        match event:
            case {"event": "error", "command": "who"}:
                return over(WRONG, event["text"])
            case {"event": "answer", "command": "who", "conversations": list(known)}:
                if "name" in event:
                    self._sender, self._key = event["name"], event.get("key")
                ringing = [one["id"] for one in known if one["state"] == "ringing"]
                return Step(tuple(_accept(id) for id in ringing if self._wants(id)))
            case {"event": "answer", "command": "files", "files": list(known)}:
                offered = [one for one in known if one["state"] == "offered" and "from" in one]
                return Step(
                    tuple(_accept(one["id"]) for one in offered if self._wants(one["from"]))
                )
            case {"event": "incoming", "id": str(id), "key": str(key)} if key == self._key:
                self._sender = id if event.get("confirmed") else f"{id}?"
                return Step((_accept(self._sender),)) if event.get("ask") else NOTHING
            case {"event": "incoming", "id": str(id), "ask": True, "confirmed": True}:
                return Step((_accept(id),)) if self._wants(id) else NOTHING
            case {"event": "file", "from": str(sender)} if self._wants(sender):
                return self._file(event)
        return NOTHING

    def stopped(self, why: str, goes_on: bool) -> Over:
        if self._came and not self._count:
            return Over(DONE)
        came = f"{self._came} of {self._count} files" if self._came else "no file"
        return Over(LATER, f"{why}: {came} received")

    def concerns(self, event: Said) -> bool:
        return self._wants(event.get("from", "?"))

    def _wants(self, sender: str) -> bool:
        # An unconfirmed name ends in a question mark, and identifies no peer.
        if self._sender == "":
            return not sender.endswith("?")
        return sender == self._sender

    def _file(self, event: Said) -> Step:
        name, reason = event["name"], event.get("reason", "")
        match event["state"]:
            case "offered" if event.get("ask"):
                return Step((_accept(event["id"]),))
            case "done":
                self._came += 1
                last = Over(DONE) if self._came == self._count else None
                return Step(lines=(event["path"],), over=last)
            case "stalled" if self._count:
                return over(LATER, f"{name} cannot be written: {reason}")
            case "failed" | "cancelled" | "stalled" as state:
                return Step(notes=(f"{name}: {state}{f' ({reason})' if reason else ''}",))
        return NOTHING


def _accept(id: str | int) -> Values:
    return {"do": "accept", "id": id}


class ListRegistered(Work):
    """List the registered clients whose id begins with `prefix`."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._tries = INFO_TRIES

    def begin(self) -> Step:
        return Step(({"do": "info", "prefix": self._prefix},))

    def heard(self, event: Said) -> Step:
        match event:
            case {"event": "contacts", "list": found}:
                wanted = [one for one in found if one["id"].startswith(self._prefix)]
                lines = [f"{one['id']} {host_port(one['host'], one['port'])}" for one in wanted]
                return Step(lines=tuple(lines), over=Over(DONE))
            case {"event": "error", "command": "register"}:
                return over(REFUSED, event["text"])
            case {
                "event": "error",
                "command": "info",
                "retry_after": int(seconds),
                "text": str(why),
            }:
                return Step(notes=(retrying(why, seconds),), wait=seconds)
            case {"event": "error", "command": "info"}:
                self._tries -= 1
                # Meanwhile the client tries the next of several servers.
                return Step(wait=INFO_WAIT) if self._tries else over(NOT_DONE, event["text"])
        return NOTHING

    def stopped(self, why: str, goes_on: bool) -> Over:
        return Over(NOT_DONE, f"{why}: no answer from the server")
