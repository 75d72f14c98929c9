"""Format transfers as lines of the plain interface."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chatproto.client.events import FileChanged
from chatproto.ui.legible import bracket, inline, name

_UNITS = ("KB", "MB", "GB", "TB")


def amount(count: float) -> str:
    """Return a number of bytes in at most ten characters."""
    if count < 1000:
        return "1 byte" if count == 1 else f"{count:.0f} bytes"
    for unit in _UNITS:
        count /= 1000
        if count < 999.95 or unit == _UNITS[-1]:
            break
    return f"{min(count, 99999.9):.1f} {unit}"


def speed(rate: float) -> str:
    """Return bytes per second as text."""
    return f"{rate:.0f} B/s" if rate < 1000 else f"{amount(rate)}/s"


def duration(seconds: float) -> str:
    """Return minutes and seconds, or hours with them; a day or more is not given in detail."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours >= 24:
        return ">1 day"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def percent(offset: int, size: int) -> int:
    """Return the percentage received: 100 for an empty file, else at most 99."""
    return 100 if not size else min(100 * offset // size, 99)


def file_lines(event: FileChanged) -> list[str]:
    """Format a change of a transfer; nothing for mere progress."""
    called, why = inline(event.name), bracket(event.reason)
    ours = event.to is not None
    who = name(event.to if event.to is not None else event.from_ or "?")
    if event.ask:
        plural = "" if event.files == 1 else "s"
        files = f"{event.files} file{plural}, " if event.files is not None else ""
        size = f"{files}{amount(event.size)}"
        return [f"{who} offers {called} ({size}): /accept {event.id} or /decline {event.id}"]
    if event.progress:
        return []
    match event.state:
        case "offered" if ours and not event.reason:
            return [f"offering {called} to {who}"]
        case "moving" if not event.reason:
            return [f"sending {called} to {who}" if ours else f"receiving {called} from {who}"]
        case "done":
            return [
                f"{who} received {called}"
                if ours
                else f"received {called}: {inline(event.path or '')}"
            ]
        case "broken":
            return [f"{called} is paused{why or f' until {who} is back'}"]
        case "declined":
            return [f"{who} declined {called}{why}" if ours else f"{called} was declined{why}"]
        case "stalled" if not ours:
            return [f"{called} from {who}: stalled{why}, /accept {event.id} continues"]
        case "cancelled" | "failed" | "stalled":
            return [f"{called} {'to' if ours else 'from'} {who}: {event.state}{why}"]
    return [f"{called}: {inline(event.reason)}"] if event.reason else []


def list_lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    """Return the transfers that have not ended, as `FileChanged.row` gives them, one line each."""
    return [_listed(row) for row in rows] or ["no file is being sent or received"]


def _listed(row: dict[str, Any]) -> str:
    ours = "to" in row
    whom = f"to {name(row['to'])}" if ours else f"from {name(row['from'])}"
    state = "paused" if row["state"] == "broken" else row["state"]
    parts = [state, amount(row["size"])]
    if row["offset"]:
        parts[1] = f"{percent(row['offset'], row['size'])}% of {parts[1]}"
    if row.get("rate"):
        parts.append(speed(row["rate"]))
    if row.get("left") is not None:
        parts.append(f"{duration(row['left'])} left")
    if state == "paused" and row.get("reason"):
        parts.append(inline(row["reason"]))
    if not ours and row["state"] in ("offered", "stalled"):
        parts.append(f"/accept {row['id']}")
    return f"{row['id']} {inline(row['name'])} {whom}: {', '.join(parts)}"
