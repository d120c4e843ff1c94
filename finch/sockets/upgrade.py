"""Accepts an upgrade request with a response, or refuses it with an error.

An upgrade is a response: middleware sees it, and error handlers see a refusal. The connection
becomes a WebSocket only after the response is sent.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Final

from finch.errors import HTTPError
from finch.explain import shown as value_shown
from finch.http.request import Request
from finch.http.takeover import TakeOver
from finch.logs import Seldom
from finch.net.transport import Transport
from finch.sockets.link import Link
from finch.sockets.options import SocketOptions
from finch.sockets.outlet import Host, Owner
from finch.wire.handshake import accept_headers, choose_subprotocol, read_handshake
from finch.wire.origins import read_origin
from finch.wire.websocket import WebSocketProtocol

if TYPE_CHECKING:
    from wsproto.extensions import Extension

_SHOWN: Final = 200  # characters of what a client sent, in the log and in the answer


class Upgrade(TakeOver):
    """The response that accepts a socket: sends its head, and then starts the socket.

    ``manager.request_handle(request)`` and raw sockets make it; a handler returns it.

    Parameters:
        request: the request that it answers.
        status: 101 for a WebSocket.
    """

    def __init__(self, request: Request, status: int) -> None:
        super().__init__(request, status)
        self._decided = status
        self.identify: Callable[[], Awaitable[None]] | None = None
        """Finds out who the client is, before it is accepted. Raises what refuses the client."""

    async def prepare(self) -> None:
        if self.identify is not None:
            identify, self.identify = self.identify, None
            await identify()

    @property
    def status(self) -> int:
        """101 for a WebSocket, 200 for a stream of events. To refuse the client, raise an error
        instead."""
        return self._decided

    @status.setter
    def status(self, status: int) -> None:
        if hasattr(self, "_decided") and status != self._decided:
            raise ValueError(
                f"the status of an upgrade is {self._decided}, not {value_shown(status)}; to "
                "refuse the client, write 'raise HTTPError(403)', or return another response"
            )


class WebSocketUpgrade(Upgrade):
    """The response that accepts a WebSocket."""

    def __init__(
        self,
        headers: list[tuple[bytes, bytes]],
        extensions: Sequence[Extension],
        options: SocketOptions,
        attach: Callable[[Link], Owner],
        request: Request,
    ) -> None:
        super().__init__(request, 101)
        self._handshake_headers = headers
        self._extensions = extensions
        self._options = options
        self._attach = attach

    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        # an extension that was not agreed on would end the connection
        added = [item for item in super().raw_headers() if item[0] != b"sec-websocket-extensions"]
        return self._handshake_headers + added

    def open(self, transport: Transport, host: Host) -> Link:
        """The 101 is sent: make the connection a link, and start its owner."""
        protocol = WebSocketProtocol(
            max_message_size=self._options.max_message_size,
            max_fragments=host.limits.max_fragments,
            extensions=self._extensions,
        )
        link = Link(transport, protocol, host)
        link.open(self._attach(link))
        return link


def accept(
    request: Request,
    options: SocketOptions,
    attach: Callable[[Link, str | None], Owner],
) -> WebSocketUpgrade:
    """Accept an upgrade request.

    Parameters:
        request: the request to upgrade.
        options: what is accepted.
        attach: takes the link and the agreed subprotocol, and returns the link's owner.

    Raises:
        HTTPError: 426 if the request asks for no upgrade, 403 if its origin is not allowed, 400 if
            the handshake is wrong.

    Source: RFC 6455, section 4.2.
    """
    handshake = read_handshake(request.method, request.http_version, request.raw_headers)
    origin = handshake.origin
    if origin is not None and not options.allows(origin, request.scheme, request.host):
        raise refuse(request, origin, options.seldom)
    subprotocol = choose_subprotocol(handshake.subprotocols, options.subprotocols)
    headers = accept_headers(handshake, subprotocol)
    extensions: tuple[Extension, ...] = ()
    if options.compression:
        from finch.wire.extensions import accept_compression  # imports wsproto

        agreed = accept_compression(handshake.extensions)
        if agreed is not None:
            extensions = (agreed[0],)
            headers.append((b"sec-websocket-extensions", agreed[1]))
    return WebSocketUpgrade(
        headers, extensions, options, lambda link: attach(link, subprotocol), request
    )


def refuse(request: Request, origin: str, log: Seldom) -> HTTPError:
    """Log why the socket of a page is refused, and which setting would allow it."""
    shown = origin[:_SHOWN]
    if read_origin(origin) is None and origin != "null":
        log.warning(
            "a socket to %s was refused: its Origin %s is not a valid origin",
            request.raw_path[:_SHOWN],
            ascii(shown),
        )
    else:
        log.warning(
            "a socket to %s was refused: its page is from %s, which is neither this host (%s://%s) "
            'nor allowed. allowed_origins=["%s"] allows it',
            request.raw_path[:_SHOWN],
            shown,
            request.scheme,
            request.host[:_SHOWN],
            shown,
        )
    return HTTPError(
        403, f"pages of {shown} may not connect here; the server's allowed_origins decides"
    )
