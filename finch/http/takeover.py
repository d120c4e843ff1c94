"""Responses that are more than an answer: one is prepared before it is sent, and one ends HTTP on
its connection.

``Connection.run`` returns a :class:`TakeOver` to the server, which opens the protocol. Nothing here
knows which protocol that is.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Self

from finch.http.response import Response


class Prepared(Response):
    """A response that is finished only after the handler has returned it, and before it is sent.

    A handler returns it like any other response, with and without ``await``. It can answer only the
    request it was made for.

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

    async def prepare(self) -> None:
        """Called before the response is sent, perhaps twice. It may wait, and raise an error
        instead."""

    def __await__(self) -> Generator[Any, Any, Self]:
        """Returns itself."""
        yield from ()
        return self


class TakeOver(Prepared):
    """A response after which the connection no longer speaks HTTP, such as the 101 of a WebSocket.

    If its status is not 101, the connection ends with its body.
    """

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
