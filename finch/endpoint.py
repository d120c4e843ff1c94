"""Endpoint: a route where other programs, in any language, send messages to an application's
clients.

It is for servers that know a secret token. It reads no cookies and answers no page of another
origin: browsers have sockets for sending.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Final, Protocol

import msgspec

from finch.bearer import check_access, check_token
from finch.cluster.backplane import Channel, Sent
from finch.errors import ConfigurationError, HTTPError, Unavailable
from finch.explain import kind, shown
from finch.http.methods import Methods
from finch.http.paths import parse_path
from finch.http.request import Request
from finch.http.response import JSONResponse
from finch.http.routing import FinchRoute
from finch.publishing import channel_of
from finch.sockets.audience import Audience
from finch.sockets.manager import SocketManager
from finch.sockets.outgoing import drafted

SHORTEST: Final = 32
"""Characters of a token. 32 hexadecimal digits are 128 random bits, which nobody guesses; most
words and passwords are shorter. Whoever has the token can send anything to every client."""

_NEVER_KEPT: Final = {"cache-control": "no-store"}
_AUDIENCES: Final = '"everyone", ["room", NAME], ["user", ID] or ["client", ID]'


class Application(Protocol):
    """What the route needs of an application."""

    socket_manager: SocketManager


class Posted(msgspec.Struct, forbid_unknown_fields=True):
    """What a program sends. The names and meanings are those of :func:`finch.publish`.

    Attributes:
        to: whom the message is for.
        data: any JSON.
        path: the channel on the clients' side.
        status: a status as in HTTP.
        volatile, key: as of :meth:`finch.Audience.send`.
    """

    to: Any
    data: Any
    path: str = ""
    status: Annotated[int, msgspec.Meta(ge=100, le=599)] = 200
    volatile: bool = False
    key: str | int | float | None = None


def publish_route(path: str | None, token: object, app: Application, most: int) -> FinchRoute:
    """The route.

    Parameters:
        path: its path.
        token: what must follow ``Authorization: Bearer``: one text, or several, so that a token can
            be replaced without a moment in which none is right.
        app: whose clients get the messages.
        most: bytes of a request's body.

    Raises:
        ConfigurationError: if the path is invalid, or there is no token that is long enough.
    """
    if path is None:
        raise ConfigurationError("publish_token without a path; write publish_path='/publish', too")
    parse_path(path)
    tokens = _checked_tokens(token)

    async def publish(request: Request) -> JSONResponse:
        try:
            check_access(request, tokens)
            posted = await _read(request, most)
            sent = await _send(app.socket_manager, posted)
        except HTTPError as error:
            status, text, headers = error.answer()
            if isinstance(error, Unavailable):  # who knows the token may know more than a client
                text = f"the backplane cannot be reached ({error.why}); {error.done}"
            return JSONResponse({"error": text}, status, {**_NEVER_KEPT, **headers})
        position = None if sent.position is None else str(sent.position)
        return JSONResponse({"seq": sent.seq, "position": position}, headers=_NEVER_KEPT)

    return FinchRoute(path, publish, methods=Methods.ONLY_POST, key="finch.publish")


def _checked_tokens(given: object) -> tuple[bytes, ...]:
    name = "publish_token"
    tokens = [given] if isinstance(given, str) else given
    if tokens is None or not isinstance(tokens, Iterable) or isinstance(tokens, bytes):
        raise ConfigurationError(
            f"{name} is text, or a list of texts, not {kind(given)}: without a token, anybody "
            f"could send anything to every client; write {name}=os.environ['{name.upper()}']"
        )
    checked = tuple(check_token(name, token) for token in tokens)
    if not checked or min(map(len, checked)) < SHORTEST:
        raise ConfigurationError(
            f"{name} has at least {SHORTEST} characters; make one by: python -c "
            '"import secrets; print(secrets.token_hex())"'
        )
    return checked


async def _read(request: Request, most: int) -> Posted:
    if len(await request.body()) > most:
        raise HTTPError(413, f"the body is longer than {most} bytes")
    return await request.json(Posted)


async def _send(manager: SocketManager, posted: Posted) -> Sent:
    to = tuple(posted.to) if isinstance(posted.to, list) else posted.to
    channel = channel_of(to)
    if channel is None:
        raise HTTPError(422, f"to is {_AUDIENCES}, not {shown(posted.to)}")
    audience = _audience(manager, channel)
    label, kept = (None, None) if audience is None else (audience.label, audience.kept)
    draft = drafted(
        posted.data, posted.path, posted.status, label, volatile=posted.volatile, key=posted.key
    )
    sent = await manager.backplane.publish(channel, draft, kept)
    await manager.delivery.rest()
    if channel.kind == "client" and not sent:
        raise HTTPError(404, f"there is no client {shown(channel.name)}; perhaps it has left")
    return sent


def _audience(manager: SocketManager, channel: Channel) -> Audience | None:
    """The audience of a channel; None for a client, which is none."""
    if channel.kind == "client":
        return None
    if channel.kind == "everyone":
        return manager.everyone
    return manager.user(channel.name) if channel.kind == "user" else manager.room(str(channel.name))
