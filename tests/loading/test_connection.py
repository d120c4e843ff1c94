"""One connection of a load: bytes of a server in, messages and statuses out."""

import pytest
import trio
import trio.testing

from finch.loading.connection import Broken, Connection, get_request
from finch.loading.frames import PING, PONG, client_frame, first_frame
from finch.loading.target import read_target


@pytest.fixture
async def pair():
    """A connection, and the server's end."""
    ours, theirs = trio.testing.memory_stream_pair()
    return Connection(ours), theirs


def server_frame(payload, opcode=1, final=True):
    return bytes((0x80 * final | opcode, len(payload))) + payload


async def test_messages_come_whole_and_pings_are_answered_between_them(pair):
    connection, server = pair
    data = (
        server_frame(b"one")
        + server_frame(b"ping", PING)
        + server_frame(b"tw", final=False)
        + server_frame(b"o", 0)
        + server_frame(b"late", PONG)
    )
    await server.send_all(data[:4])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(server.send_all, data[4:])
        found = await connection.receive()
    while len(found) < 2:
        found += await connection.receive()
    assert found == [b"one", b"two"]
    pong = await server.receive_some()
    assert pong == client_frame(b"ping", PONG)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (server_frame(b"\x03\xf4again", 8), "closed with 1012"),
        (server_frame(b"", 8), "closed with 1005"),
    ],
)
async def test_a_close_is_said_with_its_code(pair, data, says):
    connection, server = pair
    await server.send_all(data)
    with pytest.raises(Broken, match=says):
        await connection.receive()


async def test_a_message_without_end_is_cut(pair, monkeypatch):
    monkeypatch.setattr("finch.loading.connection._MESSAGE", 100)
    connection, server = pair
    with trio.fail_after(5), pytest.raises(Broken, match="more than 100 bytes"):
        for _ in range(3):
            await server.send_all(server_frame(b"x" * 60, final=False))
            with trio.move_on_after(0.05):
                await connection.receive()


@pytest.mark.parametrize(
    ("response", "status", "again"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc", 200, True),
        (b"HTTP/1.1 204 No\r\n\r\n", 204, True),
        (b"HTTP/1.1 200 OK\r\nconnection: Close\r\ncontent-length: 0\r\n\r\n", 200, False),
        (b"HTTP/1.0 404 No\r\ncontent-length: 1\r\n\r\nx", 404, False),
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
            b"3;x=y\r\nabc\r\n0\r\nt: x\r\n\r\n",
            200,
            True,
        ),
    ],
)
async def test_a_response_is_read_to_its_end(pair, response, status, again):
    connection, server = pair
    request = get_request(read_target("http://a/"), [("X", "y")])
    for _ in range(2):  # nothing is left over for the next
        await server.send_all(response)
        assert await connection.get(request) == (status, again)
    assert (await server.receive_some()).startswith(b"GET / HTTP/1.1\r\nHost: a\r\n")


async def test_a_response_that_ends_with_its_connection(pair):
    connection, server = pair
    await server.send_all(b"HTTP/1.1 200 OK\r\n\r\nabc")
    await server.send_eof()
    assert await connection.get(b"GET / HTTP/1.1\r\n\r\n") == (200, False)


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (b"hello\r\n\r\n", "no response of HTTP: hello"),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n", "a chunk without a size"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab", "closed by the server"),
    ],
)
async def test_a_broken_response_is_said(pair, response, says):
    connection, server = pair
    await server.send_all(response)
    await server.send_eof()
    with pytest.raises(Broken, match=says):
        await connection.get(b"GET / HTTP/1.1\r\n\r\n")


def test_a_frame_is_known_only_when_it_is_whole():
    frame = bytes((0x81, 126)) + (300).to_bytes(2, "big") + b"x" * 300
    for length in range(len(frame)):
        assert first_frame(bytearray(frame[:length])) is None
    assert first_frame(bytearray(frame)) == (1, True, 4, 304)
