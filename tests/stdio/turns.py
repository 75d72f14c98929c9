"""A reactor whose turns are taken one by one, as the real one takes them."""

from __future__ import annotations

from twisted.internet.testing import MemoryReactorClock


class TurnByTurn(MemoryReactorClock):
    """`turn` runs what was due before it, and not what that asks for anew (`Clock` would)."""

    def turn(self) -> None:
        for reader in list(self.readers):
            reader.doRead()
        for writer in list(self.writers):
            writer.doWrite()
        for call in [call for call in self.calls if call.getTime() <= self.seconds()]:
            if call in self.calls:
                self.calls.remove(call)
                call.called = 1
                call.func(*call.args, **call.kw)
