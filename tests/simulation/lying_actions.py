"""Actions of liars and of users who are lied to, as values that a seed chooses."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.simulation.actions import Action, script
from tests.simulation.lying_world import LIARS_SERVER
from tests.simulation.person import SERVER

if TYPE_CHECKING:
    from tests.simulation.world import Rules


@dataclass(frozen=True, slots=True)
class LyingAction(Action):
    """An action in a world of liars."""

    # What people do.

    def move(self, world: Any) -> None:
        """Start the program again with the other server."""
        one, _ = self._two(world)
        one.kill()
        world.pass_time(2 * self.number)
        one.server = LIARS_SERVER if one.server == SERVER else SERVER
        one.start()

    def trust(self, world: Any) -> None:
        """Accept a key for somebody by hand: the right one, or that of the liar."""
        one, other = self._two(world)
        if one.node is None or one.held is not None:
            return
        world.trust(one, other, world.liar.keys[0] if self.number < 0.4 else other.key)

    def ignore(self, world: Any) -> None:
        """Hear no more of somebody, or hear them again."""
        one, other = self._two(world)
        world.ignore(one, other)

    def reply(self, world: Any) -> None:
        """Say something to whoever is spoken to, without a name."""
        one, _ = self._two(world)
        world.reply(one)

    # What liars do.

    def lie_call(self, world: Any) -> None:
        """The liar calls somebody inside TLS."""
        world.liar.call(self._two(world)[0].name)

    def lie_plain(self, world: Any) -> None:
        """The liar calls somebody in plain text."""
        world.liar.call_plainly(self._two(world)[0].name)

    def lie_bridge(self, world: Any) -> None:
        """The liar has the honest server introduce it."""
        world.liar.register((SERVER, 5555))
        world.liar.bridge(self._two(world)[0].name)

    def lie_bother(self, world: Any) -> None:
        """The liar says something on a connection that it has."""
        world.liar.bother()

    def lie_push(self, world: Any) -> None:
        """The lying server pushes something untrue."""
        world.second.push()

    def lie_mood(self, world: Any) -> None:
        """The lying server lies more, or less."""
        world.second.lies = self.number

    def lie_key(self, world: Any) -> None:
        """The lying server shows another key from now on."""
        if self.number < 0.3:
            world.second.change_key(world.new_key())

    def lie_restart(self, world: Any) -> None:
        """The lying server is gone for a while."""
        world.second.kill()
        world.pass_time(2 * self.number)
        world.second.start()


PEOPLE = {"move": 6, "trust": 2, "ignore": 2, "reply": 10}
LIARS = {
    "lie_call": 8,
    "lie_plain": 5,
    "lie_bridge": 6,
    "lie_bother": 12,
    "lie_push": 8,
    "lie_mood": 3,
    "lie_key": 2,
    "lie_restart": 2,
}


def lying_script(seed: int, rules: Rules) -> tuple[Action, ...]:
    """Choose the actions of `seed` in a world with liars."""
    return script(seed, rules, LyingAction, PEOPLE | LIARS)
