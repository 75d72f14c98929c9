"""The rule that every end, failure and refusal in the JSON interface has a code."""

from __future__ import annotations

from chatproto.client.events import Event
from chatproto.net.clock import Wall
from chatproto.ui.view import json_object
from chatproto.wire.reasons import Reason

ALL = {one.code for one in Reason}


def coded(event: Event) -> Event:
    """Return `event`; it has a code if it must have one. Raises AssertionError."""
    told = json_object(event, Wall(0))
    match told:
        case (
            {"event": "error" | "undelivered" | "bye"}
            | {"event": "session", "state": "broken" | "closed", "reason": _}
            | {"event": "file", "state": "declined" | "cancelled" | "failed" | "stalled"}
        ):
            assert told.get("code") in ALL, told
        case {"event": "exit"}:
            pass
        case {"code": code}:
            assert code in ALL, told
    return event
