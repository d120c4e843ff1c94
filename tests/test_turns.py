"""Whoever does much without waiting lets others have their turns: counted in turns, not in time."""

import pytest
import trio
from websockets.frames import Opcode

from finch import ConnectionClosed, FinchApp
from finch.testing import TestClient
from finch.turns import TURN, Account
from tests.transports import masked


def test_an_account_is_full_after_so_many_messages():
    account = Account()
    assert [account.spend() for _ in range(TURN * 2)].count(True) == 2
    assert account.used == 0


def test_large_messages_fill_it_faster():
    account = Account()
    assert account.spend(4096 * TURN)
    assert [account.spend(4096) for _ in range(TURN)].count(True) == 2


def test_a_broadcast_counts_by_its_recipients_and_by_its_bytes():
    account = Account()
    assert account.broadcast(1, 10) == 0
    assert account.used == 1
    assert account.broadcast(100_000, 10) == 9
    assert account.broadcast(1, 1024 * 1024) == 64


async def write_raw(app, ws):
    for _ in range(COUNT):
        await ws.send("x" * 10)


async def receive_raw(app, ws):
    for _ in range(COUNT):
        await ws.receive()


async def send(app, socket):
    for _ in range(COUNT):
        await socket.send("x" * 10)


async def send_to_client(app, socket):
    for _ in range(COUNT):
        await app.socket_manager.send_to_client(socket.id, "x" * 10)


async def send_to_user(app, socket):
    for _ in range(COUNT):
        await app.socket_manager.send_to_user("ada", "x" * 10)


async def send_to_all(app, socket):
    for _ in range(COUNT):
        await app.socket_manager.send_to_all("x" * 10)


async def send_to_all_except(app, socket):
    for _ in range(COUNT):
        await app.socket_manager.send_to_all_except(socket, "x" * 10)


COUNT = 2000


class Others:
    """How many turns other tasks have."""

    def __init__(self):
        self.turns = 0

    async def run(self):
        while True:
            self.turns += 1
            await trio.lowlevel.checkpoint()


async def turns_during(others, function, *arguments):
    begun = others.turns
    await function(*arguments)
    return others.turns - begun


@pytest.mark.parametrize("what", [write_raw, receive_raw], ids=lambda one: one.__name__)
async def test_a_raw_sockets_loop_gives_turns(serve_over, what):
    app = FinchApp()
    others = Others()
    counted = []

    @app.websocket("/work")
    async def work(ws):
        counted.append(await turns_during(others, what, app, ws))

    @app.websocket("/raw")
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    async with serve_over(app, bystander=False) as server, trio.open_nursery() as nursery:
        nursery.start_soon(others.run)
        peer = await server.open(b"/work")
        nursery.start_soon(peer.say, masked(Opcode.TEXT, b"x") * COUNT)
        await peer.hear(b"\x88\x02\x03\xe8")  # a Close with 1000
        nursery.cancel_scope.cancel()
    assert counted[0] >= COUNT // TURN - 1


@pytest.mark.parametrize(
    "what",
    [send, send_to_client, send_to_user, send_to_all, send_to_all_except],
    ids=lambda one: one.__name__,
)
async def test_a_loop_of_sends_gives_turns_and_a_client_that_reads_gets_everything(
    serve_over, what
):
    app = FinchApp()
    others = Others()
    counted = []

    @app.get("/ws")
    async def upgrade(request):
        return app.socket_manager.request_handle(request, user_id="ada")

    @app.socket("work")
    async def work(socket, data):
        counted.append(await turns_during(others, what, app, socket))
        await socket.send("the end")

    async with serve_over(app, bystander=False) as server, trio.open_nursery() as nursery:
        nursery.start_soon(others.run)
        peer = await server.open(b"/ws")
        await peer.say(masked(Opcode.TEXT, b'{"path":"work"}'))
        heard = await peer.hear(b"the end")
        nursery.cancel_scope.cancel()
    assert counted[0] >= COUNT // TURN - 1
    assert heard.count(b"xxxxxxxxxx") == (0 if what is send_to_all_except else COUNT)


