"""Write docs/json.md, the reference of the JSON interface, from the code: `python misc/json_reference.py`."""

from __future__ import annotations

import inspect
import json
import sys
import typing
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from chatproto.client import events  # noqa: E402
from chatproto.client.events import CommandOutput, Event  # noqa: E402
from chatproto.net.clock import Wall  # noqa: E402
from chatproto.ui import room_arguments, values  # noqa: E402
from chatproto.ui.commands import ROWS  # noqa: E402
from chatproto.ui.control import CONTROL_UNSENT  # noqa: E402
from chatproto.ui.references import ENDS, LONGEST, MOST  # noqa: E402
from chatproto.ui.view import json_object  # noqa: E402
from chatproto.wire.reasons import Reason  # noqa: E402

PAGE = ROOT / "docs" / "json.md"
TYPES: dict[Any, tuple[str, Any]] = {
    values.word: ("string", "lobby"),
    values.name: ("string", "bob"),
    values.text: ("string", "hello"),
    values.any_text: ("string, perhaps empty", "hello"),
    values.number: ("number from 1", 3),
    values.asker: ("string, or the number of a file", "bob"),
    values.folder: ("absolute path", "/srv/in"),
    values.flag: ("boolean", True),
    values.paths: ("list of strings", ["/tmp/notes.txt"]),
    room_arguments.duration: ("seconds, or a string such as 30m", "30m"),
}
"""How the reader of a field is called in the page, and a value that it takes."""
SAMPLES = {
    "prefix": "al",
    "command": "msg",
    "room": "#den",
    "mode": "half",
    "key": "sesame",
    "dialect": "classic",
}
"""Values of fields for which the usual one is no good example."""
MOMENT = Wall(1_764_478_800.0)
"""Time of the examples: 2025-11-30, 05:00 UTC."""
HEAD = f"""# The JSON interface

`chatclient --ui json` reads commands and writes events, one JSON object a line each. The socket
`control.sock` of a running client does the same ([Scripts](operations.md#scripts)).
`python misc/json_reference.py` makes this page from the code.

## References

A command may have a `ref`: a number, or a string of at most {LONGEST} characters.

    {{"ref": 7, "do": "msg", "to": "bob", "text": "hi"}}

- Each event that comes of the command carries the same `ref`, for the program that gave it only.
- A line with a `ref` is never taken for a text: without `do`, or if it cannot be read, it ends `malformed`.
- An answer (`answer`, `contacts`, `bridged`, `error`, and `message` of `history` or `search`) goes only to
  the program that asked. Each other event goes to all.
- The command's end is one event `done`, with `"done": true` and a `code`. It comes exactly once, also
  if the server, the peer or the client ends.
- Events can follow `done`: `delivered` of a message that was queued, `session` of a call. They carry
  the `ref` too. If the conversation ends before a queued message is sent, a `notice` says that it stays in
  the outbox, or `undelivered` that it is lost.
- An `error` has `code`, the `command` that was asked, and `to` or `room` if it named one.
- At most {MOST} commands with a `ref` may be open; another one fails at once. One whose `ref` is in use
  is an `error` without `done`.
- A client reads no command on a `control.sock` connection that leaves {CONTROL_UNSENT // 2**21} MiB of events
  unread, and closes it at {CONTROL_UNSENT // 2**20} MiB.

The `code` of `done` is that of the failure, with its `status` and `text`, or:

| command | code | when |
| --- | --- | --- |
"""


def commands() -> Iterator[tuple[str, str, list[tuple[str, str, bool]], dict[str, Any]]]:
    """Yield each command: its name, its help, its fields (name, type, needed), and an example."""
    for row in ROWS.values():
        found, example = [], dict[str, Any](do=row.name)
        for field in row.fields:
            kind, sample = TYPES.get(field.read, ("`full` or `half`", "half"))
            found.append((field.name, kind, field.missing is None))
            if field.missing is None or not example.get("to"):
                example[field.name] = SAMPLES.get(field.name, sample)
        yield row.name, row.help, found, example


def event_classes() -> list[type[Event]]:
    """Return every event, in the order of their names."""
    found = [
        kind
        for kind in vars(events).values()
        if isinstance(kind, type) and issubclass(kind, Event) and kind is not Event
    ]
    return sorted(found, key=lambda kind: kind.event)


def sample_of(kind: type[Event]) -> Event:
    """Make an event with a value in each field that must be there."""
    hints = typing.get_type_hints(kind)
    given = {
        one.name: _sample(one.name, hints[one.name])
        for one in fields(kind)
        if one.default is MISSING and one.default_factory is MISSING
    }
    return kind(**given)


def example_of(kind: type[Event]) -> str:
    """Return the line of an event's example."""
    return json.dumps(json_object(sample_of(kind), MOMENT))


def _sample(name: str, hint: Any) -> Any:
    usual = {"id": "bob", "host": "192.0.2.7", "server": "chat.example:5555", "to": "bob"}
    kinds = typing.get_args(hint) or (hint,)
    if Reason in kinds:
        return Reason.NOT_FOUND
    if str in kinds:
        return usual.get(name, {"room": "#den", "state": "open", "from_": "bob"}.get(name, "text"))
    if int in kinds:
        return 5556 if name == "port" else 7
    return ()


def _type(hint: Any) -> str:
    names = {str: "string", int: "number", float: "number", bool: "boolean", Reason: "string"}
    kinds = [one for one in (typing.get_args(hint) or (hint,)) if one is not type(None)]
    if typing.get_origin(hint) in (tuple, dict):
        return "list" if typing.get_origin(hint) is tuple else "object"
    known = {
        names.get(one, "list" if typing.get_origin(one) is tuple else "number") for one in kinds
    }
    return " or ".join(sorted(known))


def page() -> str:
    """Return the page."""
    lines = [HEAD + "| any | `ok` | it was carried out |"]
    lines += [
        f"| `{name}` | `{code}` | {when} |"
        for name, codes in ENDS.items()
        for code, when in codes.items()
    ]
    lines += ["", "## Commands", "", "| `do` | what it does | fields | example |"]
    lines += ["| --- | --- | --- | --- |"]
    for name, help_text, found, example in commands():
        shown = "; ".join(
            f"`{field}` ({kind}{'' if needed else ', optional'})" for field, kind, needed in found
        )
        lines.append(f"| `{name}` | {help_text} | {shown} | `{json.dumps(example)}` |")
    lines += ["", "## Events", "", "Every event has `event` and `time` (RFC 3339, UTC)."]
    for kind in event_classes():
        about = inspect.cleandoc(kind.__doc__ or "")
        lines += ["", f"### `{kind.event}`", "", about, "", f"    {example_of(kind)}"]
        rows = [] if kind is CommandOutput else _fields(kind)
        if rows:
            lines += ["", "| field | type | there |", "| --- | --- | --- |", *rows]
    return "\n".join(lines) + "\n"


def _fields(kind: type[Event]) -> list[str]:
    hints = typing.get_type_hints(kind)
    return [
        f"| `{one.name.rstrip('_')}` | {_type(hints[one.name])} | "
        f"{'always' if one.default is MISSING and one.default_factory is MISSING else 'if known'} |"
        for one in fields(kind)
    ]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
