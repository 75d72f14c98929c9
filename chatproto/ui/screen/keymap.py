"""Choose the keys of the full interface: the defaults, or those of the table [keys] in client.toml."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from chatproto.wire.values import value_class

USUAL = {
    "accept": "alt-a",
    "decline": "alt-d",
    "verify": "alt-v",
    "unread": "alt-n",
    "editor": "ctrl-x ctrl-e",
    "newline": "alt-enter",
}
"""All actions whose key can be chosen, and their default keys."""

_KEY = re.compile(r"ctrl-[abefgklnopqrstuvwxy]|alt-(?:[a-z]|enter)|f(?:[1-9]|1[0-2])")
"""One key. Not available: Enter, Tab, Backspace, Esc, Ctrl-C, Ctrl-D, Ctrl-Z, and keys that type a
letter.
"""
STANDS = 1.0
"""Seconds that a question must be shown, without any key, before a single letter answers it."""
_LONGEST = 2
"""Largest number of keys of one action, pressed one after another."""


@value_class
class Keymap:
    """Key of each action, such as `alt-a` or `ctrl-x ctrl-e`."""

    keys: Mapping[str, str] = field(default_factory=lambda: USUAL)

    def shown(self, action: str) -> str:
        """Return the key of `action` for display: `Alt-a`, `Ctrl-X Ctrl-E`, `F5`."""
        return " ".join(map(_shown, self.keys[action].split()))

    def pressed(self, action: str) -> tuple[str, ...]:
        """Return the names that the drawing library has for the key of `action`."""
        return tuple(name for key in self.keys[action].split() for name in _names(key))


USUAL_KEYS = Keymap()


def read_keymap(chosen: Mapping[str, object]) -> Keymap:
    """Return the default keys with those of the table `chosen`. Raises ValueError with one sentence."""
    keys = dict(USUAL)
    for action, key in chosen.items():
        if action not in USUAL:
            raise ValueError(
                f"no key can be chosen for {action[:20]!r}, only for {', '.join(USUAL)}"
            )
        parts = key.lower().split() if isinstance(key, str) else []
        if not 0 < len(parts) <= _LONGEST or not all(map(_KEY.fullmatch, parts)):
            raise ValueError(f"{action} takes a key such as alt-a, ctrl-x ctrl-e or f5")
        keys[action] = " ".join(parts)
    words = {action: key.split() for action, key in keys.items()}
    for action, one in words.items():
        for other, two in words.items():
            if action < other and all(a == b for a, b in zip(one, two, strict=False)):
                raise ValueError(f"{action} and {other} begin with the same key, {one[0]}")
    return Keymap(keys)


def _shown(key: str) -> str:
    modifier, dash, name = key.partition("-")
    if not dash:
        return key.upper()
    return f"{modifier.title()}-{name.title() if modifier == 'ctrl' or len(name) > 1 else name}"


def _names(key: str) -> tuple[str, ...]:
    modifier, dash, name = key.partition("-")
    if not dash:
        return (key,)
    return (f"c-{name}",) if modifier == "ctrl" else ("escape", name)
