"""A client without a WebSocket: it reads a stream of events, and speaks in POSTs."""

import json

import trio

HEARD_WITHIN = 5  # seconds

OPEN = "GET {target} HTTP/1.1\r\nHost: {host}\r\nAccept: text/event-stream\r\n{more}\r\n"


class Refused(Exception):
    """There is no stream: the status of the response, and its head."""

    def __init__(self, head):
        super().__init__(head.decode())
        self.status = int(head[9:12])
        self.head = head.decode()


class Stream:
    """The stream of one client, and what it says.

    Parameters:
        stream: its connection.
        post: sends a POST: ``await post(target, headers, content)`` gives the response.

    Attributes:
        head: of the response.
        comments: how many comments have come.
    """

    def __init__(self, stream, target, post):
        self.stream = stream
        self.head = ""
        self.comments = 0
        self._target = target
        self._post = post
        self._buffer = b""
        self._number = 0

    async def begin(self, target, more="", host="testserver"):
        """Ask for the stream, and read its first event."""
        request = OPEN.format(target=target, host=host, more=more)
        await self.stream.send_all(request.encode())
        head = await self._until(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise Refused(head)
        self.head = head.decode()
        kind, data = await self.event()
        assert kind == "open", (kind, data)
        self.secret = data["stream"]
        self.id = self.secret.partition(".")[0]
        return self

    async def _until(self, end):
        while end not in self._buffer:
            piece = await self.stream.receive_some(65536)
            if not piece:
                raise EOFError(self._buffer)
            self._buffer += piece
        found, _, self._buffer = self._buffer.partition(end)
        return found + end

    async def event(self, within=HEARD_WITHIN):
        """The next event: its type, and its data."""
        with trio.fail_after(within):
            while True:
                lines = (await self._until(b"\n\n")).decode().split("\n")
                fields = [line.partition(": ")[::2] for line in lines if line]
                if fields == [(":", "")]:
                    self.comments += 1
                    continue
                said = dict(fields)
                assert len(said) == len(fields), fields
                return said.get("event", "message"), json.loads(said["data"])

    async def receive(self):
        """The next message."""
        kind, data = await self.event()
        assert kind == "message", (kind, data)
        return data

    async def closed(self):
        """The code with which the server ends the stream. Nothing follows, and the stream ends."""
        kind, data = await self.event()
        assert kind == "close", (kind, data)
        assert list(data) == ["code", "reason"]
        with trio.fail_after(1):
            assert self._buffer == b""
            assert await self.stream.receive_some() == b""
        return data["code"]

    def belongs(self, number=None, secret=None):
        """The header of a POST."""
        return {"finch-stream": f"{secret or self.secret} {number or self._number + 1}"}

    async def post(self, content, **of):
        """Send a POST as it is; its response."""
        return await self._post(self._target, self.belongs(**of), content)

    async def send(self, *messages):
        """Say messages in one POST, each an object or a text."""
        lines = [one if isinstance(one, str) else json.dumps(one) for one in messages]
        response = await self.post("\n".join(lines))
        assert response.status == 204, (response.status, response.text)
        self._number += 1

    async def call(self, path, data=None, **more):
        """Send a message, and give the data of its answer, which must be the next message."""
        await self.send({"path": path, "data": data, "id": 1, **more})
        answer = await self.receive()
        assert answer.get("reply") == 1, answer
        return answer["data"]

    async def cut(self):
        await trio.aclose_forcefully(self.stream)


async def stream_of(client, target="/ws", more="", stream=None):
    """A stream of a ``TestClient``.

    Parameters:
        more: further lines of the request's head.
        stream: its connection, if it is not an ordinary one.

    Raises:
        Refused: if there is none.
    """

    async def post(path, headers, content):
        return await client.post(path, headers=headers, content=content, timeout=60)

    stream = stream or client.connect()
    client._streams.add(stream)  # so that it is closed at the end
    opened = Stream(stream, target, post)
    return await opened.begin(target, more)
