"""What the tutorial and the how-tos show is what happens."""

from __future__ import annotations

import re
import signal

from tests.e2e.harness import Stage, free_port
from tests.e2e.pages import DOCS, PASSWORD, Page
from tests.redis_process import needed

PORTS = ("5555", "5556", "5557", "12345", "3000")


def page(stage: Stage, name: str) -> Page:
    return Page(stage, name, {number: free_port() for number in PORTS})


def test_the_tutorial(stage: Stage) -> None:
    tutorial = page(stage, "tutorial.md")
    server = tutorial.run("chatserver").rest()
    grace = tutorial.run("nc", requests=True).rest()
    server.go_on(tutorial.block("REGISTER: grace")).rest()
    grace.go_on(tutorial.block("HELLO"), requests=True).rest()
    server.go_on(tutorial.block("127.0.0.1:38028 -> (")).rest()

    plain = tutorial.block("$ chatclient --plain --id heidi")
    heidi = tutorial.open(plain).rest()
    server.go_on(tutorial.block("REGISTER: heidi")).rest()
    netcat = tutorial.run("nc -l", "hello heidi, this is netcat", "go on")
    said = ("hello grace", "nice to meet you", "and one more thing")
    heidi.go_on(tutorial.block("/chat"), *said).until("grace> hello")
    netcat.until("nice")
    heidi.until("grace> go on")
    netcat.until("and one more")
    heidi.rest()
    netcat.rest()
    assert heidi.program.wait() == 0

    netcat_lines = tutorial.block("$ nc")
    heidi = tutorial.open([plain[0], *tutorial.block("heidi running")], "so I see").until("Inc")
    netcat = tutorial.open(netcat_lines, *set(netcat_lines) - {"so I see"}).until("so I see")
    heidi.until("* grace left")
    netcat.rest()
    assert heidi.rest().program.wait() == 0

    netcat_lines = tutorial.block("$ nc")
    heidi_lines = [*plain[:2], *tutorial.block("Incoming")]
    heidi = tutorial.open(heidi_lines, "words will do").until("Incoming")
    netcat = tutorial.open(netcat_lines, "no opener, just words", "over").until("words will do")
    heidi.until("* 127.0.0.1:38534 left")
    netcat.rest()
    heidi.rest().program.send_line("/quit")
    assert heidi.program.wait() == 0

    server.go_on(tutorial.block("/info")).rest()
    tutorial.run("nc", requests=True).rest()
    server.go_on(tutorial.block("127.0.0.1:50688 -> UNREG")).rest()

    one = tutorial.run("nc", "anybody here?").until("* guest-2 joined")
    other = tutorial.run("nc", "I am", "quit").until("guest-1: anybody")
    one.until("heidi: I am")
    other.rest()
    one.rest().program.signal(signal.SIGINT)

    lobby = tutorial.block("#lobby <-")
    heidi_start = tutorial.block("$ chatclient --id heidi")
    ivan_start = tutorial.block("$ chatclient --id ivan")
    server.go_on(lobby).rest()
    heidi = tutorial.open(heidi_start, "hello ivan").until("Incoming")
    ivan = tutorial.open(ivan_start, "hello heidi").until("* talking")
    heidi.until("ivan> hello")
    ivan.until("heidi> hello")
    heidi.until("* ivan left")
    for client in (ivan.rest(), heidi.rest()):
        client.program.send_line("/quit")
        assert client.program.wait() == 0
    server.go_on(tutorial.block("127.0.0.1:")).rest()

    heidi_lines = [*heidi_start[:3], *tutorial.block("/join tea")]
    heidi = tutorial.open(heidi_lines, "cream first").until("* #tea ivan joined")
    ivan_lines = [*ivan_start[:3], *tutorial.block("/join tea")]
    ivan = tutorial.open(ivan_lines, "jam", "jam first", "nearly").until("#tea heidi> cream")
    heidi.until("/mute")
    ivan.until("* #tea heidi muted")
    heidi.rest()
    ivan.until("* #lobby guest-3 joined")
    server.find(tutorial.block("127.0.0.1:43156 -> SAY"))
    netcat = tutorial.run("nc", "is this where the tea is?").until("ivan: nearly")
    ivan.rest()
    netcat.rest()
    server.program.send_line("/quit")
    assert server.program.wait() == 0
    assert list(tutorial.left.values()) == ["PATH=$PWD/.venv/bin:$PATH"]


