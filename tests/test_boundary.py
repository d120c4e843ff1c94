"""Nothing that application code raises reaches another client, from wherever and whenever it does.

Every place where Finch calls application code, times every moment, times every kind of exception;
each time a bystander on the same server goes on. A place cannot be forgotten: the last tests read
Finch's source for calls of application code, and its public classes for what takes functions, and
each that they find must name the places here that go through it.
"""

import ast
import asyncio
import inspect
import itertools
import re
import threading
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
import trio.testing

import finch
from finch import (
    EventStream,
    FinchApp,
    HTTPError,
    Limits,
    Query,
    Response,
    Room,
    Rooms,
    SocketClient,
    SocketEvent,
    SocketManager,
    StreamingResponse,
)
from finch.failures import failure_of
from finch.guards import Bearer, RateLimit, RequestID
from finch.testing import HandshakeRefused, SocketClosed, TestClient, WaitedTooLong


class Panic(BaseException):
    """As a Rust extension's."""


def stale_cancelled():
    """A cancellation that somebody kept and raises again when nothing is cancelled."""
    return trio.Cancelled._create(source="unknown")


KINDS = {
    "ValueError": lambda: ValueError("a bug"),
    "HTTPError": lambda: HTTPError(418, "a teapot"),
    "group": lambda: ExceptionGroup("several", [ValueError("one"), HTTPError(404)]),
    "SystemExit": lambda: SystemExit("a command-line library gave up"),
    "GeneratorExit": GeneratorExit,
    "asyncio": asyncio.CancelledError,
    "panic": lambda: Panic("a Rust extension panicked"),
    "interrupt": KeyboardInterrupt,
    "base group": lambda: BaseExceptionGroup("several", [Panic(), GeneratorExit()]),
    "stale": stale_cancelled,
    "group of stale": lambda: BaseExceptionGroup("several", [stale_cancelled(), ValueError()]),
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
}
MOMENTS = ("at once", "later", "when the client has left")


class Thrower:
    """Raises one kind of exception, at one moment."""

    def __init__(self, moment):
        self.moment = moment
        self.make = None
        self.entered = trio.Event()
        self.gone = trio.Event()
        self._gone = threading.Event()
        self._token = trio.lowlevel.current_trio_token()

    def load(self, make):
        self.make = make
        self.entered, self.gone = trio.Event(), trio.Event()
        self._gone = threading.Event()

    def leave(self):
        self.gone.set()
        self._gone.set()

    async def throw(self):
        self.entered.set()
        if self.moment == "later":
            await trio.sleep(0.001)
        elif self.moment == "when the client has left":
            try:
                await self.gone.wait()
            finally:
                raise self.make()
        raise self.make()

    def throw_in_thread(self):
        trio.from_thread.run_sync(self.entered.set)
        if self.moment == "when the client has left":
            self._gone.wait(5)
        raise self.make()

    def throw_now(self):
        self.entered.set()
        raise self.make()


PLACES = {}


@dataclass
class Place:
    build: object
    drive: object
    moments: tuple


def place(drive, moments=MOMENTS):
    """A place where application code is called: the function gives an application such code."""

    def enter(build):
        PLACES[build.__name__] = Place(build, drive, moments)
        return build

    return enter


# How a client gets there


async def ask(client, thrower):
    stream = client.connect()
    await stream.send_all(
        b"GET /bad HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer abc\r\nConnection: close\r\n\r\n"
    )
    await thrower.entered.wait()
    if thrower.moment != "when the client has left":
        with trio.move_on_after(5):
            while await stream.receive_some():
                pass
    await trio.aclose_forcefully(stream)
    thrower.leave()


