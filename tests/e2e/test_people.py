"""Stories of people, over real sockets with a client that was not written here (websockets)."""

import json
import socket
import time
from contextlib import ExitStack
from functools import partial

import pytest
import trio
import websockets.exceptions
import websockets.sync.client

from finch import FinchApp, History, HTTPError, Identity


def in_thread(function, *args):
    return trio.to_thread.run_sync(partial(function, *args))


def heard(ws, path=None):
    """The next message; of this path, if one is given."""
    while True:
        message = json.loads(ws.recv(timeout=10))
        if path is None or message["path"] == path:
            return message


def say(ws, path, data=None, **fields):
    ws.send(json.dumps({"path": path, "data": data, **fields}))


async def test_a_refresh_in_the_middle_of_a_streamed_answer(serve):
    """The handler ends with its client; the next connection asks anew, and hears the whole."""
    app = FinchApp()
    ended = []

    @app.socket("story")
    async def story(socket, data):
        try:
            for word in ("once", "upon", "a", "time"):
                yield word
                if data == "slowly":
                    await trio.sleep_forever()
        finally:
            ended.append(data)

    def talk(url):
        with websockets.sync.client.connect(url) as ws:
            say(ws, "story", "slowly", id=1)
            first = heard(ws)
            assert (first["data"], first["more"]) == ("once", True)
        with websockets.sync.client.connect(url) as ws:
            say(ws, "story", "at once", id=1)
            messages = [heard(ws) for _ in range(5)]
        assert [message["data"] for message in messages] == ["once", "upon", "a", "time", None]
        assert [message.get("more") for message in messages] == [True] * 4 + [None]
        assert all(message["reply"] == 1 for message in messages)

    async with serve(app) as running:
        await in_thread(talk, f"{running.ws}/ws")
        with trio.fail_after(10):
            while len(ended) < 2:
                await trio.sleep(0.01)
    assert sorted(ended) == ["at once", "slowly"]


async def test_a_token_that_expires_and_is_renewed_in_time(serve):
    app = FinchApp()

    @app.authorize
    async def authorize(request):
        if request.query.get("token") != "ann-1":
            raise HTTPError(401, "who are you?")
        return Identity("ann", expires_at=time.time() + 1)

    @app.renew
    async def renew(socket, data):
        return Identity(data["user"], expires_at=time.time() + data["seconds"])

    @app.socket("me")
    async def me(socket, data):
        return socket.user_id

    def closed_with(ws):
        with pytest.raises(websockets.exceptions.ConnectionClosed):
            while True:
                ws.recv(timeout=10)
        return ws.close_code

    def talk(url):
        with pytest.raises(websockets.exceptions.InvalidStatus) as refused:
            websockets.sync.client.connect(url)
        assert refused.value.response.status_code == 401
        assert refused.value.response.body == b"who are you?"
        with ExitStack() as stack:
            lazy, careful, thief = (
                stack.enter_context(websockets.sync.client.connect(f"{url}?token=ann-1"))
                for _ in range(3)
            )
            say(careful, "finch.auth", {"user": "ann", "seconds": 3600}, id=1)
            answer = heard(careful)
            assert (answer["path"], answer["reply"]) == ("finch.auth", 1)
            assert answer["data"]["expires_at"] > time.time() + 3000
            say(thief, "finch.auth", {"user": "bob", "seconds": 3600}, id=1)
            assert closed_with(thief) == 4500
            assert closed_with(lazy) == 4401
            say(careful, "me", id=2)
            assert heard(careful)["data"] == "ann"

    async with serve(app) as running:
        await in_thread(talk, f"{running.ws}/ws")


async def test_a_user_is_logged_out_of_three_tabs_and_nobody_else_notices(serve):
    app = FinchApp()

    @app.authorize
    async def authorize(request):
        return request.query.get("user")

    @app.socket("log out")
    async def log_out(socket, data):
        await app.user(socket.user_id).send("goodbye", path="notice")
        await app.user(socket.user_id).close(4500, "logged out")

    @app.socket("count")
    async def count(socket, data):
        return [app.everyone.count, app.user("ann").count]

    def talk(url):
        with ExitStack() as stack:
            tabs = [
                stack.enter_context(websockets.sync.client.connect(f"{url}?user=ann"))
                for _ in range(3)
            ]
            other = stack.enter_context(websockets.sync.client.connect(f"{url}?user=bob"))
            say(other, "count", id=1)
            assert heard(other)["data"] == [4, 3]
            say(tabs[1], "log out")
            for tab in tabs:
                assert heard(tab)["data"] == "goodbye"
                with pytest.raises(websockets.exceptions.ConnectionClosed):
                    tab.recv(timeout=10)
                assert (tab.close_code, tab.close_reason) == (4500, "logged out")
            say(other, "count", id=2)
            answer = heard(other)
            assert (answer["data"][1], answer["reply"]) == (0, 2)

    async with serve(app) as running:
        await in_thread(talk, f"{running.ws}/ws")


async def test_somebody_who_was_away_hears_what_was_said_once_and_in_order(serve):
    app = FinchApp()
    chat = app.rooms("chat/{name}", history=History(messages=100))

    @chat.socket("say")
    async def speak(socket, data, room):
        sent = await room.send(data, path="said")
        return str(sent.position)

    def talk(url):
        with ExitStack() as stack:
            ann = stack.enter_context(websockets.sync.client.connect(url))
            say(ann, "finch.join", room="chat/lobby", id=1)
            heard(ann, "finch.join")
            with websockets.sync.client.connect(url) as bob:
                say(bob, "finch.join", room="chat/lobby", id=1)
                joined = heard(bob, "finch.join")
                position = f"{joined['epoch']}:{joined['seq']}"
                bob.socket.shutdown(socket.SHUT_RDWR)  # cut, without a goodbye
            for number in range(50):
                say(ann, "say", number, room="chat/lobby", id=number)
                heard(ann, "say")
            bob = stack.enter_context(websockets.sync.client.connect(url))
            say(bob, "finch.join", room="chat/lobby", id=2, since=position)
            joined = heard(bob)
            assert joined["data"]["recovered"] is True
            assert joined["seq"] == 50
            said = [heard(bob) for _ in range(50)]
            assert [message["data"] for message in said] == list(range(50))
            assert [message["seq"] for message in said] == list(range(1, 51))
            say(ann, "say", "and now?", room="chat/lobby")
            newest = heard(bob)
            assert (newest["data"], newest["seq"]) == ("and now?", 51)

    async with serve(app) as running:
        await in_thread(talk, f"{running.ws}/ws")
