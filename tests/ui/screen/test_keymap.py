"""Test that keys can be chosen, and that a mistake is one sentence."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from chatproto.ui.screen.keymap import USUAL, Keymap, read_keymap

WRONG = ("a", "enter", "ctrl-c", "ctrl-d", "ctrl-m", "alt-1", "f13", "", 5, ["f5"])


class KeymapTests(SynchronousTestCase):
    def test_usual_keys_stand_unless_others_are_chosen(self) -> None:
        keys = read_keymap({"accept": "F5", "editor": "Ctrl-G"})
        self.assertEqual((keys.shown("accept"), keys.pressed("accept")), ("F5", ("f5",)))
        self.assertEqual((keys.shown("editor"), keys.pressed("editor")), ("Ctrl-G", ("c-g",)))
        self.assertEqual(
            (keys.shown("decline"), keys.pressed("decline")), ("Alt-d", ("escape", "d"))
        )
        usual = Keymap()
        self.assertEqual(usual.shown("editor"), "Ctrl-X Ctrl-E")
        self.assertEqual(usual.pressed("editor"), ("c-x", "c-e"))
        self.assertEqual(usual.shown("newline"), "Alt-Enter")
        self.assertEqual(read_keymap({}), usual)

    def test_a_mistake_is_one_sentence(self) -> None:
        wrong: tuple[object, ...] = (
            "a",
            "enter",
            "ctrl-c",
            "ctrl-m",
            "alt-1",
            "f13",
            "",
            5,
            ["f5"],
        )
        for key in wrong:
            with self.assertRaisesRegex(ValueError, "accept takes a key such as"):
                read_keymap({"accept": key})
        mistakes: tuple[tuple[dict[str, object], str], ...] = (
            ({"quit": "f5"}, "no key can be chosen for 'quit'"),
            ({"accept": "f1 f2 f3"}, "accept takes a key"),
            ({"accept": "alt-d"}, "accept and decline begin with the same key, alt-d"),
            ({"accept": "ctrl-x"}, "accept and editor begin with the same key, ctrl-x"),
        )
        for chosen, words in mistakes:
            with self.assertRaises(ValueError) as caught:
                read_keymap(chosen)
            self.assertIn(words, str(caught.exception))

    def test_every_usual_key_can_be_chosen(self) -> None:
        self.assertEqual(read_keymap(USUAL), Keymap())
