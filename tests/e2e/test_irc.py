"""Real IRC clients as the interface: weechat and irssi, and hostile bytes of a client of our own."""

from __future__ import annotations

import re
import shutil
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import LIMIT, Program, Stage, free_port
from tests.e2e.pages import DOCS, blocks, masked
from tests.e2e.screens import ScreenProgram
from tests.e2e.scripts import Person
from tests.long import LONG, some

SECRET = "the-text-of-a-query"

pytestmark = pytest.mark.skipif(
    shutil.which("weechat") is None or shutil.which("irssi") is None,
    reason="weechat and irssi are not installed",
)


class RawIrc:
    """IRC client that writes what a test wants, and keeps every line that it reads."""

    def __init__(self, port: int, password: str, *caps: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), LIMIT)
        self._data = b""
        self.lines: list[str] = []
        for line in (
            *([f"CAP REQ :{' '.join(caps)}", "CAP END"] if caps else []),
            f"PASS {password}",
            "NICK raw",
            "USER raw 0 * :Raw",
        ):
            self.say(line)

    def say(self, line: str) -> None:
        self.send(f"{line}\r\n".encode())

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def expect(self, pattern: str) -> str:
        """Read until one of all lines fits; return it."""
        seen = 0
        while True:
            for at in range(seen, len(self.lines)):
                if re.search(pattern, self.lines[at]):
                    return self.lines[at]
            seen = len(self.lines)
            try:
                data = self._socket.recv(65536)
            except TimeoutError:
                data = b""
            assert data, f"{pattern} did not come: {self.lines[-20:]}"
            *whole, self._data = (self._data + data).split(b"\r\n")
            self.lines += [line.decode() for line in whole]

    def rest(self) -> str:
        """Read to the end of the connection."""
        while data := self._socket.recv(65536):
            self._data += data
        return self._data.decode()

    def end(self) -> None:
        self._socket.close()


def weechat(folder: Path, *commands: str) -> ScreenProgram:
    """Start weechat with only what is said on its screen, and have it carry out `commands`."""
    settings = (
        "/set weechat.look.paste_max_lines -1",
        "/set buflist.look.enabled off",
        "/set weechat.startup.display_logo off",
    )
    words = [word for command in (*settings, *commands) for word in ("-r", command)]
    return ScreenProgram(folder, ["weechat", "-d", str(folder / "w"), *words], 100, 30)


class Face:
    """Alice's client with --ui none, and the port for IRC clients."""

    def __init__(self, stage: Stage, server: int, home: Path, port: int) -> None:
        self.home = home
        self.server = server
        self.program: Program = stage.start(
            "chatclient",
            *("--id", "alice", "--server", f"127.0.0.1:{server}", "--ui", "none"),
            *("--port", "tcp:0:interface=127.0.0.1", "--irc", str(port)),
            *("--downloads", str(home / "downloads")),
            home=home,
        )
        self.port = port
        self.program.expect(re.compile(r"^\* registered with "))
        self.password = (home / "irc_password").read_text().strip()

    def weechat(self, folder: Path) -> ScreenProgram:
        return weechat(
            folder,
            f"/server add chat 127.0.0.1/{self.port} -notls -password={self.password}",
            "/set irc.server.chat.anti_flood_prio_high 0",
            "/set irc.server.chat.autoreconnect_delay 1",
            "/connect chat",
        )

    def irssi(self, folder: Path) -> ScreenProgram:
        (folder / "config").write_text(
            'servers = ( { address = "127.0.0.1"; chatnet = "chat"; '
            f'port = "{self.port}"; password = "{self.password}"; autoconnect = "yes"; }} );\n'
            'chatnets = { chat = { type = "IRC"; }; };\n'
            'settings = { core = { real_name = "x"; user_name = "x"; nick = "x"; };\n'
            '  "fe-common/core" = { term_charset = "UTF-8"; }; };\n'
        )
        command = ["irssi", f"--home={folder}", f"--config={folder / 'config'}"]
        return ScreenProgram(folder, command, 100, 30)


@pytest.fixture
def screens() -> Iterator[list[ScreenProgram]]:
    """Programs on terminals, which end with the test."""
    started: list[ScreenProgram] = []
    yield started
    for one in started:
        one.signal(signal.SIGKILL)
        one.wait()
        one.end()