def test_a_friend_on_another_machine(stage: Stage) -> None:
    friend = page(stage, "how-to-friend.md")
    server = friend.run("chatserver").rest()
    friend.key = server.key()
    dora = friend.open(["$ chatclient --id dora"])
    dora.program.expect(re.compile("registered"))
    emil = friend.run("chatclient").rest()
    emil.program.send_line("/chat dora")
    dora.program.expect(re.compile(r"/accept"))
    dora.program.send_line("/accept")
    talking = friend.block("* talking")
    dora.find(talking)
    emil.find([line.replace("emil", "dora") for line in talking])
    (friend.folder / "notes.txt").write_text("half past eight")
    emil.program.send_line("/send notes.txt")
    dora.program.expect(re.compile(r"/accept"))
    dora.program.send_line("/accept")
    dora.program.expect(re.compile("notes.txt.*received|received.*notes.txt"))
    assert not friend.left


def test_a_class(stage: Stage) -> None:
    lesson = page(stage, "how-to-class.md")
    server = lesson.run("chatserver").rest()
    gil = lesson.run("nc", "hello class").rest()
    fay = lesson.run("chatclient").rest()
    lesson.run("nc", requests=True).rest()
    server.program.send_line("/say welcome")
    gil.program.expect("server> welcome")
    assert fay.program.running
    assert not lesson.left


def test_a_club(stage: Stage) -> None:
    club = page(stage, "how-to-club.md")
    add = club.block("$ chatserver passwd add")
    club.open([add[0], PASSWORD, *add[1:]], PASSWORD).rest().program.wait()
    assert club.run("chatserver passwd list").rest().program.wait() == 0
    server = club.run("chatserver --port")
    server.program.expect(re.compile("for clients"))
    club.key = server.key()
    member = club.block("$ chatclient")
    member[0] = member[0].replace("HOST:PORT", f"127.0.0.1:{club.server}")
    nora = club.open(member)
    nora.program.expect(re.compile("^. registered with"))
    club.left = {key: shown for key, shown in club.left.items() if "nora --user" not in shown}
    assert club.run("chatserver backup").rest().program.wait() == 0
    assert not club.left


def test_a_bot(stage: Stage) -> None:
    bots = page(stage, "how-to-bots.md")
    (bots.folder / "echo_bot.py").write_text("\n".join(bots.block("import json")))
    server = bots.run("chatserver")
    server.program.expect(re.compile("for clients"))
    bots.run("python")
    server.program.expect(re.compile("^REGISTER: echo"))
    otto = bots.run("chatclient", "ping")
    otto.rest()
    assert not bots.left


def test_several_servers_on_redis(stage: Stage) -> None:
    needed()
    ports = (*PORTS, "6379")
    redis = Page(stage, "how-to-redis.md", {number: free_port() for number in ports})
    store = redis.run("redis-server")
    store.program.expect(re.compile("Ready to accept connections"))
    one = redis.run("chatserver").rest()
    assert redis.run("mkdir").program.wait() == 0
    assert redis.run("cp").program.wait() == 0
    redis.run("chatserver").rest()
    otto = redis.run("chatclient").rest()
    redis.run("chatclient", "hello from the second server").rest()
    otto.find(redis.block("* #tea pia joined"))
    one.program.signal(signal.SIGINT)
    otto.find(redis.block("* server"))
    assert not redis.left


def test_an_irc_client_and_an_operator(stage: Stage) -> None:
    home, port = stage.place("home"), free_port()
    server = stage.start("chatserver", "--port", f"tcp:{port}:interface=127.0.0.1", home=home)
    server.expect(re.compile("for clients"))
    numbers = {"5555": port, "6667": free_port()}
    irc = Page(stage, "irc.md", numbers, {"chat.example": "127.0.0.1"})
    irc.run("chatclient").rest()
    assert not irc.left
    dee = stage.open_client("dee", f"127.0.0.1:{port}")
    dee.send_line("/join tea")
    dee.event("room", change="joined", own=True)
    trouble = Page(stage, "when-things-go-wrong.md", numbers, {"HOME": str(home)})
    assert trouble.run("chatserver backup").rest().program.wait() == 0
    assert trouble.run("chatserver ctl").rest().program.wait() == 0
    assert not trouble.left


def test_every_how_to_is_run() -> None:
    """The page about routers has its test in tests/nat."""
    tested = {"tutorial", "how-to-friend", "how-to-class", "how-to-club", "how-to-bots"}
    others = {path.stem for path in DOCS.glob("how-to-*.md")} - tested
    assert others == {"how-to-nat", "how-to-redis"}
