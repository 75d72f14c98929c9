"""The number that two people compare."""

from __future__ import annotations

import base64
import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.identity.keys import new_identity
from chatproto.identity.safety import safety_number


def named(data: bytes) -> str:
    return "sha256:" + base64.b32encode(data).decode().rstrip("=")


KEYS = st.binary(min_size=32, max_size=32).map(named)


class SafetyTests(SynchronousTestCase):
    """Sixty digits of two keys."""

    @given(KEYS, KEYS)
    def test_both_see_the_same_sixty_digits(self, one: str, other: str) -> None:
        number = safety_number(one, other)
        self.assertEqual(number, safety_number(other, one))
        self.assertIsNotNone(re.fullmatch(r"\d{5}( \d{5}){11}", number))

    @given(KEYS, KEYS, st.integers(0, 255))
    def test_one_bit_of_a_key_changes_the_number(self, one: str, other: str, bit: int) -> None:
        data = bytearray(base64.b32decode(other.removeprefix("sha256:") + "===="))
        data[bit // 8] ^= 1 << bit % 8
        self.assertNotEqual(safety_number(one, other), safety_number(one, named(bytes(data))))

    def test_each_key_defines_half_of_the_number(self) -> None:
        one, other, third = sorted(named(bytes([n]) * 32) for n in (1, 2, 3))
        first, second = safety_number(one, other), safety_number(one, third)
        self.assertEqual(first.split()[:6], second.split()[:6])
        self.assertTrue(
            all(a != b for a, b in zip(first.split()[6:], second.split()[6:], strict=True))
        )

    def test_stays_the_same_from_one_version_to_the_next(self) -> None:
        self.assertEqual(
            safety_number(named(bytes(32)), named(bytes(range(32)))),
            "74416 26721 81815 82407 06167 60039 88434 28852 39282 40690 34842 82944",
        )

    def test_numbers_of_many_keys_all_differ(self) -> None:
        mine = new_identity().name
        numbers = {safety_number(mine, new_identity().name) for _ in range(50)}
        self.assertEqual(len(numbers), 50)