@LONG
def test_the_page_shows_what_weechat_shows(stage: Stage, screens: list[ScreenProgram]) -> None:
    home, server_port, irc_port = stage.place("alice"), free_port(), free_port()
    address = ("--port", f"tcp:{server_port}:interface=127.0.0.1")
    server = stage.start("chatserver", *address, home=stage.place("server"))
    server.expect(re.compile("^Server listening on"))
    bob = stage.open_client("bob", f"127.0.0.1:{server_port}", "--answer", "all")
    face = Face(stage, server_port, home, irc_port)
    bob.event("registered")
    bob.send_line("/join #tea")
    bob.event("room", change="joined", own=True)
    screen = weechat(stage.place("weechat"), "/set irc.server_default.nicks zed")
    screens.append(screen)

    def shown(wanted: str) -> bool:
        pattern = re.compile(rf"\d\d:\d\d:\d\d (?:chat )?{masked(wanted).pattern}")
        return any(pattern.match(" ".join(row.split())) for row in screen.text.split("\n"))

    page = (DOCS / "irc.md").read_text()
    [block] = [one for one in blocks(page) if one[0].startswith("/server add chat")]
    for line in filter(None, block):
        if line.startswith("/"):
            port = line.replace("/6667", f"/{irc_port}")
            screen.enter(re.sub("-password=.*", f"-password={face.password}", port))
            continue
        said = " ".join(line.split()[1:]).removeprefix("chat ")
        speaker, _, text = said.partition(" | ")
        if speaker == "alice":
            screen.enter(text)
        elif speaker == "~bob":
            bob.send_line(text)
        elif speaker == "bob":
            bob.send_line(f"/msg @alice {text}")
        screen.wait_for(lambda wanted=said: shown(wanted), said)  # type: ignore[misc]  # the default binds it


@pytest.mark.parametrize("many", some(1, [500, 5000]))
def test_weechat_and_irssi_show_one_client(
    stage: Stage, screens: list[ScreenProgram], many: int
) -> None:
    server_home, server_port, irc_port = stage.place("server"), free_port(), free_port()
    address = ("--port", f"tcp:{server_port}:interface=127.0.0.1")
    server = stage.start("chatserver", *address, "--trace", home=server_home)
    server.expect(re.compile("^Server listening on"))
    bob = stage.open_client("bob", f"127.0.0.1:{server_port}", "--answer", "all")
    home = stage.place("alice")
    face = Face(stage, server_port, home, irc_port)
    bob.event("registered")
    bob.send_line("/join #tea")
    bob.event("room", change="joined", own=True)

    wrong = RawIrc(irc_port, "wrong")
    assert " 464 " in wrong.rest()
    wrong.end()
    weechat = face.weechat(stage.place("weechat"))
    screens.append(weechat)
    irssi = face.irssi(stage.place("irssi"))
    screens.append(irssi)
    weechat.expect("End of the message of the day")
    irssi.expect("End of the message of the day")

    # A room: both see it when one joins, and what one says.
    weechat.enter("/join #tea")
    bob.event("room", change="joined", id="alice")
    weechat.expect("alice (alice@chat) has joined #tea")
    irssi.expect("Act: 2")  # its window of the room is there
    irssi.enter("/window goto #tea")
    irssi.expect("#tea")
    weechat.enter("hello from weechat")
    bob.event("message", room="#tea", text="hello from weechat")
    irssi.expect("hello from weechat")
    irssi.enter("hello from irssi é")
    bob.event("message", room="#tea", text="hello from irssi é")
    weechat.expect("hello from irssi é")
    bob.send_line('"hostile \\u001b[31m \\u0001VERSION\\u0001 \\u202e end"')
    weechat.expect("hostile ␛[31m ␁VERSION␁")
    irssi.expect("hostile ␛[31m ␁VERSION␁")

    # A query, encrypted from end to end: the server has nothing of it.
    weechat.enter("/query bob")
    weechat.enter(SECRET)
    bob.event("message", from_="alice", text=SECRET)
    weechat.expect("talking with bob")
    bob.send_line(f"/msg @alice re: {SECRET}")
    weechat.expect(f"re: {SECRET}")
    irssi.expect("bob")
    irssi.enter("/query bob")
    irssi.expect(f"re: {SECRET}")
    for path in server_home.rglob("*"):
        if path.is_file():
            assert SECRET.encode() not in path.read_bytes(), path
    assert SECRET not in "\n".join(server.output.lines)

    # A file and a command by *chat.
    sent = stage.place("files") / "notes.txt"
    sent.write_text("some notes")
    bob.send_line(f"/switch alice\n/send {sent}")
    weechat.expect("notes.txt")
    weechat.enter("/query *chat")
    weechat.enter("accept")
    bob.event("file", state="done")
    assert (home / "downloads" / "notes.txt").read_text() == "some notes"
    weechat.enter("status")
    weechat.expect(f"server 127.0.0.1:{server_port}, registered")

    # Bytes that are no text, and many lines at once.
    raw = RawIrc(irc_port, face.password)
    raw.send("PRIVMSG bob :caf\xe9\r\n".encode("latin-1"))
    raw.expect("FAIL . INVALID_UTF8")
    bob.forget()
    raw.send(b"".join(b"PRIVMSG bob :line %d\r\n" % number for number in range(many)))
    raw.say("PING after")
    raw.expect("PONG chat after")
    bob.wait_for(lambda: len(bob.heard()) >= many, "all lines", 3 * LIMIT)
    assert bob.heard() == [f"line {number}" for number in range(many)]
    raw.end()

    # The server is lost and comes again: the room goes on.
    server.end()
    weechat.enter("/buffer #tea")
    server = stage.start("chatserver", *address, home=server_home)
    bob.event("room", change="joined", own=True, again=True)
    face.program.wait_for(
        lambda: len(re.findall("registered with", "\n".join(face.program.lines))) > 1, "registered"
    )
    bob.send_line("/msg @#tea after the restart")
    weechat.expect("after the restart")
    bob.send_line("/msg @alice good night")
    irssi.expect("good night")

    # The client starts again: what was said is shown from its log.
    face.program.end()
    again = Face(stage, server_port, home, irc_port)
    late = RawIrc(irc_port, again.password, "server-time", "batch")
    late.expect("^@.*time=20.* :bob!bob@chat PRIVMSG #tea :after the restart$")
    late.expect("^@.*time=20.* PRIVMSG alice :good night$")
    late.end()
    weechat.expect("alice (alice@chat) has joined #tea")


