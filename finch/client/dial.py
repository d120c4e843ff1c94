"""Connects to a server: TCP, TLS if it is wanted, and the opening handshake of the WebSocket.

Error handling: a connection that cannot be made is :class:`DialFailed`, whatever the reason. A
server that answers with something other than 101 is :class:`Rejected`.
"""

from __future__ import annotations

import ssl
from functools import cache
from typing import Final

import trio
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, RejectConnection, RejectData, Request
from wsproto.extensions import PerMessageDeflate
from wsproto.utilities import RemoteProtocolError

from finch.client.address import Address
from finch.client.backoff import retry_after
from finch.client.connection import Connection
from finch.client.options import Options
from finch.errors import FinchError

_TEXT: Final = 1000  # bytes of a refusal's text that are kept
_CHUNK: Final = 64 * 1024


class DialFailed(FinchError):
    """There is no connection: no such host, nobody listens, TLS fails, the answer is no HTTP."""


class Rejected(FinchError):
    """The server has answered the handshake with a response.

    Parameters:
        status: its status.
        message: the beginning of its text.
        retry_after: the seconds of its Retry-After; 0 if there is none.
    """

    def __init__(self, status: int, message: str, retry_after: float) -> None:
        super().__init__(status, message, retry_after)
        self.status = status
        self.message = message
        self.retry_after = retry_after


async def dial(address: Address, target: str, options: Options) -> Connection:
    """Open a WebSocket.

    Parameters:
        address: where the server is.
        target: the target of the request.
        options: how to connect.

    Raises:
        DialFailed: if there is no connection.
        Rejected: if the server does not upgrade.
    """
    stream: trio.abc.Stream | None = None
    try:
        stream = await _connect(address, options)
        return await _shake_hands(stream, address, target, options)
    except BaseException as error:
        if stream is not None:
            await trio.aclose_forcefully(stream)
        if isinstance(error, OSError | trio.BrokenResourceError | RemoteProtocolError):
            raise DialFailed(_why(error)) from error
        raise


async def _connect(address: Address, options: Options) -> trio.abc.Stream:
    if options.open_stream is not None:
        stream = await options.open_stream()
    else:
        stream = await trio.open_tcp_stream(address.host, address.port)
    if not address.tls:
        return stream
    context = options.ssl_context or _system_trust()
    encrypted = trio.SSLStream(stream, context, server_hostname=address.host, https_compatible=True)
    try:
        await encrypted.do_handshake()
    except BaseException:
        await trio.aclose_forcefully(stream)
        raise
    return encrypted


@cache
def _system_trust() -> ssl.SSLContext:
    """Read once: the certificates of a system take tens of milliseconds."""
    return ssl.create_default_context()


async def _shake_hands(
    stream: trio.abc.Stream, address: Address, target: str, options: Options
) -> Connection:
    protocol = WSConnection(ConnectionType.CLIENT)
    request = Request(
        host=address.authority,
        target=target,
        extensions=[PerMessageDeflate()] if options.compression else [],
        extra_headers=options.header_lines,
    )
    await stream.send_all(protocol.send(request))
    refusal: RejectConnection | None = None
    text = b""
    while len(text) < _TEXT:
        data = bytes(await stream.receive_some(_CHUNK))
        if not data:
            break
        protocol.receive_data(data)
        for event in protocol.events():
            if isinstance(event, AcceptConnection):
                return Connection(stream, protocol, options)
            if isinstance(event, RejectConnection):
                refusal = event
            elif isinstance(event, RejectData):
                text += event.data[: _TEXT - len(text)]
            if refusal is not None and (not refusal.has_body or _is_end(event)):
                raise _rejected(refusal, text)
    if refusal is not None:
        raise _rejected(refusal, text)
    raise DialFailed("the server has closed the connection without an answer")


def _is_end(event: object) -> bool:
    return isinstance(event, RejectData) and event.body_finished


def _rejected(refusal: RejectConnection, text: bytes) -> Rejected:
    headers = {bytes(name).lower(): bytes(value) for name, value in refusal.headers}
    asked = headers.get(b"retry-after")
    seconds = retry_after(None if asked is None else asked.decode("latin-1"))
    return Rejected(refusal.status_code, text.decode("utf-8", "replace").strip(), seconds)


def _why(error: BaseException) -> str:
    cause = error.__cause__
    return str(error) or (str(cause) if cause is not None else "") or type(error).__name__
