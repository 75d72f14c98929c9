"""A node that only writes down what it was asked."""

from __future__ import annotations


class AskedNode:
    """`asked` has a tuple for each call: the method's name, then what it was given."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, ...]] = []

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

    def msg(self, text: str, to: str = "") -> None:
        self.asked.append(("msg", text, to))

    def quit(self) -> None:
        self.asked.append(("quit",))

    def accept(self, what: str = "") -> None:
        self.asked.append(("accept", what))

    def decline(self, what: str = "") -> None:
        self.asked.append(("decline", what))

    def who(self) -> None:
        self.asked.append(("who",))

    def switch(self, what: str) -> None:
        self.asked.append(("switch", what))

    def mode(self, which: str) -> None:
        self.asked.append(("mode", which))

    def over(self) -> None:
        self.asked.append(("over",))

    def status(self) -> None:
        self.asked.append(("status",))

    def ignore(self, peer: str) -> None:
        self.asked.append(("ignore", peer))

    def verify(self, peer: str = "", same: str = "") -> None:
        self.asked.append(("verify", peer, same))

    def trust(self, peer: str, key: str) -> None:
        self.asked.append(("trust", peer, key))

    def end_of_input(self) -> None:
        self.asked.append(("end_of_input",))