def test_nickname_belongs_to_one_key_despite_impostors(
    stage: Stage, screens: list[ScreenProgram]
) -> None:
    """Bob at two servers, a third who says that they are bob, and a pin that changes."""
    (_, here), (_, there) = stage.server(), stage.server()
    home = stage.place("alice")
    bob = stage.open_client("bob", f"127.0.0.1:{here}", "--answer", "all")
    other = stage.open_client("bob", f"127.0.0.1:{there}", "--answer", "all")
    third = stage.open_client("bob")
    for one in (bob, other):
        one.event("registered")
    assert Person(stage, "alice", there, home).do("send", "bob", "first")[0] == 0
    face = Face(stage, here, home, free_port())
    weechat = face.weechat(stage.place("weechat"))
    screens.append(weechat)
    weechat.expect("End of the message of the day")

    # The bob of before is bob, and gets nothing here; the bob of this server is another nickname.
    weechat.enter("/query bob")
    weechat.enter("for the other bob")
    weechat.expect("is queued for bob")
    weechat.enter("/query *chat")
    bob.send_line("/chat alice")
    weechat.expect("accept bob_2, or")
    weechat.enter("accept bob_2")
    bob.event("session", id="alice", state="open")
    weechat.enter("/query bob_2")
    weechat.enter("for you")
    bob.event("message", text="for you")
    address = re.compile(r"^alice running on (\S+)$")
    where = next(found[1] for line in face.program.lines if (found := address.match(line)))
    other.send_line(f"/chat {where}")
    other.event("message", text="for the other bob")
    assert bob.heard() == ["for you"]

    # Another one who says that they are bob is a third nickname.
    weechat.enter("/query *chat")
    third.send_line(f"/chat {where}")
    weechat.expect("accept bob_unconfirmed, or")
    weechat.enter("accept bob_unconfirmed")
    third.event("session", state="open")
    third.send_line("it is me")
    weechat.enter("/query bob_unconfirmed")
    weechat.expect("it is me")
    weechat.enter("who are you?")
    third.event("message", text="who are you?")
    weechat.enter("/query bob")
    weechat.enter("again for the other bob")
    other.event("message", text="again for the other bob")
    assert (bob.heard(), third.heard()) == (["for you"], ["who are you?"])

    # The pin changes under the open query, which reaches nobody from then on.
    other.end()
    stage.programs.remove(other)
    weechat.expect("bob left")
    weechat.enter("/query *chat")
    weechat.enter(f"trust bob@127.0.0.1:{there} {third.events()[0]['key']}")
    weechat.expect("is now pinned to")
    weechat.enter("/query bob")
    weechat.enter("a secret")
    weechat.settle()
    late = RawIrc(face.port, face.password)
    late.say("PRIVMSG bob :a secret")
    late.expect("^:chat 401 alice bob :nobody you know has the key of bob any more$")
    late.expect(r"^:alice!alice@chat PRIVMSG bob :\[.*\] again for the other bob$")
    third.send_line("still me")
    late.expect("^:bob_3!bob@chat PRIVMSG alice :still me$")  # confirmed by the person now
    assert (bob.heard(), third.heard()) == (["for you"], ["who are you?"])
    late.end()
