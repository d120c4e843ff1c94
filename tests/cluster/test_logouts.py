"""A logout in one process closes the sockets that the user has in all others."""

import pytest

from finch import FinchApp, SocketManager
from finch.sessions import Sessions, login, logout, session_user
from finch.testing import SocketClosed, TestClient
from tests.cluster.nodes import counts_everywhere


def an_app(backplane):
    app = FinchApp(backplane=backplane)
    app.middleware(Sessions("k" * 32))
    app.authorize(session_user)
    SocketManager(app, path="/admin", authorize=session_user)

    @app.post("/login/{name}")
    async def enter(request, name):
        login(request, name)

    @app.post("/logout")
    async def leave(request):
        await logout(request)

    @app.socket("echo")
    async def echo(socket, data):
        return data

    return app


async def test_it_reaches_every_process(url):
    one, two, three = an_app(url), an_app(url), an_app(url)
    async with TestClient(one) as here, TestClient(two) as there, TestClient(three) as bob:
        await here.post("/login/ann")
        there.cookies["session"] = here.cookies["session"]  # one visitor, whom both processes serve
        await bob.post("/login/bob")
        async with (
            here.socket("/ws") as near,
            there.socket("/ws") as far,
            there.socket("/admin") as admin,
            bob.socket("/ws") as other,
        ):
            await counts_everywhere(one.user("ann"), 2)
            await here.post("/logout")
            for socket in (near, far, admin):
                with pytest.raises(SocketClosed) as caught:
                    await socket.receive()
                assert caught.value.code == 4401
            assert await other.call("echo", 1) == 1
