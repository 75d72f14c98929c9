"""One connection of a Unix socket on which scripts write commands, a line each."""

from __future__ import annotations

from twisted.internet.interfaces import IHalfCloseableProtocol
from zope.interface import implementer

from chatproto.net.bounded_output import BoundedOutput
from chatproto.net.receivers import TextConnection


@implementer(IHalfCloseableProtocol)
class ScriptConnection(TextConnection):
    """Base class: a subclass has `lineReceived`, `refuse`, and the handlers of start and end.

    Args: line: largest size of a command in bytes. output: queue for the lines sent to the connection.
    """

    def __init__(self, line: int, output: BoundedOutput) -> None:
        self.MAX_LENGTH = line
        self._output = output

    def tell(self, line: bytes) -> None:
        """Write `line`, or queue it until there is room."""
        self._output.write(line)

    def refuse(self, why: str) -> None:
        """Answer a line that is too long for a command."""
        raise NotImplementedError

    def drop(self) -> None:
        """Abort the connection."""
        self.transport.abortConnection()

    def finish(self) -> None:
        """Close the connection when all is written."""
        self._output.finish()

    # Called by Twisted.

    def connectionMade(self) -> None:
        self._output.start(self.transport)

    def lineLengthExceeded(self, line: bytes) -> None:
        self.refuse(f"a line has at most {self.MAX_LENGTH} bytes")
        self.finish()
        self.setRawMode()

    def rawDataReceived(self, data: bytes) -> None:
        """Ignore input after a line that was too long."""

    def readConnectionLost(self) -> None:
        self.finish()  # a script that has ended its input may still read the answer

    def writeConnectionLost(self) -> None:
        self.drop()
