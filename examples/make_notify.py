"""Run make, and tell a room or a peer how it ended: python make_notify.py HOME TO [ARGUMENT...].

A client must be running in HOME. The exit code is that of make.
"""

import asyncio
import sys
import time

from chatproto.api.asyncio import attach
from chatproto.api.errors import Refused


async def main(home: str, to: str, *arguments: str) -> int:
    began = time.monotonic()
    make = await asyncio.create_subprocess_exec("make", *arguments)
    code = await make.wait()
    how = f"failed with exit code {code}" if code else "passed"
    text = f"{' '.join(['make', *arguments])} {how} after {time.monotonic() - began:.0f} s"
    try:
        async with await attach(home=home) as me:
            if to.startswith("#"):
                await me.join(to)
            await me.send(to, text)
    except Refused as error:
        print(f"{to} was not told: {error}", file=sys.stderr)
    return code


if len(sys.argv) < 3:
    sys.exit(__doc__)
sys.exit(asyncio.run(main(*sys.argv[1:])))
