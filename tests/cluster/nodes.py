"""Nodes: applications that are joined by a backplane, all in the test's own event loop."""

from contextlib import AsyncExitStack, asynccontextmanager

import trio

from finch import FinchApp, History, HTTPError, SocketManager
from finch.cluster.address import Address
from finch.cluster.redis import Redis
from finch.testing import TestClient


def make_app(backplane=None, *, messages=50, seconds=60.0, kept=True):
    """An application with every sort of audience.

    ``kept`` says whether messages to everyone and to users are kept.
    """
    app = FinchApp(backplane=backplane)
    history = History(messages=messages, seconds=seconds)
    SocketManager(app, history=history if kept else None, user_history=history if kept else None)
    app.rooms("chat/{name}", history=history)
    app.rooms("plain/{name}")
    people = app.rooms("people/{name}", presence=True, grace=0.2)
    app.rooms("crowd/{name}", presence="count", grace=0.2)

    @people.on_leave
    async def left(socket, room): ...

    @app.authorize
    async def authorize(request):
        return request.query.get("user")

    @app.socket("who")
    async def who(socket, data):
        return socket.id

    @app.socket("fail")
    async def fail(socket, data):
        raise HTTPError(418)

    return app


def with_times(app, backplane, **seconds):
    """Give an application a backplane that waits for other times than usual: ``patience``, ``look``
    and ``lease`` of ``finch.cluster.redis.Redis``."""
    made = Redis(app.socket_manager.delivery, Address(backplane), **seconds)
    for manager in app._backplanes._managers:  # that of the application, and the one it replaced
        manager.backplane = made


class Node:
    """An application that runs, and its clients."""

    def __init__(self, app, client):
        self.app = app
        self._client = client
        self._stack = AsyncExitStack()

    @property
    def manager(self):
        return self.app.socket_manager

    @property
    def backplane(self):
        return self.app.socket_manager.backplane

    async def connect(self, user="", since=()):
        """A client of a user, as soon as it is heard everywhere."""
        query = f"?user={user}" + "".join(f"&since={who}:{at}" for who, at in dict(since).items())
        socket = await self._stack.enter_async_context(self._client.socket(f"/ws{query}"))
        socket.id = await socket.call("who")
        return socket

    async def cut(self, socket):
        await trio.aclose_forcefully(socket.stream)


@asynccontextmanager
async def node(backplane=None, patience=None, look=0.2, lease=15.0, **options):
    """One application that runs.

    ``patience``, ``look`` and ``lease`` are seconds, as of ``finch.cluster.redis.Redis``.
    """
    app = make_app(backplane, **options)
    if patience is not None:
        with_times(app, backplane, patience=patience, look=look, lease=lease)
    async with TestClient(app) as client:
        one = Node(app, client)
        async with one._stack:
            yield one


async def until(true, what, seconds=10.0):
    """Wait until something is true."""
    with trio.move_on_after(seconds):
        while not true():
            await trio.sleep(0.005)
        return
    raise AssertionError(f"it never came to that: {what}")


async def heard(socket, path):
    """The next message with this path; others before it are passed over."""
    while True:
        message = await socket.receive()
        if message.path == path:
            return message


async def counts(audience, number):
    """Wait until an audience counts so many clients."""
    await until(lambda: audience.count == number, f"{audience!r} counts {number}")


async def counts_everywhere(audience, number):
    """Wait until Redis counts so many clients."""
    with trio.move_on_after(10):
        while await audience.count_everywhere() != number:
            await trio.sleep(0.005)
        return
    raise AssertionError(f"it never came to that: {audience!r} counts {number} everywhere")


async def present(room, devices):
    """Wait until these users are present, with so many devices each."""
    await until(
        lambda: {entry.user: entry.devices for entry in room.presence} == devices,
        f"{devices} are present",
    )
