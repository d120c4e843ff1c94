"""The response that ends HTTP on a connection: after it, another protocol has the connection.

``Connection.run`` returns it to the server, which opens the protocol. Nothing here knows which
protocol that is.
"""

from __future__ import annotations

from typing import Any, Self

from finch.http.response import Response


class TakeOver(Response):
    """A response after which the connection no longer speaks HTTP, such as the 101 of a WebSocket.

    A handler returns it like any other response. It can answer only the request it was made for.

    Parameters:
        request: the request that it answers.
        status: the status code, such as 101.
    """

    def __init__(self, request: object, status: int) -> None:
        self.request = request
        self._body = b""
        self._begin(status, None, None)

    def fresh(self) -> Self:
        """Itself, not a copy: it answers only one request, so no other request has changed it."""
        return self

    def open(self, transport: Any, host: Any) -> Any:
        """Called after the response is sent: start the new protocol on the connection.

        Parameters:
            transport: reads and writes the connection's bytes.
            host: the server.

        Returns:
            The object that gets the connection's bytes from now on, and whose deadline the server
            watches.
        """
        raise NotImplementedError
