"""What a message has that was sent with nothing but its data."""

import pytest

from finch import FinchApp
from finch.testing import TestClient


@pytest.mark.parametrize(
    "send",
    [
        lambda socket: socket.send("hello"),
        lambda socket: socket.manager.send_to_all("hello"),
        lambda socket: socket.manager.send_to_all_except(object.__new__(type(socket)), "hello"),
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
