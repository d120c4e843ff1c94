"""The application of ``vectors.json``: every exchange begins with a new one.

To test a client in another language against it, serve it from the folder of the repository::

    python -m finch tests.wire.vectors_app:app
"""

import time

import trio

from finch import CallFailed, FinchApp, History, HTTPError, Identity, Limits, SocketManager

FAR = 4102444800.0  # seconds: the year 2100


async def identify(request):
    return identity_of(request.query.get("token"))


def identity_of(token):
    if token is None:
        return None
    if token == "brief":
        return Identity("ann", expires_at=time.time() + 0.5)
    if token not in ("ann", "bob"):
        raise HTTPError(401, "log in again")
    return Identity(token, meta={"name": token.title()})


def new_app():
    app = FinchApp(limits=Limits(max_rooms=3))
    kept = SocketManager(
        app,
        path="/kept",
        history=History(messages=3),
        user_history=History(messages=3),
        authorize=identify,
    )
    app.authorize(identify)
    _speak(app)
    _declare_rooms(app)
    _keep(kept)
    return app


def _speak(app):
    @app.renew
    async def renew(socket, data):
        identity = identity_of(data)
        return Identity(identity.user_id, expires_at=FAR)

    @app.on_connect
    async def on_connect(socket):
        if "banned" in socket.request.query:
            raise HTTPError(403, "you are banned")

    @app.socket("echo")
    async def echo(socket, data):
        return data

    @app.socket("double")
    async def double(socket, data: int):
        return 2 * data

    @app.socket("quiet")
    async def quiet(socket, data):
        return None

    @app.socket("count")
    async def count(socket, data):
        for number in range(data):
            yield number

    @app.socket("tally")
    async def tally(socket, data):
        app.state["tally"] = app.state.get("tally", 0) + 1
        return app.state["tally"]

    @app.socket("endless")
    async def endless(socket, data):
        yield "begun"
        await trio.sleep_forever()

    @app.socket("beside", concurrent=True)
    async def beside(socket, data):
        await trio.sleep_forever()

    @app.socket("teapot")
    async def teapot(socket, data):
        raise HTTPError(418, "this is a teapot")

    @app.socket("fail")
    async def fail(socket, data):
        raise RuntimeError("nobody hears of this text")

    @app.socket("delete")
    async def delete(socket, data):
        try:
            return await socket.call("Delete it?", path="confirm", as_type=bool)
        except CallFailed as failed:
            return {"failed": failed.status}

    @app.socket("forget")
    async def forget(socket, data):
        with trio.move_on_after(0.1):
            await socket.call("Still there?", path="confirm")
        return "nobody waits any longer"

    @app.socket("everyone")
    async def everyone(socket, data):
        return await app.everyone.send(data, path="news", skip=socket)

    @app.socket("invite")
    async def invite(socket, data):
        await socket.join(data)

    @app.socket("room")
    async def room(socket, data):
        await app.room("lobby").send(data, path="said")

    @app.socket("away")
    async def away(socket, data):
        await socket.close(data, "stay away" if data >= 4500 else "come back")

    @app.socket("log out")
    async def log_out(socket, data):
        await app.user(socket.user_id).close(4401, "logged out")


def _declare_rooms(app):
    chat = app.rooms("chat/{name}", history=History(messages=3))
    here = app.rooms("here/{name}", presence=True, grace=0)
    app.rooms("crowd/{name}", presence="count", grace=0)

    @chat.on_join
    async def on_join(socket, name):
        if name == "staff":
            raise HTTPError(403, "staff only")

    @chat.socket("say")
    async def say(socket, data, room):
        sent = await room.send(data, path="said")
        return {"seq": sent.seq}

    @chat.socket("type")
    async def type_(socket, data, room):
        await room.send(data, path="typing", volatile=True, key=socket.id, skip=socket)

    @here.socket("say")
    async def say_here(socket, data, room):
        await room.send(data, path="said")


def _keep(kept):
    @kept.socket("announce")
    async def announce(socket, data):
        await kept.everyone.send(data, path="news")

    @kept.socket("notify")
    async def notify(socket, data):
        await kept.user("ann").send(data, path="notice")

    @kept.socket("echo")
    async def echo(socket, data):
        return data


app = new_app()
