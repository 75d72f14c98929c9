"""Draw `TABLE` as a Mermaid state diagram: `python -m tests.diagram`."""

from __future__ import annotations

from chatproto.session.session import TABLE
from chatproto.session.state import SessionState


def diagram() -> str:
    """Return the diagram; an arrow carries every input that leads from one state to the other."""
    arrows: dict[tuple[SessionState, SessionState], list[str]] = {}
    for (before, happened), (_, after) in TABLE.items():
        arrows.setdefault((before, after), []).append(happened.value)
    lines = ["stateDiagram-v2", "    [*] --> new"]
    for (before, after), inputs in arrows.items():
        lines.append(f"    {before.value} --> {after.value}: {' / '.join(inputs)}")
    return "\n".join([*lines, "    closed --> [*]"])


if __name__ == "__main__":
    print(diagram())
