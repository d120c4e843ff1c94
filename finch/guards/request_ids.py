"""RequestID: a name for each request, in the response and in the lines of the log.

A client's own id is not believed by default: it could be that of somebody else, and whoever reads
the log would mix them up.
"""

from __future__ import annotations

import logging
import re
import secrets
from contextvars import ContextVar
from typing import Final

from finch.errors import ConfigurationError
from finch.explain import shown
from finch.guards.around import Next, answered, switch
from finch.headers import NAME
from finch.http.request import Request
from finch.http.response import Response

# what proxies and clouds send: UUIDs, hex, base64, "Root=1-67891233-abc"; nothing that a line of a
# log, JSON or HTML would have to escape
_WELL_FORMED: Final = re.compile(r"[A-Za-z0-9._\-+=/:@]{1,128}")

request_id: Final[ContextVar[str]] = ContextVar("finch request id", default="-")
"""The id of the request that the current task answers; ``"-"`` if there is none."""


class RequestID:
    """Gives each request an id: ``request.state["request_id"]``, a header of the response, and
    :data:`request_id`.

    It should be the first middleware, so that the log lines of all others have the id.

    Parameters:
        header: the name of the header.
        incoming: whether the id of the request's own header is taken, if it is well-formed: 1 to
            128 letters, digits and ``._-+=/:@``. Write True if a proxy sets the header of every
            request: then both logs have the same ids.

    Raises:
        ConfigurationError: if ``header`` is not the name of a header.

    Example::

        app.middleware(RequestID())
    """

    def __init__(self, *, header: str = "x-request-id", incoming: bool = False) -> None:
        if not isinstance(header, str) or not NAME.fullmatch(header):
            raise ConfigurationError(
                f"header is the name of a header, such as 'x-request-id', not {shown(header)}"
            )
        self._header = header.lower()
        self._incoming = switch(incoming, "incoming")

    async def __call__(self, request: Request, call_next: Next) -> Response:
        name = self._given(request) if self._incoming else None
        if name is None:
            name = secrets.token_hex(16)
        request.state["request_id"] = name
        # Not reset: what is logged after this middleware, as about a stream that breaks off, has
        # the id, too. The connection has a new context for each request.
        request_id.set(name)
        response = await answered(request, call_next)
        response.set_header(self._header, name)
        return response

    def _given(self, request: Request) -> str | None:
        lines = request.headers.getlist(self._header)
        return lines[0] if len(lines) == 1 and _WELL_FORMED.fullmatch(lines[0]) else None


class RequestIDFilter(logging.Filter):
    """Gives each record of the log the id of its request, as ``record.request_id``.

    Example::

        handler = logging.StreamHandler()
        handler.addFilter(RequestIDFilter())
        handler.setFormatter(logging.Formatter("%(request_id)s %(message)s"))
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Set ``record.request_id``. Every record goes on."""
        record.request_id = request_id.get()
        return True
