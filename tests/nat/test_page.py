"""The how-to about routers shows what happens behind two of them."""

from __future__ import annotations

import re

from tests.e2e.harness import Stage
from tests.e2e.pages import Page
from tests.nat.rig import SERVER, WIRE, Kind, Rig
from tests.nat.test_paths import within


def test_behind_a_router(rig: Rig, stage: Stage) -> None:
    at_dora, at_emil = rig.home(Kind.KEEPS), rig.home(Kind.KEEPS)
    at_fred = rig.home(Kind.RANDOM, forwards={8443: 5556})
    hosts = {
        "203.0.113.1": SERVER,
        "203.0.113.11": f"{WIRE}.11",
        "203.0.113.12": f"{WIRE}.12",
        "203.0.113.13": f"{WIRE}.13",
        "192.168.1.2": at_dora.hosts[0],
        "192.168.0.2": at_emil.hosts[0],
    }
    page = Page(stage, "how-to-nat.md", {"5555": 5555}, hosts)
    server = page.run("chatserver", before=within(rig.server)).rest()
    page.key = server.key()
    dora = page.run("chatclient --id dora", before=within(at_dora.name)).rest()

    emil = page.run("chatclient --id emil", before=within(at_emil.name)).until("* calling")
    dora.program.expect(re.compile(r"/accept"))
    dora.program.send_line("/accept")
    emil.rest()
    for _ in range(2):  # the conversation, the client
        emil.program.send_line("/quit")
    assert emil.program.wait() == 0
    assert page.run("chatclient doctor", before=within(at_emil.name)).rest().program.wait() == 0

    emil = page.run("chatclient --id emil --path relay", before=within(at_emil.name)).rest()
    for _ in range(2):
        emil.program.send_line("/quit")
    assert emil.program.wait() == 0

    fred = page.run("chatclient --id fred", before=within(at_fred.name)).rest()
    call, calling, talking, path, reached = page.block("/chat fred")
    dora.program.send_line(call)
    fred.program.expect(re.compile(r"/accept"))
    fred.program.send_line("/accept")
    dora.find([calling, talking])
    dora.program.send_line(path)
    dora.find([reached])
    assert not page.left
