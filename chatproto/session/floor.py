"""The floor: who may speak now. Not more states of a session, but a second small machine beside it."""

from __future__ import annotations

from enum import Enum


class TurnHolder(Enum):
    """Who may speak."""

    MINE = "mine"
    THEIRS = "theirs"
    BOTH = "both"


class Floor:
    """Passes the turn to and fro in a half-duplex conversation; in a full-duplex one both have it.

    `learns`: a bare one-to-one that takes turns only until the other side has spoken twice in a row
    (protocol section 2 and the raw dialect).
    """

    def __init__(self, *, half: bool, mine: bool, learns: bool = False) -> None:
        self._learns = learns
        self.begin(half=half, mine=mine)

    def begin(self, *, half: bool, mine: bool) -> None:
        """A conversation begins; `mine`: the first turn is ours, if turns are taken."""
        self._heard_last = False
        self.turn = TurnHolder.BOTH if not half else TurnHolder.MINE if mine else TurnHolder.THEIRS

    @property
    def half(self) -> bool:
        """Whether turns are taken at all."""
        return self.turn is not TurnHolder.BOTH

    @property
    def may_speak(self) -> bool:
        """Whether what we say may go out now."""
        return self.turn is not TurnHolder.THEIRS

    def said(self) -> None:
        """We spoke: now it is their turn."""
        self._heard_last = False
        if self.half:
            self.turn = TurnHolder.THEIRS

    def heard(self, *, crossed: bool = False, smaller: bool = False) -> None:
        """They spoke, in their turn or out of it: now it is ours.

        `crossed`: what we said last was under way then; the turn is that of the `smaller` key's owner.
        """
        if self._learns and self._heard_last:
            self.turn = TurnHolder.BOTH
        self._heard_last = True
        if self.half:
            self.turn = TurnHolder.MINE if smaller or not crossed else TurnHolder.THEIRS

    def take(self) -> None:
        """They stay silent and may be spoken to: the turn is ours, without their having spoken."""
        if self.half:
            self.turn = TurnHolder.MINE

    def set_half(self, half: bool) -> None:
        """Take turns from now on, ours first; or no more."""
        if half and not self.half:
            self.turn = TurnHolder.MINE
        elif not half:
            self.turn = TurnHolder.BOTH
        self._learns = False

    def changed(self, half: bool) -> None:
        """They want turns to be taken from now on, theirs first; or no more."""
        self.turn = TurnHolder.THEIRS if half else TurnHolder.BOTH
