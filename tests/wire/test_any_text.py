"""Any text, and any bytes of a file's name, come out of a message as they went in, or are refused."""

from __future__ import annotations

import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.transfer.names import safe_name
from chatproto.transfer.offer import FileOffer, folder_offer, from_wire, safe_files, to_wire
from chatproto.wire import bcp2_rooms
from chatproto.wire.bcp2_peer import Msg
from chatproto.wire.classic import Sender
from chatproto.wire.errors import RemoteError, WireError
from chatproto.wire.strict import encode
from tests.limits import DEFAULTS
from tests.wire.bcp2_samples import AT

DATE = "2026-11-29T17:08:34.159Z"
NAMES = st.binary(min_size=1, max_size=255).map(os.fsdecode) | st.text(min_size=1)


def through(message: Any, sender: Sender) -> Any:
    """The message as the other side reads it; None if it was refused on either side."""
    try:
        data = encode(message)
    except (WireError, UnicodeEncodeError):
        return None
    [found] = StrictReceiver(sender, DEFAULTS).read(data)
    return None if isinstance(found, RemoteError) else found


class AnyTextTests(SynchronousTestCase):
    @given(st.text())
    def test_message_to_a_peer(self, text: str) -> None:
        found = through(Msg(1, AT, text), Sender.PEER)
        self.assertIn(getattr(found, "text", None), (text, None))
        if text.strip():
            self.assertIsNotNone(found)

    @given(st.text())
    def test_a_message_to_a_room(self, text: str) -> None:
        found = through(bcp2_rooms.Say(1, "#den", text), Sender.CLIENT)
        self.assertIn(getattr(found, "text", None), (text, None))

    @given(NAMES)
    def test_the_name_of_a_file(self, name: str) -> None:
        offer = FileOffer(safe_name(name), 3, DATE)
        found = through(to_wire(1, offer), Sender.PEER)
        self.assertEqual(from_wire(found), offer)

    @given(st.lists(NAMES, min_size=1, max_size=5))
    def test_the_names_in_a_folder(self, names: list[str]) -> None:
        offer = folder_offer("folder", DATE, safe_files(tuple((3, name) for name in names)))
        found = through(to_wire(1, offer), Sender.PEER)
        self.assertEqual(from_wire(found), offer)