async def test_a_loop_over_many_clients_gives_turns(serve_over):
    """A broadcast of one's own: one message to each."""
    app = FinchApp()
    others = Others()
    counted = []

    async def each():
        for client in app.socket_manager.members:
            for _ in range(TURN // 4):
                await client.send("hello")

    @app.socket("work")
    async def work(socket, data):
        counted.append(await turns_during(others, each))

    async with serve_over(app, bystander=False) as server, trio.open_nursery() as nursery:
        nursery.start_soon(others.run)
        peers = [await server.open(b"/ws") for _ in range(20)]
        await peers[0].say(masked(Opcode.TEXT, b'{"path":"work"}'))
        for peer in peers:
            await peer.hear(b"hello")
        nursery.cancel_scope.cancel()
    assert counted[0] >= 4


@pytest.mark.parametrize("kind", ["response", "answers"])
async def test_a_generator_that_never_waits_gives_turns(serve_over, kind):
    app = FinchApp()
    others = Others()
    begun = []

    async def chunks():
        begun.append(others.turns)
        for _ in range(COUNT):
            yield "x"
        begun.append(others.turns)

    @app.get("/stream")
    async def stream(request):
        async for chunk in chunks():
            yield chunk

    @app.socket("stream")
    async def answers(socket, data):
        async for chunk in chunks():
            yield chunk
        yield "the end"

    async with serve_over(app, bystander=False) as server, trio.open_nursery() as nursery:
        nursery.start_soon(others.run)
        if kind == "response":
            peer = await server.connect()
            await peer.say(b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n")
            await peer.hear(b"0\r\n\r\n")
        else:
            peer = await server.open(b"/ws")
            await peer.say(masked(Opcode.TEXT, b'{"path":"stream"}'))
            await peer.hear(b"the end")
        nursery.cancel_scope.cancel()
    assert begun[1] - begun[0] >= COUNT // TURN - 1


async def to_nobody(app, socket):
    await app.socket_manager.send_to_client("nobody", "x")


async def to_no_user(app, socket):
    await app.socket_manager.send_to_user("nobody", "x")


async def close_again(app, socket):
    await socket.close()


async def send_when_closed(app, socket):
    await socket.send("x")


async def ask_the_body_again(app, socket):
    await app.state["request"].body()


@pytest.mark.parametrize(
    "what",
    [to_nobody, to_no_user, close_again, send_when_closed, ask_the_body_again],
    ids=lambda one: one.__name__,
)
async def test_a_loop_of_what_has_nothing_to_do_gives_turns(what):
    app = FinchApp()
    others = Others()
    counted = []
    done = trio.Event()

    @app.post("/")
    async def index(request):
        await request.body()
        app.state["request"] = request
        return "ok"

    @app.socket("work")
    async def work(socket, data):
        await socket.close()
        begun = others.turns
        for _ in range(COUNT):
            await what(app, socket)
        counted.append(others.turns - begun)
        done.set()

    async with TestClient(app) as client, trio.open_nursery() as nursery:
        await client.post("/", content=b"x")
        nursery.start_soon(others.run)
        async with client.socket() as socket:
            await socket.send("work")
            await done.wait()
        nursery.cancel_scope.cancel()
    assert counted[0] >= COUNT // TURN - 1


async def test_receiving_again_and_again_from_who_has_left_gives_turns(serve_over):
    app = FinchApp()
    others = Others()
    counted = trio.Event()

    @app.websocket("/work")
    async def work(ws):
        begun = others.turns
        for _ in range(COUNT):
            try:
                await ws.receive()
            except ConnectionClosed:
                pass
        assert others.turns - begun >= COUNT // TURN - 1
        counted.set()

    async with serve_over(app, bystander=False) as server, trio.open_nursery() as nursery:
        nursery.start_soon(others.run)
        peer = await server.open(b"/work")
        await trio.aclose_forcefully(peer.stream)
        await counted.wait()
        nursery.cancel_scope.cancel()