async def head(client, thrower):
    stream = client.connect()
    await stream.send_all(b"HEAD /bad HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    with trio.move_on_after(5):
        while await stream.receive_some():
            pass
    await trio.aclose_forcefully(stream)


def talk(path="/ws", message="bad", room=None, once=False):
    numbers = itertools.count(1)

    async def drive(client, thrower):
        try:
            async with client.socket(path) as socket:
                fields = {}
                if once:
                    fields["once"] = f"k3Jd_9xAq2Lw71Zz:{next(numbers)}"
                if room is not None:
                    await socket.send("finch.join", room=room)
                    fields["room"] = room
                await socket.send(message, {"x": 1}, id=1, **fields)
                await thrower.entered.wait()
                if thrower.moment == "when the client has left":
                    await trio.aclose_forcefully(socket.stream)
                    thrower.leave()
                    return
                try:
                    await socket.receive(timeout=1)
                except (SocketClosed, WaitedTooLong):
                    pass
        except (HandshakeRefused, SocketClosed, trio.ClosedResourceError, WaitedTooLong):
            pass

    return drive


async def let_go(client, thrower):
    """Whatever is called when a client has left."""
    async with client.socket("/ws"):
        pass
    thrower.leave()
    await thrower.entered.wait()


async def shake_hands(client, thrower):
    stream = client.connect()
    await stream.send_all(
        b"GET /bad HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    await thrower.entered.wait()
    if thrower.moment != "when the client has left":
        with trio.move_on_after(1):
            assert not (await stream.receive_some()).startswith(b"HTTP/1.1 101")
    await trio.aclose_forcefully(stream)
    thrower.leave()


async def come_in(client, thrower):
    """Join a room, in which something is called."""
    async with client.socket("/ws") as socket:
        await socket.send("finch.join", id=1, room="bad/1")
        await thrower.entered.wait()
        if thrower.moment != "when the client has left":
            with trio.move_on_after(1):
                await socket.receive(timeout=2)
        await trio.aclose_forcefully(socket.stream)
        thrower.leave()


async def come_and_go(client, thrower):
    """Whatever is called when a member has left."""
    async with client.socket("/ws") as socket:
        await socket.send("finch.join", id=1, room="bad/1")
        await socket.receive()
    thrower.leave()
    await thrower.entered.wait()


# HTTP


def guard_bad(app, guard):
    """Put a guard around all requests for /bad."""

    @app.middleware
    async def only_bad(request, call_next):
        if request.path == "/bad":
            return await guard(request, call_next)
        return await call_next(request)


@place(ask)
def handler(app, thrower):
    @app.get("/bad")
    async def bad(request):
        await thrower.throw()


@place(ask)
def handler_in_a_thread(app, thrower):
    @app.get("/bad")
    def bad(request):
        thrower.throw_in_thread()


@place(ask)
def handler_in_a_nursery(app, thrower):
    @app.get("/bad")
    async def bad(request):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(thrower.throw)
            nursery.start_soon(trio.sleep_forever)


@place(ask)
def generator_before_its_first_chunk(app, thrower):
    @app.get("/bad")
    async def bad(request):
        await thrower.throw()
        yield "never"


@place(ask)
def generator_between_chunks(app, thrower):
    @app.get("/bad")
    async def bad(request):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            yield "first"
            await thrower.throw()


@place(head, moments=("at once", "later"))
def generator_that_is_closed(app, thrower):
    @app.get("/bad")
    async def bad(request):
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(trio.sleep_forever)
                yield "first"
        finally:
            await thrower.throw()


@place(ask)
def iterator_of_a_stream(app, thrower):
    class Chunks:
        def __aiter__(self):
            return self

        async def __anext__(self):
            await thrower.throw()

        async def aclose(self):
            raise thrower.make()

    @app.get("/bad")
    async def bad(request):
        return StreamingResponse(Chunks())


@place(ask)
def generator_of_events(app, thrower):
    async def events():
        yield "first"
        try:
            await trio.sleep(0.001)
            await thrower.throw()
        finally:
            await trio.lowlevel.checkpoint_if_cancelled()
            await thrower.throw()

    @app.get("/bad")
    async def bad(request):
        return EventStream(events())


@place(ask, moments=("at once",))
def generator_of_a_discarded_response(app, thrower):
    @app.get("/bad")
    async def bad(request):
        try:
            yield "first"
        finally:
            await thrower.throw()

    @app.middleware
    async def replace(request, call_next):
        response = await call_next(request)
        return "another" if request.path == "/bad" else response


@place(ask)
def middleware_before(app, thrower):
    @app.middleware
    async def bad(request, call_next):
        if request.path == "/bad":
            await thrower.throw()
        return await call_next(request)


@place(ask)
def middleware_behind(app, thrower):
    @app.get("/bad")
    async def bad(request):
        return "fine"

    @app.middleware
    async def outer(request, call_next):
        response = await call_next(request)
        if request.path == "/bad":
            await thrower.throw()
        return response


@place(ask)
def check_of_credentials(app, thrower):
    async def check(token):
        await thrower.throw()

    guard_bad(app, Bearer(check))


@place(ask)
def check_of_credentials_in_a_thread(app, thrower):
    def check(token):
        thrower.throw_in_thread()

    guard_bad(app, Bearer(check))


@place(ask, moments=("at once",))
def function_of_a_rate_limit(app, thrower):
    guard_bad(app, RateLimit(5, by=lambda request: thrower.throw_now()))


@place(ask)
def handler_below_a_guard(app, thrower):
    handler(app, thrower)
    app.middleware(RequestID())


@place(ask)
def handler_behind_guards(app, thrower):
    @app.get("/bad", auth=lambda request: "somebody")
    async def bad(request):
        await thrower.throw()


@place(ask)
def middleware_of_a_route(app, thrower):
    async def around(request, call_next):
        await thrower.throw()

    @app.get("/bad", middleware=[around])
    async def bad(request): ...


@place(ask)
def auth_of_a_route(app, thrower):
    async def auth(request):
        await thrower.throw()

    @app.get("/bad", auth=auth)
    async def bad(request): ...


@place(ask)
def auth_of_a_route_in_a_thread(app, thrower):
    def auth(request):
        thrower.throw_in_thread()

    @app.get("/bad", auth=auth)
    async def bad(request): ...


@place(ask, moments=("at once",))
def converter_of_a_path(app, thrower):
    finch.converter("odd")(lambda text: thrower.throw_now())

    @app.get("/{bad:odd}")
    async def bad(request, bad): ...


@place(ask, moments=("at once",))
def converter_of_a_parameter(app, thrower):
    @dataclass
    class Odd:
        x: int = 1

        def __post_init__(self):
            thrower.throw_now()

    @app.get("/bad")
    async def bad(odd: Query[Odd]): ...


@place(ask)
def error_handler(app, thrower):
    @app.get("/bad")
    async def bad(request):
        raise KeyError("first")

    @app.error_handler(KeyError)
    async def answer(request, error):
        await thrower.throw()


@place(ask)
def error_handler_in_a_thread(app, thrower):
    @app.error_handler(404)
    def answer(request, error):
        thrower.throw_in_thread()


@place(ask, moments=("at once",))
def response_of_its_own_kind(app, thrower):
    class Odd(Response):
        def raw_headers(self):
            thrower.throw_now()

    @app.get("/bad")
    async def bad(request):
        return Odd("text")


@place(ask, moments=("at once",))
def error_of_its_own_kind(app, thrower):
    class Odd(HTTPError):
        @property
        def message(self):
            thrower.throw_now()

        @message.setter
        def message(self, text):
            pass

    @app.get("/bad")
    async def bad(request):
        raise Odd(404, "text")


@place(talk("/up"))
def upgrade_route(app, thrower):
    @app.get("/up")
    async def up(request):
        thrower.entered.set()
        if thrower.moment != "when the client has left":
            await thrower.throw()
        return app.socket_manager.request_handle(request)

    @app.socket("bad")
    async def bad(socket, data):
        await thrower.throw()


# Named sockets


@place(talk())
def message_handler(app, thrower):
    @app.socket("bad")
    async def bad(socket, data):
        await thrower.throw()


@place(talk())
def message_handler_in_a_thread(app, thrower):
    @app.socket("bad")
    def bad(socket, data):
        thrower.throw_in_thread()


@place(talk())
def concurrent_message_handler(app, thrower):
    @app.socket("bad", concurrent=True)
    async def bad(socket, data):
        await thrower.throw()


@place(talk())
def generator_of_answers(app, thrower):
    @app.socket("bad")
    async def bad(socket, data):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.sleep_forever)
            yield 1
            await thrower.throw()


@place(talk())
def root_on_message(app, thrower):
    @app.on_message
    async def bad(socket, data):
        if data == {"x": 1}:
            await thrower.throw()


@place(talk(), moments=("at once",))
def converter(app, thrower):
    @dataclass
    class Odd:
        x: int

        def __post_init__(self):
            thrower.throw_now()

    @app.socket("bad")
    async def bad(socket, data: Odd):
        raise AssertionError("never")


@place(talk())
def message_handler_behind_guards(app, thrower):
    @app.socket("bad", auth=lambda socket: True)
    async def bad(socket, data):
        await thrower.throw()


@place(talk())
def auth_of_a_socket(app, thrower):
    async def auth(socket):
        await thrower.throw()

    @app.socket("bad", auth=auth)
    async def bad(socket, data): ...


@place(talk())
def middleware_of_a_socket(app, thrower):
    async def around(socket, data, call_next):
        await thrower.throw()

    @app.socket("bad", middleware=[around])
    async def bad(socket, data): ...


@place(talk("/other"))
def on_connect(app, thrower):
    manager = SocketManager(app, path="/other")

    @manager.on_connect
    async def bad(socket):
        await thrower.throw()


@place(talk("/other"))
def on_connect_in_a_thread(app, thrower):
    manager = SocketManager(app, path="/other")

    @manager.on_connect
    def bad(socket):
        thrower.throw_in_thread()


@place(talk())
def on_error(app, thrower):
    @app.socket("bad")
    async def bad(socket, data):
        raise KeyError("first")

    @app.on_error
    async def answer(socket, error):
        await thrower.throw()


@place(let_go)
def on_disconnect(app, thrower):
    class Named(SocketEvent):
        async def on_disconnect(self, socket):
            await thrower.throw()

    app.add_socket_route("named", Named())


@place(let_go)
def on_disconnect_in_a_thread(app, thrower):
    @app.on_disconnect
    def bad(socket):
        thrower.throw_in_thread()


# Rooms


@place(come_in)
def auth_of_a_room(app, thrower):
    async def auth(socket, name):
        await thrower.throw()

    app.rooms("bad/{name}", auth=auth)


@place(come_in)
def on_join(app, thrower):
    @app.rooms("bad/{name}").on_join
    async def bad(socket, room):
        await thrower.throw()


@place(come_in)
def on_join_in_a_thread(app, thrower):
    @app.rooms("bad/{name}").on_join
    def bad(socket):
        thrower.throw_in_thread()


@place(come_and_go)
def on_leave(app, thrower):
    @app.rooms("bad/{name}").on_leave
    async def bad(socket, room):
        await thrower.throw()


@place(come_and_go)
def on_leave_in_a_thread(app, thrower):
    @app.rooms("bad/{name}").on_leave
    def bad(socket):
        thrower.throw_in_thread()


@place(come_in)
def task_of_a_room(app, thrower):
    @app.rooms("bad/{name}").task
    async def bad(room):
        await thrower.throw()


@place(talk(once=True))
def message_handler_once(app, thrower):
    @app.socket("bad")
    async def bad(socket, data):
        await thrower.throw()


@place(talk(once=True), moments=("at once",))
def converter_once(app, thrower):
    converter(app, thrower)


@place(talk(room="bad/1"))
def message_handler_of_a_room(app, thrower):
    @app.rooms("bad/{name}").socket("bad")
    async def bad(socket, data, room):
        await thrower.throw()


@place(talk(room="bad/1"))
def concurrent_message_handler_of_a_room(app, thrower):
    @app.rooms("bad/{name}").socket("bad", concurrent=True)
    def bad(socket, data, name):
        thrower.throw_in_thread()


@place(talk(room="bad/1"))
def on_error_of_a_room(app, thrower):
    rooms = app.rooms("bad/{name}")

    @rooms.on_error
    async def answer(socket, error):
        assert isinstance(socket, SocketClient)
        await thrower.throw()

    @rooms.socket("bad")
    async def bad(socket, data):
        raise KeyError("first")


@place(come_in)
def on_error_of_a_rooms_task(app, thrower):
    rooms = app.rooms("bad/{name}")

    @rooms.on_error
    async def answer(room, error):
        assert isinstance(room, Room)
        await thrower.throw()

    @rooms.task
    async def bad(room):
        raise KeyError("first")


@place(talk(room="bad/1"))
def room_spawn(app, thrower):
    @app.rooms("bad/{name}").socket("bad")
    async def bad(socket, data, room):
        room.spawn(thrower.throw)


@place(talk())
def socket_spawn(app, thrower):
    @app.socket("bad")
    async def bad(socket, data):
        socket.spawn(thrower.throw)


@place(talk())
def socket_spawn_in_a_thread(app, thrower):
    @app.socket("bad")
    async def bad(socket, data):
        socket.spawn(thrower.throw_in_thread)


# Identities


@place(shake_hands)
def authorize(app, thrower):
    manager = SocketManager(app, path="/bad")

    @manager.authorize
    async def bad(request):
        await thrower.throw()


@place(shake_hands)
def authorize_in_a_thread(app, thrower):
    def bad(request):
        thrower.throw_in_thread()

    SocketManager(app, path="/bad", authorize=bad)


@place(talk("/other", "finch.auth"))
def renew(app, thrower):
    manager = SocketManager(app, path="/other")

    @manager.renew
    async def bad(socket, data):
        await thrower.throw()


# Raw sockets


@place(talk("/raw"))
def raw_handler(app, thrower):
    @app.websocket("/raw")
    async def bad(ws):
        await ws.receive()
        await thrower.throw()


@place(talk("/raw"))
def raw_handler_in_a_thread(app, thrower):
    @app.websocket("/raw")
    def bad(ws):
        thrower.throw_in_thread()


# Beside the clients


async def start_beside(client, thrower):
    client.app.background_task(thrower.throw)
    thrower.leave()
    await thrower.entered.wait()


async def start_beside_in_a_thread(client, thrower):
    client.app.background_task(thrower.throw_in_thread)
    thrower.leave()
    await thrower.entered.wait()


async def tick_beside(client, thrower):
    begun = []

    @client.app.every(0.001)
    async def tick():
        if not begun:
            begun.append(True)
            await thrower.throw()

    thrower.leave()
    await thrower.entered.wait()


@place(tick_beside)
def every(app, thrower):
    pass


@place(start_beside)
def background_task(app, thrower):
    pass


@place(start_beside_in_a_thread)
def background_task_in_a_thread(app, thrower):
    pass


@asynccontextmanager
async def bystander(client):
    """Somebody else, who must not notice."""
    async with client.socket("/ws") as socket:

        async def still_here():
            await socket.send("echo", "still here")
            assert (await socket.receive()).data == "still here"
            assert (await client.get("/")).text == "hello"

        yield still_here


@pytest.mark.parametrize(
    ("name", "moment"),
    [(name, moment) for name, one in PLACES.items() for moment in one.moments],
)
async def test_what_it_raises_stays_with_its_client(name, moment, leaping_clock):
    app = FinchApp(limits=Limits(shutdown_timeout=2))

    @app.get("/")
    async def index(request):
        return "hello"

    @app.socket("echo")
    async def echo(socket, data):
        return data

    thrower = Thrower(moment)
    thrower.load(lambda: KeyError("not loaded"))
    PLACES[name].build(app, thrower)
    with trio.fail_after(300):
        async with TestClient(app) as client, bystander(client) as still_here:
            for make in KINDS.values():
                thrower.load(make)
                await PLACES[name].drive(client, thrower)
                await still_here()
            thrower.load(lambda: KeyError("the end"))
            thrower.leave()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_shutdown_callback_ends_nothing_but_itself(kind):
    app = FinchApp()
    ended = []

    @app.on_shutdown
    async def bad():
        raise KINDS[kind]()

    @app.on_shutdown
    def good():
        ended.append("good")

    async with TestClient(app):
        pass
    assert ended == ["good"]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "stale" not in kind])
