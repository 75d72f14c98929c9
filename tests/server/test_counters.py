from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.counters import BOUNDS, Counters, Spent
from chatproto.wire.classic import ClassicBridge, ClassicError, ClassicRegAck, ClassicRegister
from chatproto.wire.errors import RemoteError


class TallyTests(SynchronousTestCase):
    def test_requests_by_method_and_errors_by_status(self) -> None:
        counters = Counters()
        register = ClassicRegister("alice", "127.0.0.1", 3000)
        counters.answered("classic", register, ClassicRegAck("alice", "127.0.0.1", 3000))
        counters.answered("classic", ClassicBridge("alice"), ClassicError(404))
        counters.answered("classic", RemoteError(400, "what is that"), ClassicError(400))
        counters.count_request("bcp2", register)
        asked = {
            ("classic", "REGISTER"): 1,
            ("classic", "BRIDGE"): 1,
            ("classic", "-"): 1,
            ("bcp2", "REGISTER"): 1,
        }
        self.assertEqual(counters.requests, asked)
        self.assertEqual(counters.errors, {("classic", 404): 1, ("classic", 400): 1})

    @given(st.lists(st.floats(0, 100)))
    def test_each_call_is_within_one_bound_and_above_the_one_before(
        self, times: list[float]
    ) -> None:
        spent = Spent()
        for seconds in times:
            spent.add(seconds, failed=seconds > 50)
        for place, bound in enumerate(BOUNDS):
            within = sum(seconds <= bound for seconds in times)
            self.assertEqual(sum(spent.counts[: place + 1]), within)
        self.assertEqual(sum(spent.counts), len(times))
        self.assertEqual(spent.failed, sum(seconds > 50 for seconds in times))
        self.assertAlmostEqual(spent.seconds, sum(times))
