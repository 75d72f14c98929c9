"""Chat from a program: docs/api.md.

`chatproto.api.asyncio.attach` uses a client that runs already. The package imports no Twisted.
"""
