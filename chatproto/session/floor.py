"""Floor: decide which end may send now, in half-duplex and full-duplex conversations."""

from __future__ import annotations

from enum import Enum


class TurnHolder(Enum):
    """The end that may send."""

    MINE = "mine"
    THEIRS = "theirs"
    BOTH = "both"


class Floor:
    """Pass the turn back and forth in a half-duplex conversation; in a full-duplex one both ends have it.

    `mine`: the first turn is ours. `learns`: stop taking turns once the peer has sent twice in a row
    (raw dialects, protocol section 2).
    """

    def __init__(self, *, half: bool, mine: bool, learns: bool = False) -> None:
        self._learns = learns
        self.begin(half=half, mine=mine)

    def begin(self, *, half: bool, mine: bool) -> None:
        """Start a conversation; `mine`: the first turn is ours, if turns are taken."""
        self._heard_last = False
        self.turn = TurnHolder.BOTH if not half else TurnHolder.MINE if mine else TurnHolder.THEIRS

    @property
    def half(self) -> bool:
        """Return True if turns are taken."""
        return self.turn is not TurnHolder.BOTH

    @property
    def may_speak(self) -> bool:
        """Return True if a message of ours may be sent now."""
        return self.turn is not TurnHolder.THEIRS

    def message_sent(self) -> None:
        """Pass the turn to the peer: we have sent a message."""
        self._heard_last = False
        if self.half:
            self.turn = TurnHolder.THEIRS

    def message_received(self, *, crossed: bool = False, smaller: bool = False) -> None:
        """Take the turn: the peer has sent a message, in its turn or not.

        `crossed`: a message of ours was in flight; the turn is then that of the owner of the `smaller` key.
        """
        if self._learns and self._heard_last:
            self.turn = TurnHolder.BOTH
        self._heard_last = True
        if self.half:
            self.turn = TurnHolder.MINE if smaller or not crossed else TurnHolder.THEIRS

    def take(self) -> None:
        """Take the turn from a peer that stays silent."""
        if self.half:
            self.turn = TurnHolder.MINE

    def set_half(self, half: bool) -> None:
        """Take turns from now on, ours first; or stop."""
        if half and not self.half:
            self.turn = TurnHolder.MINE
        elif not half:
            self.turn = TurnHolder.BOTH
        self._learns = False

    def changed(self, half: bool) -> None:
        """Follow the peer's change of mode: take turns, the peer's first; or stop."""
        self.turn = TurnHolder.THEIRS if half else TurnHolder.BOTH
