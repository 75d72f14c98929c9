"""The receiver picks a hash function that both ends have, and a part stays with it."""

from __future__ import annotations

import hashlib
from pathlib import Path
from unittest import skipUnless

from twisted.trial.unittest import SynchronousTestCase

from chatproto.transfer.hashes import BLAKE3, IS_INSTALLED, SHA_256, Hasher, choose, function_of
from chatproto.transfer.sinks import There
from chatproto.transfer.state import TransferState
from chatproto.wire.bcp2_common import Error
from chatproto.wire.bcp2_files import Cancel, Done, DoneAck, Offer, OfferAck, digest_of
from tests.transfer.ends import Pair
from tests.transfer.one_transfer import OFFER, Case

SHA, OTHER = "5" * 64, "blake3:" + "7" * 64
FILE = bytes(range(256)) * 4096
"""Larger than what is read at once, so that a transfer can be cut in the middle."""


class RuleTests(SynchronousTestCase):
    def test_part_stays_with_its_function_while_both_ends_have_it(self) -> None:
        for begun, common, expected in (
            ("", (), SHA_256),
            ("", (BLAKE3,), BLAKE3),
            (SHA_256, (BLAKE3,), SHA_256),
            (BLAKE3, (BLAKE3,), BLAKE3),
            (BLAKE3, (), SHA_256),
        ):
            self.assertEqual(choose(begun, common), expected)

    def test_digest_tells_its_function(self) -> None:
        self.assertEqual((function_of(SHA), function_of(OTHER)), (SHA_256, BLAKE3))
        self.assertEqual(digest_of(OfferAck(1, 0, "5" * 64)), SHA)
        self.assertEqual(digest_of(Done(1, blake3="7" * 64)), OTHER)
        self.assertEqual(digest_of(Done(1, "5" * 64, "7" * 64)), "")
        self.assertEqual(digest_of(Done(1)), "")
        hasher = Hasher()
        hasher.update(b"abc")
        self.assertEqual(hasher.digest(), hashlib.sha256(b"abc").hexdigest())


class AnswerTests(Case):
    def test_answer_with_a_function_that_was_not_offered_fails_at_once(self) -> None:
        for digest, hashes in ((OTHER, ()), ("", (BLAKE3,))):
            self.begin(*hashes)
            out = self.sending()
            out.taken(0, digest)
            self.assertEqual(self.sent(), [Cancel(1)])
            self.assertIs(out.state, TransferState.FAILED)

    def test_end_with_another_function_than_was_picked_fails(self) -> None:
        for digest in (SHA, ""):
            self.begin()
            come = self.receiving(BLAKE3)
            come.accept()
            come.start()
            self.disk.answer(There(0, OTHER))
            self.sent()
            come.done(digest)
            self.assertEqual(self.sent(), [Error(400, about="DONE", id=1)])
            self.assertIs(come.state, TransferState.FAILED)

    def test_whole_file_is_confirmed_to_a_sender_that_lost_the_function(self) -> None:
        come = self.receiving(state=TransferState.DONE, digest=OTHER, path="/d/a", hash=BLAKE3)
        come.offered_again(OFFER, (BLAKE3,))
        self.assertEqual(self.sent(), [OfferAck(1, 10, blake3="7" * 64)])
        come.offered_again(OFFER)
        self.assertEqual(self.sent(), [DoneAck(1)])
        out = self.sending()
        out.stored()
        self.assertIs(out.state, TransferState.DONE)


@skipUnless(IS_INSTALLED, "blake3 is not installed")
class TransferTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).resolve()
        self.folder.mkdir(parents=True)
        self.pair = Pair(self.folder)
        (self.folder / "a-file").write_bytes(FILE)

    def begin(self, ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
        self.pair.a.hashes, self.pair.b.hashes = ours, theirs
        self.pair.a.start()
        self.pair.b.start()
        self.pair.connect()

    def restart(self, ours: tuple[str, ...], theirs: tuple[str, ...]) -> None:
        """End both programs in the middle of the file, and go on with others to its end."""
        while "DATA" not in self.pair.kinds():
            self.pair.step()
        self.pair.b.settle()
        self.pair.seen.clear()
        self.begin(ours, theirs)
        self.pair.run()

    def assert_whole(self, function: str) -> None:
        """Assert that the file came, and was proved with `function` each time."""
        (landed,) = (self.pair.b.downloads / name for name in self.pair.b.landed)
        self.assertEqual(landed.read_bytes(), FILE)
        proofs = [
            function_of(digest_of(one))
            for one in self.pair.seen
            if isinstance(one, OfferAck | Done)
        ]
        self.assertEqual(proofs, [function, function])

    def test_common_function_is_used_or_sha_256(self) -> None:
        for ours, theirs, function in (
            ((BLAKE3,), (BLAKE3,), BLAKE3),
            ((BLAKE3,), (), SHA_256),
            ((), (BLAKE3,), SHA_256),
        ):
            self.setUp()
            self.begin(ours, theirs)
            self.pair.a.offer(self.folder / "a-file")
            self.pair.run()
            self.assert_whole(function)
            (offer,) = (one for one in self.pair.seen if isinstance(one, Offer))
            self.assertEqual(offer.hashes, ours)

    def test_part_goes_on_with_the_function_that_it_was_begun_with(self) -> None:
        self.begin((BLAKE3,), ())
        self.pair.a.offer(self.folder / "a-file")
        self.restart((BLAKE3,), (BLAKE3,))
        self.assert_whole(SHA_256)

    def test_part_goes_on_with_sha_256_if_the_function_is_no_longer_there(self) -> None:
        self.begin((BLAKE3,), (BLAKE3,))
        self.pair.a.offer(self.folder / "a-file")
        self.restart((BLAKE3,), ())
        self.assert_whole(SHA_256)
