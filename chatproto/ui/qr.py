"""Draw the safety number as a QR code for another device."""

from __future__ import annotations

from itertools import zip_longest

from chatproto.client.events import CommandOutput, Event

BORDER = 2
"""Light modules around the code, which readers need."""
MISSING = "no QR code: pip install 'chatproto[qr]' adds it"
_HALVES = {(True, True): " ", (True, False): "▄", (False, True): "▀", (False, False): "█"}
"""Two modules, one above the other (True: dark), as a character that draws the light ones."""


TOO_SMALL = "no room for the QR code: enlarge the terminal and type /verify again"


def qr_lines(event: Event, columns: int, rows: int) -> list[str]:
    """Return lines that show the number of /verify as a QR code of its sixty digits.

    At most 17 lines. No lines for another event, and for a number that was compared already; one line
    with advice if segno is not installed, or if there is too little room. The light modules are drawn,
    so that the code is right for light text on a dark screen.

    Args: columns: of the terminal. rows: left for the code, which never leaves the screen.
    """
    if not isinstance(event, CommandOutput) or event.command != "verify":
        return []
    if event.data.get("verified"):
        return []
    try:
        import segno
    except ImportError:
        return [MISSING]
    digits = str(event.data["number"]).replace(" ", "")
    modules = [
        list(map(bool, row)) for row in segno.make_qr(digits, error="l").matrix_iter(1, BORDER)
    ]
    width = len(modules[0])
    if width > columns or (len(modules) + 1) // 2 > rows:
        return [TOO_SMALL]
    light = [False] * width
    pairs = zip_longest(modules[::2], modules[1::2], fillvalue=light)
    return [
        "".join(_HALVES[above, below] for above, below in zip(*pair, strict=True)) for pair in pairs
    ]
