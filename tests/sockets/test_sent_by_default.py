"""What a message has that was sent with nothing but its data."""

import pytest
import trio

from finch import FinchApp, SocketEvent, SocketManager
from finch.testing import TestClient


def somebody_else(socket):
    other = object.__new__(type(socket))
    other.id = "somebody else"
    return other


@pytest.mark.parametrize(
    "send",
    [
        lambda socket: socket.send("hello"),
        lambda socket: socket.manager.send_to_all("hello"),
        lambda socket: socket.manager.send_to_all_except(somebody_else(socket), "hello"),
        lambda socket: socket.manager.send_to_client(socket.id, "hello"),
        lambda socket: socket.manager.send_to_user("ada", "hello"),
    ],
    ids=["send", "to all", "to all except", "to client", "to user"],
)
async def test_it_has_no_path_and_status_200(send):
    app = FinchApp()

    @app.get("/ws")
    async def connect(request):
        return app.socket_manager.request_handle(request, user_id="ada")

    @app.socket("go")
    async def go(socket, data):
        assert await send(socket)

    async with TestClient(app) as client, client.socket() as socket:
        await socket.send("go")
        message = await socket.receive()
        assert (message.data, message.path, message.status) == ("hello", "", 200)
        assert message.reply is None


@pytest.mark.parametrize(("offer", "first"), [("permessage-deflate", 0xC1), ("", 0x81)])
@pytest.mark.parametrize("to_all", [True, False])
async def test_it_is_compressed_for_those_who_have_agreed_to_that(offer, first, to_all):
    app = FinchApp()
    manager = SocketManager(app, path="/ws", compression=True)

    async def go(socket, data):
        if to_all:
            await manager.send_to_all("x" * 1000)
        else:
            await socket.send("x" * 1000)

    manager.add_socket_route("go", SocketEvent(on_message=go))
    headers = {"sec-websocket-extensions": offer} if offer else {}
    async with TestClient(app, headers=headers) as client, client.socket("/ws") as socket:
        await socket.send("go")
        with trio.fail_after(5):
            heard = bytes(await socket.stream.receive_some())
        assert heard[0] == first  # 0x40 is RSV1: the payload is compressed (RFC 7692, section 6)
        assert (len(heard) < 500) is bool(offer)