async def test_a_startup_callback_that_raises_is_the_end_and_says_why(kind):
    app = FinchApp()
    made = KINDS[kind]()

    @app.on_startup
    async def bad():
        raise made

    raised = None
    try:
        async with TestClient(app):
            pytest.fail("it was served")
    except BaseException as error:
        raised = error
    if isinstance(made, StopIteration | StopAsyncIteration):
        assert isinstance(raised, RuntimeError)  # Python's own: a coroutine cannot raise it
    elif isinstance(made, BaseExceptionGroup):
        assert str(raised) == str(made)
    else:
        assert raised is made


# No place is forgotten

SITES = {
    # where Finch calls application code: the places above that go through it
    "calls._between_contexts: function": ["handler_in_a_thread", "message_handler_in_a_thread"],
    "calls.attempt: call": ["on_connect", "background_task", "on_connect_in_a_thread"],
    "lifespan.run: attempt": ["the tests of startup and shutdown"],
    "lifespan._in_background: attempt": [
        "background_task",
        "background_task_in_a_thread",
        "every",
    ],
    "http.pipeline._handle: call": ["handler_in_a_thread"],
    "http.pipeline._handle: index": ["handler_behind_guards"],
    "http.guarding._through: middleware": ["middleware_before", "middleware_of_a_route"],
    "http.guarding._admit: attempt": ["auth_of_a_route", "auth_of_a_route_in_a_thread"],
    "http.converters.__call__: function": ["converter_of_a_path"],
    "http.arguments.read: convert": ["converter_of_a_parameter"],
    "http.pipeline._dispatch: index": ["handler", "handler_in_a_nursery", "upgrade_route"],
    "http.pipeline._handled: attempt": ["error_handler", "error_handler_in_a_thread"],
    "guards.credentials._ask: call": ["check_of_credentials", "check_of_credentials_in_a_thread"],
    "guards.rate._key: _by": ["function_of_a_rate_limit"],
    "http.sending._head: raw_headers": ["response_of_its_own_kind"],
    "http.streaming._make: anext": [
        "generator_before_its_first_chunk",
        "generator_between_chunks",
        "iterator_of_a_stream",
    ],
    "http.events.__anext__: anext": ["generator_of_events"],
    "http.events.aclose: close_iterator": ["generator_of_events"],
    "http.streaming.aclose: close_iterator": ["iterator_of_a_stream"],
    "http.streaming._run: close_iterator": [
        "generator_that_is_closed",
        "generator_of_a_discarded_response",
    ],
    "sockets.guarding.ask: attempt": ["auth_of_a_socket", "auth_of_a_room"],
    "sockets.guarding.innermost: call": ["message_handler_behind_guards"],
    "sockets.guarding._through: middleware": ["middleware_of_a_socket"],
    "sockets.dispatch._run: convert": ["converter"],
    "sockets.dispatch._run: function": [
        "message_handler",
        "root_on_message",
        "message_handler_of_a_room",
    ],
    "sockets.dispatch._run: call": [
        "message_handler_in_a_thread",
        "concurrent_message_handler",
        "concurrent_message_handler_of_a_room",
    ],
    "sockets.dispatch._stream: chunks": ["generator_of_answers"],
    "sockets.dispatch._stream: close_iterator": ["generator_of_answers"],
    "sockets.repeating._answer: convert": ["converter_once"],
    "sockets.repeating._answer: call": ["message_handler_once"],
    "sockets.inbox._greet: attempt": ["on_connect", "on_connect_in_a_thread"],
    "sockets.inbox._say_goodbye: attempt": ["on_disconnect", "on_disconnect_in_a_thread"],
    "sockets.spawned.tell_on_error: attempt": [
        "on_error",
        "on_error_of_a_room",
        "on_error_of_a_rooms_task",
    ],
    "sockets.spawned._attempt: attempt": [
        "socket_spawn",
        "socket_spawn_in_a_thread",
        "task_of_a_room",
        "room_spawn",
    ],
    "sockets.admission.ask_on_join: attempt": ["on_join", "on_join_in_a_thread"],
    "sockets.membership._said_goodbye_to: attempt": ["on_leave", "on_leave_in_a_thread"],
    "sockets.identities.identify: attempt": ["authorize", "authorize_in_a_thread"],
    "sockets.identities.renew: attempt": ["renew"],
    "sockets.raw.run: attempt": ["raw_handler", "raw_handler_in_a_thread"],
}
CALLED = {
    "attempt",
    "call",
    "_by",
    "index",
    "function",
    "middleware",
    "convert",
    "anext",
    "close_iterator",
    "raw_headers",
    "on_connect",
    "on_message",
    "on_disconnect",
    "on_error",
}
ROOT = Path(finch.__file__).parent


