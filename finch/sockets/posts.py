"""The HTTP side of sockets without WebSockets: the stream, its POSTs, and pages of other origins.

A page of another origin needs the server's leave to read an answer (CORS), which the origins of
``allowed_origins`` get. A POST needs the stream's secret in a header. So a page of a foreign origin
can neither read a stream nor speak on one, and its browser asks before it sends the header.

Source: the Fetch standard, section 3.2 (CORS); Fetch Metadata, section 2.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from finch.errors import HTTPError
from finch.http.request import Request
from finch.http.takeover import Prepared
from finch.net.transport import Transport
from finch.sockets.eventlink import FULL, GONE, MISNUMBERED, TAKEN, EventLink
from finch.sockets.inbox import Inbox
from finch.sockets.options import SocketOptions
from finch.sockets.outlet import Host, Outlet
from finch.sockets.upgrade import Upgrade, refuse
from finch.wire.eventstream import CONTENT_TYPE, HEADERS
from finch.wire.posted import HEADER, Belongs, read_belongs

Taker = Callable[[Belongs, str], Awaitable[int]]
"""Takes the messages of a POST, and returns the status of its answer."""

_WHY: Final = {
    MISNUMBERED: "the number of this POST is not the next one",
    GONE: "there is no such stream; connect again",
    FULL: "messages wait that are not handled yet; send this POST again",
}
_PREFLIGHT_LASTS: Final = "600"  # seconds: Chromium keeps it for two hours at most


class EventUpgrade(Upgrade):
    """The response that begins a stream of events.

    Parameters:
        request: the request that it answers.
        most: bytes of one POST.
        attach: takes the outlet, and returns its owner.
    """

    def __init__(
        self, request: Request, most: int, attach: Callable[[Outlet, str | None], Inbox]
    ) -> None:
        super().__init__(request, 200)
        self._most = most
        self._attach = attach
        for name, value in (("content-type", CONTENT_TYPE), *HEADERS):
            self.set_header(name, value)

    def open(self, transport: Transport, host: Host) -> EventLink:
        """The head is sent: the connection has nothing but events from now on."""
        link = EventLink(transport, host)
        owner = self._attach(link, None)
        link.begin(owner, owner.id, self._most)
        return link


def accept_stream(
    request: Request, options: SocketOptions, attach: Callable[[Outlet, str | None], Inbox]
) -> EventUpgrade:
    """Accept a request for a stream of events.

    Parameters: as :func:`finch.sockets.upgrade.accept`.

    Raises:
        HTTPError: 403 if its origin is not allowed, 400 if it has a body.
    """
    headers = _shared(request, options)
    if "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0":
        raise HTTPError(400, "a request for a stream has no body")
    upgrade = EventUpgrade(request, options.max_message_size, attach)
    for name, value in headers.items():
        upgrade.set_header(name, value)
    return upgrade


class Posted(Prepared):
    """The answer to a POST with messages of a stream's client.

    Parameters:
        request: the POST.
        options: those of the manager.
        take: takes the messages.

    Raises:
        HTTPError: 403 if its origin is not allowed, 400 if its header is malformed.
    """

    def __init__(self, request: Request, options: SocketOptions, take: Taker) -> None:
        super().__init__(request, TAKEN)
        self._posted = request
        self._most = options.max_message_size
        self._take: Taker | None = take
        self._shared = _shared(request, options)
        belongs = read_belongs(request.headers.get(HEADER, ""))
        if belongs is None:
            raise HTTPError(400, f"the header {HEADER} is malformed", self._shared)
        self._belongs = belongs
        for name, value in self._shared.items():
            self.set_header(name, value)

    async def prepare(self) -> None:
        if self._take is None:
            return
        take, self._take = self._take, None
        status = await take(self._belongs, await self._lines())
        if status != TAKEN:
            why = _WHY.get(status, "it is not known whether the messages were taken")
            headers = {"retry-after": "1", **self._shared} if status == FULL else self._shared
            raise HTTPError(status, why, headers)

    async def _lines(self) -> str:
        pieces, left = [], self._most
        async for piece in self._posted.stream():
            left -= len(piece)
            if left < 0:
                raise HTTPError(413, f"a POST has at most {self._most} bytes", self._shared)
            pieces.append(piece)
        try:
            return b"".join(pieces).decode()
        except UnicodeDecodeError:
            raise HTTPError(400, "the messages are not UTF-8", self._shared) from None


def preflight(request: Request, options: SocketOptions) -> dict[str, str]:
    """The headers that tell the browser of a page of another origin what it may send.

    Raises:
        HTTPError: 403 if the origin is not allowed.
    """
    if "access-control-request-method" not in request.headers:
        return {}
    shared = _shared(request, options)
    if "access-control-allow-origin" in shared:
        shared["access-control-allow-methods"] = "GET, POST"
        shared["access-control-allow-headers"] = HEADER
        shared["access-control-max-age"] = _PREFLIGHT_LASTS
    return shared


def _shared(request: Request, options: SocketOptions) -> dict[str, str]:
    """The headers that let the page read the answer.

    Raises:
        HTTPError: 403 if the page is not allowed to connect.
    """
    origins = request.headers.getlist("origin")
    if not origins:
        # Browsers send no Origin if a page asks for something that it cannot read, such as an
        # image. But then they say where the page is from, if they are not very old.
        site = request.headers.get("sec-fetch-site", "none")
        if site not in ("none", "same-origin"):
            raise HTTPError(403, "pages of other sites may not connect here without CORS")
        return {"vary": "origin"}
    origin = ",".join(origins)
    if not options.allows(origin, request.scheme, request.host):
        raise refuse(request, origin, options.seldom)
    return {
        "vary": "origin",
        "access-control-allow-origin": origin,
        # WebSockets send cookies as well, and to the same origins
        "access-control-allow-credentials": "true",
    }
