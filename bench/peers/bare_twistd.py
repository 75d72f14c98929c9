"""A server of Twisted with TLS loaded, and nothing else, under `twistd -n --python FILE`: usage `PORT=N`."""

from __future__ import annotations

import os

from OpenSSL import SSL
from twisted.application.internet import StreamServerEndpointService
from twisted.application.service import Application
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory

loaded = TLSMemoryBIOFactory, SSL.Context(SSL.TLS_METHOD)
"""Kept, so that what OpenSSL needs for a context is counted."""
application = Application("bare")
endpoint = TCP4ServerEndpoint(reactor, int(os.environ["PORT"]), interface="127.0.0.1")
StreamServerEndpointService(endpoint, Factory.forProtocol(Protocol)).setServiceParent(application)