def sites():
    """Every call of something that may be an application's, and where it stands."""
    for path in ROOT.rglob("*.py"):
        module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        if module in (
            "failures",
            "app",
            "served",
            "shortcuts",
            "sockets.manager",
        ) or module.startswith("testing."):
            continue  # they define, register and test
        if module.startswith("client."):
            continue  # no server runs it
        for function in ast.walk(ast.parse(path.read_text())):
            if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            for node in ast.walk(function):
                name = None
                if isinstance(node, ast.Call):
                    name = getattr(node.func, "id", getattr(node.func, "attr", None))
                elif isinstance(node, ast.AsyncFor):
                    name = getattr(node.iter, "id", None)
                if name in CALLED | {"chunks"} and not (
                    isinstance(node, ast.Call) and name == "chunks"
                ):
                    yield f"{module}.{function.name}: {name}"


# what has such a name and is Finch's own: its callers are responsible
OWN = {
    "tasks.within: function": "calls attempt, and is told what was left open",
    "calls.call: function": "attempt, or who else uses call",
    "calls.<lambda>: function": "the same, in a thread",
    "calls.run: function": "the same, in a thread",
    "sockets.upgrade.raw_headers: raw_headers": "Response.raw_headers, by the connection",
    "http.paths._refuse_unsent: index": "str.index",
    "http.patterns.read: convert": "what http.converters calls of an application's",
    "sockets.guarding.behind_guards: call": "the same call as innermost",
    "sockets.guarding.guard: call": "the same",
    "sockets.repeating._answer: close_iterator": "nothing of the generator has run yet",
    "sockets.audience.__call__: call": "SocketClient.call, which calls nothing of an application",
    "http.sending.hand_over: raw_headers": "Upgrade is Finch's own",
    "http.sending.refuse: raw_headers": "TextResponse is Finch's own",
}


