"""publish: sends to an application's clients from a program that is no Finch application."""

from __future__ import annotations

from typing import Any, Final

import trio

from finch.cluster.backplane import Channel
from finch.cluster.choice import check_url
from finch.cluster.history import History, check_history
from finch.errors import ConfigurationError
from finch.sockets.outgoing import drafted

_KINDS: Final = ("room", "user", "client")


def channel_of(to: object) -> Channel | None:
    """The channel of what a caller writes; None if it is no audience."""
    if to == "everyone":
        return Channel("everyone")
    if isinstance(to, tuple) and len(to) == 2 and to[0] in _KINDS:
        kind, name = to
        if isinstance(name, str) or (kind == "user" and type(name) is int):
            return Channel(kind, name)
    return None


def publish(
    url: str,
    to: str | tuple[str, str | int],
    data: Any,
    path: str = "",
    status: int = 200,
    *,
    history: History | None = None,
    volatile: bool = False,
    key: Any = None,
    timeout: float = 5.0,
) -> int | None:
    """Send a message to clients of an application that has a backplane, from any other program:
    Django, Celery, cron. It blocks until Redis has the message, and needs no event loop.

    Parameters:
        url: the same as the application's ``backplane``.
        to: ``"everyone"``, ``("room", name)``, ``("user", id)`` or ``("client", id)``, of the
            application's own ``socket_manager``.
        data: anything that msgspec encodes as JSON.
        path: the channel on the clients' side.
        status: a status as in HTTP.
        history: the same as in the application, if it keeps the messages of this audience.
            Otherwise the message has no number, and clients that come back do not get it.
        volatile, key: as for :meth:`finch.Audience.send`.
        timeout: seconds to wait for Redis.

    Returns:
        The message's number, or None without a history.

    Raises:
        ConfigurationError: if ``url`` is not the URL of a backplane.
        TypeError: if ``to`` is no audience, ``data`` has no JSON form, or trio runs in this thread:
            there, write ``await app.room(name).send(data)``.
        Unavailable: if Redis does not take the message in time.

    Example::

        finch.publish("redis://localhost:6379", ("user", order.user_id), "paid", path="order")
    """
    if trio.lowlevel.in_trio_run():
        raise TypeError(
            "publish is for programs without trio, but trio runs in this thread; write await "
            "app.room(name).send(data), or call it by trio.to_thread.run_sync"
        )
    if check_url(url) is None:
        raise ConfigurationError("publish needs the URL of a backplane, not None")
    from finch.cluster.outside import publish_from_outside  # needs coredis

    channel = channel_of(to)
    if channel is None:
        raise TypeError(
            "publish sends to 'everyone', ('room', name), ('user', id) or ('client', id), not "
            f"{to!r}; write publish(url, ('room', 'chat/lobby'), data)"
        )
    draft = drafted(data, path, status, volatile=volatile, key=key)
    kept = check_history("history", history)
    return publish_from_outside(url, channel, draft, kept, timeout)
