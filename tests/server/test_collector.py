"""The cycle collector of a server looks at what is new, and never at all that there is."""

from __future__ import annotations

import gc

from twisted.trial.unittest import SynchronousTestCase

from chatproto.server.collector import MIDDLE, YOUNG, BoundedCollector


class CollectorTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.collector = BoundedCollector()
        self.addCleanup(self.collector.stop)

    def test_examines_only_new_objects(self) -> None:
        seen: list[int] = []

        def note(phase: str, info: dict[str, int]) -> None:
            if phase == "start":
                number = info["generation"]
                seen.append(sum(len(gc.get_objects(one)) for one in range(number + 1)))

        self.collector.start()
        gc.callbacks.append(note)
        self.addCleanup(gc.callbacks.remove, note)
        kept = [[number] for number in range(4 * YOUNG * MIDDLE)]
        self.assertEqual(len(kept), 4 * YOUNG * MIDDLE)
        self.assertGreater(len(seen), 3 * MIDDLE)
        self.assertLess(max(seen), 2 * YOUNG * (MIDDLE + 2))

    def test_frees_cycles_that_are_new(self) -> None:
        class Node:
            other: Node | None = None
            freed = 0

            def __del__(self) -> None:
                Node.freed += 1

        self.collector.start()
        for _ in range(2 * YOUNG):
            node = Node()
            node.other = node
        self.assertGreater(Node.freed, YOUNG // 2)

    def test_restores_the_collector(self) -> None:
        before = gc.get_threshold(), len(gc.callbacks)
        self.collector.start()
        self.collector.stop()
        self.collector.stop()
        self.assertEqual((gc.get_threshold(), len(gc.callbacks)), before)
        self.assertEqual(gc.get_freeze_count(), 0)