def test_every_call_of_application_code_is_among_the_places():
    found = set(sites()) - set(OWN)
    assert found == set(SITES)
    named = {name for names in SITES.values() for name in names} - {
        "the tests of startup and shutdown"
    }
    assert named <= set(PLACES)


TAKES_A_FUNCTION = {
    "FinchApp.route": "handler",
    "FinchApp.get": "handler",
    "FinchApp.post": "handler",
    "FinchApp.put": "handler",
    "FinchApp.patch": "handler",
    "FinchApp.delete": "handler",
    "FinchApp.websocket": "raw_handler",
    "FinchApp.middleware": "middleware_before",
    "FinchApp.error_handler": "error_handler",
    "FinchApp.on_startup": None,
    "FinchApp.on_shutdown": None,
    "FinchApp.background_task": "background_task",
    "FinchApp.every": "every",
    "Rooms.on_join": "on_join",
    "Rooms.on_leave": "on_leave",
    "Rooms.task": "task_of_a_room",
    "Rooms.on_error": "on_error_of_a_room",
    "Rooms.socket": "message_handler_of_a_room",
    "SocketClient.spawn": "socket_spawn",
    "Room.spawn": "room_spawn",
    "FinchApp.rooms": "auth_of_a_room",
    "SocketManager.rooms": "auth_of_a_room",
} | {
    f"{owner}.{name}": place
    for owner in ("FinchApp", "SocketManager")
    for name, place in {
        "socket": "message_handler",
        "on_connect": "on_connect",
        "on_message": "root_on_message",
        "on_disconnect": "on_disconnect",
        "on_error": "on_error",
        "authorize": "authorize",
        "renew": "renew",
    }.items()
}


