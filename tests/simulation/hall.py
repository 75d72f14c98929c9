"""A room in the simulation: what was said there, and what every program told of it."""

from __future__ import annotations

from dataclasses import dataclass

from chatproto.client.events import (
    Event,
    MessageReceived,
    Notice,
    RoomChanged,
    Sent,
    Uncertain,
    Undelivered,
)
from tests.simulation.invariants import hold

HALL = "#hall"


@dataclass(slots=True)
class Spoken:
    """A text, by which life of whose program, and what became of it."""

    speaker: str
    life: int
    settled: str = ""
    dead: bool = False


class HallBooks:
    """The room's one order, and how far every program has come in it. Texts are unique."""

    def __init__(self) -> None:
        self.spoken: dict[str, Spoken] = {}
        self.order: dict[int, tuple[str, str]] = {}
        self._last: dict[tuple[str, int], int | None] = {}

    def said(self, who: str, life: int, text: str) -> None:
        """A program took it."""
        self.spoken[text] = Spoken(who, life)

    def killed(self, who: str) -> None:
        """Note that the program was killed: it will report nothing more."""
        for one in self.spoken.values():
            one.dead = one.dead or one.speaker == who

    def told(self, who: str, life: int, event: Event) -> bool:
        """Check an event; return True if it is about the room. Raises Broken."""
        match event:
            case RoomChanged(room, "joined", own=True):
                if not event.again:
                    self._last[who, life] = None
            case Notice(text) if HALL in text:
                hold(False, f"{who} misses something: {event}")
            case MessageReceived(room=str(room)):
                self._comes(who, life, event.id, event.from_, event.text)
            case Sent(text, number, room=str(room)):
                self._settle(who, text, "sent")
                self._comes(who, life, number, who, text)
            case Undelivered(room, text=str(text)) if room == HALL:
                self._settle(who, text, "undelivered")
                arrived = (who, text) in self.order.values()
                hold(not arrived, f"it came and yet {event}")
            case Uncertain(room, text=str(text)) if room == HALL:
                self._settle(who, text, "uncertain")
            case _:
                return False
        return True

    def unsettled(self) -> list[str]:
        """List the messages of living programs that were neither delivered nor reported."""
        return [text for text, one in self.spoken.items() if not one.settled and not one.dead]

    def behind(self) -> list[tuple[str, int]]:
        """Programs that have not been told all."""
        newest = max(self.order, default=0)
        return [one for one, last in self._last.items() if last is not None and last < newest]

    def forget(self, who: str, life: int) -> None:
        """Forget a program that no longer runs."""
        self._last.pop((who, life), None)

    def _comes(self, who: str, life: int, number: object, speaker: str, text: str) -> None:
        assert isinstance(number, int)
        known = self.order.setdefault(number, (speaker, text))
        hold(known == (speaker, text), f"{number} is {known}, and for {who} {speaker}: {text}")
        twice = [one for one, (_, other) in self.order.items() if other == text]
        hold(len(twice) == 1, f"said twice: {text}, as {twice}")
        hold(text in self.spoken, f"{who} heard what nobody said: {text}")
        hold(self.spoken[text].speaker == speaker, f"{speaker} is shown as the speaker of {text}")
        last = self._last.get((who, life))
        hold(last is None or number == last + 1, f"{who} was told {number} after {last}")
        self._last[who, life] = number

    def _settle(self, who: str, text: str, how: str) -> None:
        one = self.spoken[text]
        hold(one.speaker == who, f"{who} tells of what {one.speaker} said: {text}")
        hold(not one.settled, f"{how} after {one.settled}: {text}")
        one.settled = how
