"""Who is silent for longest, and which free client was heard of last, against a sort of all."""

from __future__ import annotations

from operator import attrgetter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from chatproto.stores import memory
from chatproto.stores.memory import FreeClients, LeaseEntry, SilentClients

names = st.sampled_from("abcdefghijkl")
steps = st.lists(
    st.tuples(st.sampled_from(["hear", "free", "pair", "go", "wait", "ask"]), names), max_size=80
)
heard = attrgetter("heard")


class OrderTests(SynchronousTestCase):
    def small(self, looked: int, examined: int, sample: int) -> None:
        """Have so few entries known that a few questions need another look."""
        for name, value in (("LOOKED", looked), ("EXAMINED", examined), ("SAMPLE", sample)):
            self.patch(memory, name, value)

    @settings(deadline=None, max_examples=300)
    @given(st.lists(names, unique=True), steps)
    def test_search_finds_the_same_as_a_sort(
        self, read: list[str], asked: list[tuple[str, str]]
    ) -> None:
        self.small(looked=3, examined=2, sample=1000)
        entries = {
            name: LeaseEntry(float(at // 2), None, None, at % 3 > 0) for at, name in enumerate(read)
        }
        silent, free, now = SilentClients(entries), FreeClients(entries), 10.0
        for what, name in asked:
            entry = entries.get(name)
            if what == "wait":
                now += 1
            elif what == "ask":
                self.check_silent(silent, now)
                self.check_free(free, entries, entry)
            elif what in ("hear", "free"):
                if entry is None:
                    entry = entries[name] = LeaseEntry(now, None, None)
                entry.heard = now
                if what == "free":
                    free.set_free(entry, True)
                if entry.free:
                    free.hear(entry)
            elif entry is not None:
                free.set_free(entry, False)
                if what == "go":
                    del entries[name]

    def check_silent(self, silent: SilentClients, now: float) -> None:
        order = sorted(silent.entries.values(), key=heard)
        for before in (now - 2, now, now + 1):
            expected = [one.heard for one in order if one.heard < before]
            found = [*silent.silent(before)]
            times = [silent.entries[name].heard for name in found]
            self.assertEqual(times, expected[: len(times)])
            self.assertGreaterEqual(len(times), min(2, len(expected)))
            self.assertEqual(len({*found}), len(found))

    def check_free(
        self, free: FreeClients, entries: dict[str, LeaseEntry], asker: LeaseEntry | None
    ) -> None:
        others = [one for one in entries.values() if one.free and one is not asker]
        found = free.last(asker)
        if found is None:
            self.assertEqual(others, [])
        else:
            self.assertIn(found, others)
            self.assertEqual(found.heard, max(map(heard, others)))

    @given(st.randoms(use_true_random=False))
    def test_sample_limits_the_examined_entries(self, chance: Random) -> None:
        self.small(looked=50, examined=10, sample=40)
        entries = {
            f"c{number}": LeaseEntry(chance.random(), None, None, True) for number in range(300)
        }
        order = sorted(entries, key=lambda name: entries[name].heard)
        self.check_longest(SilentClients(entries), order[:100])
        for name in order[:100]:
            entries[name].free = False
        self.check_last(FreeClients(entries), entries, order[100:])
        free = FreeClients(entries)
        for number, name in enumerate(order, 2):
            entries[name].heard = float(number)
            free.set_free(entries[name], True)
            free.hear(entries[name])
        self.check_last(free, entries, order)

    def check_longest(self, silent: SilentClients, order: list[str]) -> None:
        for name in order:
            self.assertEqual(next(silent.silent()), name)
            silent.entries[name].heard += 1.0

    def check_last(
        self, free: FreeClients, entries: dict[str, LeaseEntry], order: list[str]
    ) -> None:
        for name in reversed(order):
            self.assertIs(free.last(None), entries[name])
            free.set_free(entries[name], False)
        self.assertIsNone(free.last(None))

    def test_one_look_answers_many_questions(self) -> None:
        entries = {f"c{number}": LeaseEntry(float(number), None, None) for number in range(1000)}
        silent, looks = SilentClients(entries), 0
        look = SilentClients._look

        def counted(clients: SilentClients) -> None:
            nonlocal looks
            looks += 1
            look(clients)

        self.patch(SilentClients, "_look", counted)
        for number in range(900):
            self.assertEqual(next(silent.silent()), f"c{number}")
            self.assertEqual([*silent.silent(float(number))], [])
            if number % 2:
                entries[f"c{number}"].heard = 2000.0
            else:
                del entries[f"c{number}"]
        self.assertEqual(looks, 1)