def takes_a_function(method):
    """Whether it is a decorator, makes one, or is given something to call."""
    signature = inspect.signature(method)
    annotations = [str(parameter.annotation) for parameter in signature.parameters.values()]
    decorates = re.search(r"\bF\b", str(signature.return_annotation))
    return bool(decorates) or any("Callable" in annotation for annotation in annotations)


def test_everything_that_takes_a_function_is_among_the_places():
    takers = {
        f"{owner.__name__}.{name}"
        for owner in (FinchApp, SocketManager, Rooms, SocketClient, Room)
        for name, method in inspect.getmembers(owner, inspect.isfunction)
        if not name.startswith("_") and takes_a_function(method)
    }
    assert takers == set(TAKES_A_FUNCTION)
    assert set(TAKES_A_FUNCTION.values()) - {None} <= set(PLACES)


# What is left open


async def opens_a_scope(socket, data):
    timeout = trio.CancelScope(deadline=trio.current_time() + 0.2)
    timeout.__enter__()
    socket.manager.kept.append(timeout)
    return "opened"


async def ignores_its_end(socket, data):
    try:
        while True:
            yield await opens_a_scope(socket, data)
            await trio.sleep(0)
    except GeneratorExit:
        yield "more"


@pytest.mark.parametrize("handler", [opens_a_scope, ignores_its_end])
async def test_a_cancel_scope_that_is_left_open_is_its_clients_trouble(handler, caplog):
    app = FinchApp()
    app.socket_manager.kept = []
    app.socket("bad")(handler)

    @app.socket("slow")
    async def slow(socket, data):
        await trio.sleep(0.5)
        return "done"

    async with TestClient(app) as client, client.socket() as other:
        async with client.socket() as socket:
            await socket.send("bad")
            assert (await socket.receive()).data == "opened"
            await trio.aclose_forcefully(socket.stream)
        while app.socket_manager.count_clients > 1:
            await trio.sleep(0.001)
        await other.send("slow")  # in the same worker
        assert (await other.receive()).data == "done"
    assert "left a cancel scope open" in caplog.text
    assert "a bug in Finch" not in caplog.text


