"""The examples, run as a user runs them."""

import json
import re
from contextlib import contextmanager

import httpx
import pytest
import websockets.sync.client

from tests.processes import finch


def receive(ws, path):
    """The data of the next message to that path."""
    return receive_message(ws, path)["data"]


def send(ws, path, data=None, **more):
    ws.send(json.dumps({"path": path, "data": data, **more}))


@contextmanager
def joined(process, name, room="chat/lobby", **more):
    """Somebody in a room of the chat; and what the answer to the join says."""
    with websockets.sync.client.connect(f"{process.ws}/ws?name={name}") as ws:
        send(ws, "finch.join", room=room, **more)
        ws.answer = receive_message(ws, "finch.join")
        yield ws


def receive_message(ws, path):
    """The next message to that path, with everything around its data."""
    while True:
        message = json.loads(ws.recv(timeout=5))
        if message["path"] == path:
            return message


def test_hello():
    with finch("hello", "--port", 0) as process:
        assert httpx.get(process.url).text == "Hello from Finch!"
        assert httpx.get(f"{process.url}/birds/1").json() == {"id": 1, "name": "goldfinch"}
        assert httpx.get(f"{process.url}/birds/99").status_code == 404
        response = httpx.post(f"{process.url}/birds", json={"name": "bullfinch"})
        assert (response.status_code, response.json()) == (201, {"id": 3, "name": "bullfinch"})
        assert httpx.post(f"{process.url}/birds", json={"name": 5}).status_code == 422


def test_the_chat_with_classes_does_what_the_seed_says():
    with finch("chat_classes", "--port", 0) as process:
        assert httpx.get(f"{process.url}/ws").text == "Socket is requested!"
        with websockets.sync.client.connect(f"{process.ws}/ws") as first:
            assert receive(first, "output") == "A user connected. Total: 1"
            assert receive(first, "connected")["message"] == "Successfully connected to socket!"
            send(first, "time", {})
            assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", receive(first, "output"))
            send(first, "test", {})
            assert "sec-websocket-key" in receive(first, "test")[0]
            with websockets.sync.client.connect(f"{process.ws}/ws"):
                assert receive(first, "output") == "A user connected. Total: 2"
            assert receive(first, "output") == "A user disconnected. Total: 1"


def test_the_chat_shows_newcomers_what_was_said_and_who_is_here():
    with finch("chat", "--port", 0) as process, joined(process, "Ann") as ann:
        assert ann.answer["data"]["recovered"] is False
        for text in ("one", "two", "three"):
            send(ann, "say", {"text": text}, room="chat/lobby")
        receive(ann, "said")
        position = receive_message(ann, "said")["seq"]
        assert receive(ann, "said")["text"] == "three"

        with joined(process, "Bob", last=2) as bob:
            here = [one["meta"]["name"] for one in bob.answer["data"]["presence"]]
            assert here == ["Ann", "Bob"]
            assert [receive(bob, "said")["text"] for _ in range(2)] == ["two", "three"]
            assert "bob" in [one["user"] for one in receive(ann, "finch.presence")["joins"]]
            send(bob, "typing", room="chat/lobby")
            assert receive(ann, "typing") == {"user": "bob", "name": "Bob"}
            send(bob, "say", {"text": "four", "mark": "m"}, room="chat/lobby")
            said = {"user": "bob", "name": "Bob", "text": "four", "mark": "m"}
            assert receive(ann, "said") == said

        since = f"{ann.answer['epoch']}:{position}"
        with joined(process, "Bob", since=since) as bob:
            assert bob.answer["data"]["recovered"] is True
            assert [receive(bob, "said")["text"] for _ in range(2)] == ["three", "four"]


def test_the_chat_refuses_the_nameless_the_silent_and_strangers():
    with finch("chat", "--port", 0) as process:
        for query in ("", "?name=%20", f"?name={'x' * 41}"):
            with (
                pytest.raises(websockets.exceptions.InvalidStatus, match="401"),
                websockets.sync.client.connect(f"{process.ws}/ws{query}"),
            ):
                pass
        with joined(process, "Ann") as ann:
            send(ann, "say", {"text": ""}, room="chat/lobby", id=1)
            assert receive_message(ann, "error")["status"] == 422
            send(ann, "say", {"text": "hi"}, room="chat/garden", id=2)
            assert receive_message(ann, "error")["status"] == 403
            send(ann, "finch.join", room="chat/cellar", id=3)
            assert receive(ann, "error")["message"] == "there is no room cellar"


def test_in_the_game_the_referee_sees_who_catches_the_coin():
    with (
        finch("game", "--port", 0) as process,
        websockets.sync.client.connect(f"{process.ws}/ws") as one,
        websockets.sync.client.connect(f"{process.ws}/ws") as two,
    ):
        assert "<canvas" in httpx.get(process.url).text
        ids = []
        for ws in (one, two):
            send(ws, "finch.join", room="round/1")
            ids.append(receive_message(ws, "finch.join")["client"])
        while len((picture := receive(one, "picture"))["players"]) < 2:
            pass
        assert sorted(picture["players"]) == sorted(ids)
        send(two, "move", picture["coin"], room="round/1")
        assert receive(one, "caught") == {"player": ids[1], "coins": 1}
        assert receive(two, "caught") == {"player": ids[1], "coins": 1}
        assert receive(one, "picture")["coin"] != picture["coin"]
        send(one, "move", [2, 0], room="round/1")
        assert "data does not fit" in receive(one, "error")["message"]
