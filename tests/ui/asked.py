"""A node that only writes down what it was asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

PARTS = [
    *("requests", "directory", "outgoing", "messages"),
    *("contacts", "talk", "outbox", "status"),
]
"""Parts of a client that are asked."""


class AskedContext:
    """The signals of a client, of which one is given."""

    def settled(self, _: None) -> None:
        """Ignore that something was carried out."""


class AskedTarget:
    """The target of typed lines, and why they are not for it."""

    def __init__(self) -> None:
        self.target: object = "bob"
        self.typed = False
        self.room = ""
        self.gone = ""

    def why_not_for(self, intended: object) -> str:
        return self.gone


def asked_client() -> Any:
    """Return a client that only writes down what it is asked."""
    return AskedClient()


class AskedPart:
    """Any part of a client."""

    def __init__(self, asked: list[tuple[object, ...]]) -> None:
        self.asked = asked

    def say(self, text: str) -> None:
        self.asked.append(("say", text))

    def id(self) -> None:
        self.asked.append(("id",))

    def register(self) -> None:
        self.asked.append(("register",))

    def info(self, prefix: str = "") -> None:
        self.asked.append(("info", prefix))

    def bridge(self, peer: str = "") -> None:
        self.asked.append(("bridge", peer))

    def chat(self, target: str = "", dialect: str = "") -> None:
        self.asked.append(("chat", target, dialect))

    def msg(self, text: str, to: str = "", word: str = "") -> None:
        self.asked.append(("msg", text, to, word) if word else ("msg", text, to))

    def me(self, text: str, to: str = "") -> None:
        self.asked.append(("me", text, to) if to else ("me", text))

    def away(self, text: str = "") -> None:
        self.asked.append(("away", text))

    def quit(self) -> None:
        self.asked.append(("quit",))

    def leave(self, what: str = "") -> None:
        self.asked.append(("leave", what))

    def accept(self, what: str = "", folder: str = "") -> None:
        self.asked.append(("accept", what, folder) if folder else ("accept", what))

    def decline(self, what: str = "") -> None:
        self.asked.append(("decline", what))

    def who(self, peer: str = "") -> None:
        self.asked.append(("who", peer) if peer else ("who",))

    def unignore(self, peer: str) -> None:
        self.asked.append(("unignore", peer))

    def list_ignored(self) -> None:
        self.asked.append(("list_ignored",))

    def resend(self, peer: str) -> None:
        self.asked.append(("resend", peer))

    def switch(self, what: str) -> None:
        self.asked.append(("switch", what))

    def set_half(self, half: bool) -> None:
        self.asked.append(("mode", "half" if half else "full"))

    def over(self) -> None:
        self.asked.append(("over",))

    def status(self) -> None:
        self.asked.append(("status",))

    def path(self, peer: str = "") -> None:
        self.asked.append(("path", peer))

    def show(self) -> None:
        self.asked.append(("nearby",))

    def ignore(self, peer: str) -> None:
        self.asked.append(("ignore", peer))

    def verify(self, peer: str = "", same: str = "") -> None:
        self.asked.append(("verify", peer, same))

    def trust(self, peer: str, key: str) -> None:
        self.asked.append(("trust", peer, key))

    def send(self, paths: Sequence[str], to: str = "") -> None:
        self.asked.append(("send", *paths, *((to,) if to else ())))

    def list(self) -> None:
        self.asked.append(("files",))

    def cancel(self, number: int) -> None:
        self.asked.append(("cancel", str(number)))

    def unsend(self, number: int, to: str = "") -> None:
        self.asked.append(("unsend", str(number), to))

    def history(self, most: str = "20", who: str = "") -> None:
        self.asked.append(("history", most, who) if who else ("history", most))

    def list_waiting(self) -> None:
        self.asked.append(("outbox",))

    def search(self, words: str) -> None:
        self.asked.append(("search", words))

    def end_of_input(self) -> None:
        self.asked.append(("end_of_input",))

    def interrupted(self) -> None:
        self.asked.append(("interrupted",))


class AskedClient(AskedPart):
    """`asked` has a tuple for each call of a part: the command's name, then what it was given."""

    def __init__(self) -> None:
        super().__init__([])
        self.rooms = self.in_room = AskedRooms(self.asked)
        self.conversations = AskedTarget()
        self.context = AskedContext()
        for part in PARTS:
            setattr(self, part, AskedPart(self.asked))

    def need_files(self) -> AskedPart:
        return AskedPart(self.asked)

    need_neighbours = need_files


class AskedRooms:
    """Record the room commands."""

    current = ""

    def __init__(self, asked: list[tuple[object, ...]]) -> None:
        self.asked = asked

    def join(self, name: str, secret: str = "") -> None:
        self.asked.append(("join", name, secret))

    def part(self, name: str = "") -> None:
        self.asked.append(("part", name))

    def rooms(self) -> None:
        self.asked.append(("rooms",))

    def names(self, name: str = "") -> None:
        self.asked.append(("names", name))

    def topic(self, text: str | None, name: str = "") -> None:
        self.asked.append(("topic", text, name))

    def kick(self, who: str, name: str = "", reason: str = "") -> None:
        self.asked.append(("kick", who, name, reason))

    def ban(self, who: str, seconds: str = "", name: str = "") -> None:
        self.asked.append(("ban", who, seconds, name))

    def unban(self, who: str, name: str = "") -> None:
        self.asked.append(("unban", who, name))

    def mute(self, who: str, seconds: str = "", name: str = "") -> None:
        self.asked.append(("mute", who, seconds, name))

    def op(self, who: str, seconds: str = "", name: str = "") -> None:
        self.asked.append(("op", who, seconds, name))

    def invite(self, who: str, name: str = "") -> None:
        self.asked.append(("invite", who, name))

    def settings(
        self, name: str, secret: str | None, invited: bool | None, kept: bool | None
    ) -> None:
        self.asked.append(("settings", name, secret, invited, kept))