class Group(BaseExceptionGroup):
    """Whose own derive raises, as one with other arguments does."""

    def derive(self, errors):
        raise TypeError("derive takes another argument")


async def test_a_group_that_cannot_be_split_is_answered():
    app = FinchApp()

    @app.socket("bad")
    async def bad(socket, data):
        raise Group("several", [stale_cancelled(), ValueError()])

    async with TestClient(app) as client, client.socket() as socket:
        with trio.CancelScope() as scope:  # noqa: ASYNC100  # only judged in it
            scope.cancel()
            error = Group("several", [stale_cancelled(), ValueError()])
            assert isinstance(failure_of(error), TypeError)
        await socket.send("bad")
        assert (await socket.receive()).status == 500


ODD = {
    "text": {"raw_headers": lambda response: [("name", "value")]},
    "nothing": {"raw_headers": lambda response: None},
    "status": {"status": property(lambda response: 99, lambda response, status: None)},
    "no status": {"status": property(lambda response: "200", lambda response, status: None)},
}


@pytest.mark.parametrize("what", ODD)
async def test_a_response_that_cannot_be_sent_is_a_500(what, caplog):
    app = FinchApp()
    odd = type("Odd", (Response,), ODD[what])

    @app.get("/")
    async def index(request):
        return odd("text")

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert "cannot be sent" in caplog.text
    assert "a bug in Finch" not in caplog.text


