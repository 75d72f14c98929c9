"""Each message's docstring shows an example, which the parsers read as that message."""

from __future__ import annotations

from inspect import cleandoc
from itertools import takewhile

from twisted.trial.unittest import SynchronousTestCase

from chatproto.net.receivers import StrictReceiver
from chatproto.wire import classic, codec, plain_blocks, strict
from chatproto.wire.bcp2_common import Bcp2Message
from chatproto.wire.plain_blocks import FROM_RELAY, TO_PEER, TO_SERVER
from tests.wire.classic_lines import classic_receiver


def example(kind: type[object]) -> bytes:
    """The block in the docstring of `kind`, with its body if it has one."""
    lines = cleandoc(kind.__doc__ or "").split("\n")[2:]
    shown = takewhile(lambda line: not line.strip() or line.startswith(" " * 4), lines)
    text = "\r\n".join(line[4:] for line in shown).rstrip("\r\n")
    head, _, body = text.partition("\r\n\r\n")
    length = head.partition("Content-Length: ")[2]
    content = f"{body}\r\n".encode()[: int(length)] if length else b""
    return f"{head}\r\n\r\n".encode() + content


class ExampleTests(SynchronousTestCase):
    def test_classic_examples_are_what_we_write(self) -> None:
        for sender, kinds in classic.SAYS.items():
            for kind in kinds:
                (found,) = classic_receiver(sender=sender).read(example(kind))
                assert isinstance(found, kind), found
                self.assertEqual(codec.encode(found), example(kind))

    def test_examples_inside_tls_are_what_we_write(self) -> None:
        for sender, kinds in strict.SAYS.items():
            for kind in kinds:
                shown = example(kind)
                (message,) = StrictReceiver(sender).read(shown)
                self.assertIsInstance(message, kind)
                assert isinstance(message, Bcp2Message)
                self.assertEqual(strict.encode(message), shown)

    def test_examples_before_tls_are_what_we_write(self) -> None:
        for kind in (*TO_PEER, *TO_SERVER, *FROM_RELAY):
            found = plain_blocks.read_first(example(kind), (kind,))
            assert found is not None
            self.assertEqual((strict.encode(found[0]), b""), (example(kind), found[1]))
