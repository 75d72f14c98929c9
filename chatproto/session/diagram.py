"""Draws the session table as a Mermaid state diagram: `python -m chatproto.session.diagram`."""

from __future__ import annotations

from chatproto.session.table import TABLE, SessionState


def diagram() -> str:
    """The state diagram of `TABLE`, an arrow for each pair of states, its inputs on it."""
    arrows: dict[tuple[SessionState, SessionState], list[str]] = {}
    for (before, happened), after in TABLE.items():
        arrows.setdefault((before, after), []).append(happened.value)
    lines = ["stateDiagram-v2", "    [*] --> new"]
    for (before, after), inputs in arrows.items():
        lines.append(f"    {before.value} --> {after.value}: {' / '.join(inputs)}")
    return "\n".join([*lines, "    closed --> [*]"])


if __name__ == "__main__":
    print(diagram())