async def test_every_discarded_stream_is_closed_though_one_raises(caplog):
    app = FinchApp()
    closed = []

    @app.get("/")
    async def index(request):
        try:
            yield "first"
        finally:
            closed.append("closed")
            raise ValueError

    @app.middleware
    async def twice(request, call_next):
        await call_next(request)
        await call_next(request)
        return "another"

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "another"
        await trio.testing.wait_all_tasks_blocked()
        assert closed == ["closed", "closed"]


async def test_a_stream_that_begins_when_its_request_is_answered_is_refused():
    app = FinchApp()
    begun = []

    @app.get("/")
    async def index(request):
        begun.append("begun")
        yield "first"

    answered = trio.Event()

    async def call_late(request, call_next):
        await answered.wait()
        await call_next(request)

    @app.middleware
    async def leave(request, call_next):
        app.background_task(call_late, request, call_next)
        return "another"

    async with TestClient(app) as client:
        await client.get("/")
        answered.set()
        await trio.testing.wait_all_tasks_blocked()
    assert not begun


async def test_a_background_task_begins_from_an_event_loop_in_a_thread():
    app = FinchApp()
    began = trio.Event()

    async def beside():
        began.set()

    async def in_a_loop_of_its_own():
        app.background_task(beside)

    @app.get("/")
    def index(request):
        trio.run(in_a_loop_of_its_own)
        return "ok"

    async with TestClient(app) as client:
        assert (await client.get("/")).text == "ok"
        with trio.fail_after(5):
            await began.wait()
