"""Bodies that list people, members or rooms: one spelling of an address, and so many lines at most."""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.wire.bcp2_common import LINES, plain_ip, read_listing
from chatproto.wire.errors import RemoteError
from chatproto.wire.room_fields import read_occupants, read_rooms

spelt = st.one_of(
    st.ip_addresses().map(str),
    st.ip_addresses(v=6).map(lambda one: one.exploded.upper()),
    st.ip_addresses(v=4).map(lambda one: f"::ffff:{one}"),
    st.ip_addresses(v=4).map(lambda one: f"::{one}"),
    st.integers(0, 2**32).map(lambda number: str(IPv6Address(number))),
    st.integers(0, 2**16).map(lambda number: f"2001:db8:0:0:1:0:0:{number:x}"),
    st.text("0123456789abF.:%[]x \0é", max_size=20),
)


def slowly(text: str) -> str:
    """The address as `ipaddress` reads and spells it; empty for none, or one with a scope."""
    try:
        address = ip_address(text.strip("[]") if text.startswith("[") else text)
    except ValueError:
        return ""
    return "" if "%" in text else str(getattr(address, "ipv4_mapped", None) or address)


class ListTests(SynchronousTestCase):
    @given(spelt)
    def test_an_address_has_one_spelling(self, text: str) -> None:
        try:
            found = plain_ip(text)
        except RemoteError:
            found = ""
        self.assertEqual(found, slowly(text))

    def test_too_many_lines_are_refused(self) -> None:
        for read, line in (
            (read_listing, b"Bob 10.0.0.1:1 -\r\n"),
            (read_occupants, b"Bob\r\n"),
            (read_rooms, b"#den 1 \r\n"),
        ):
            self.assertEqual(len(read(line * LINES)), LINES)
            with self.assertRaises(RemoteError) as refused:
                read(line * (LINES + 1))
            self.assertEqual(refused.exception.status, 413)
