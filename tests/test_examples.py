"""The examples, run as a user runs them."""

import json
import re

import httpx
import pytest
import websockets.sync.client

from tests.processes import finch


def receive(ws, path):
    """The data of the next message to that path."""
    while True:
        message = json.loads(ws.recv(timeout=5))
        if message["path"] == path:
            return message["data"]


def send(ws, path, data):
    ws.send(json.dumps({"path": path, "data": data}))


def test_hello():
    with finch("hello", "--port", 0) as process:
        assert httpx.get(process.url).text == "Hello from Finch!"
        assert httpx.get(f"{process.url}/birds/1").json() == {"id": 1, "name": "goldfinch"}
        assert httpx.get(f"{process.url}/birds/99").status_code == 404
        response = httpx.post(f"{process.url}/birds", json={"name": "bullfinch"})
        assert (response.status_code, response.json()) == (201, {"id": 3, "name": "bullfinch"})
        assert httpx.post(f"{process.url}/birds", json={"name": 5}).status_code == 422


@pytest.mark.parametrize("example", ["chat", "chat_classes"])
def test_both_chats_do_what_the_seed_says(example):
    with finch(example, "--port", 0) as process:
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


def test_chat_says_to_everybody_and_refuses_silence():
    with finch("chat", "--port", 0) as process:
        with (
            websockets.sync.client.connect(f"{process.ws}/ws") as one,
            websockets.sync.client.connect(f"{process.ws}/ws") as two,
        ):
            send(one, "say", {"name": "Ann", "text": "hi"})
            for ws in (one, two):
                said = receive(ws, "said")
                assert (said["name"], said["text"]) == ("Ann", "hi")
            send(one, "say", {"text": " "})
            assert receive(one, "error")["message"] == "say something"
