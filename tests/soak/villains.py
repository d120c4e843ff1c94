"""The clients that misbehave, or only use HTTP. Each is a short story with a line of its own.

A story raises :class:`Wrong` where the server does not do what it should in time. What it returns
is how long the server took to lose patience, in seconds, where that can be seen from outside.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import trio

from benchmarks import frames
from tests.soak.app import LIMITS
from tests.soak.goodbyes import MARGIN, SLACK
from tests.soak.line import Line, Wrong, message


@dataclass(frozen=True)
class Target:
    """Where the server is."""

    address: tuple[str, int]

    @property
    def host(self) -> str:
        """For the ``Host`` header."""
        return "{}:{}".format(*self.address)


Villain = Callable[[Target], Awaitable[float | None]]

_SMALL: Final = 8 * 1024
"""A receive buffer that is soon full."""


async def say_nothing(target: Target) -> float:
    """Connects and waits: closed when no head has come in time."""
    line = await Line.connect(target.address)

    async def wait() -> None:
        if await line.response():
            raise Wrong("a silent connection got an answer")

    return await _patience_of_server(line, LIMITS.head_timeout, wait)


async def slow_loris(target: Target) -> float:
    """Sends a head byte by byte: 408 when it has not come in time."""
    line = await Line.connect(target.address)
    head = f"GET /hello HTTP/1.1\r\nHost: {target.host}\r\nX-Slow: {'z' * 500}".encode()
    return await _patience_of_server(line, LIMITS.head_timeout, partial(_drip, line, head))


async def slow_body(target: Target) -> float:
    """Sends a body byte by byte: 408 when it is too slow for too long."""
    line = await Line.connect(target.address)
    await line.send(
        f"POST /sum HTTP/1.1\r\nHost: {target.host}\r\nContent-Length: 1000\r\n\r\n".encode()
    )
    body = b"[" + b"1," * 500
    return await _patience_of_server(line, LIMITS.body_grace, partial(_drip, line, body))


async def _drip(line: Line, data: bytes) -> None:
    """Send a byte every half second until an answer comes, which must be 408."""
    answer = b""
    for number in range(len(data)):
        await line.send(data[number : number + 1])
        with trio.move_on_after(0.5):
            answer = await line.response()
            break
    if not answer.startswith(b"HTTP/1.1 408 "):
        raise Wrong(f"slowness was answered by {answer[:40]!r}")


async def never_read(target: Target) -> None:
    """Asks for messages without end, which wait for it, and takes none."""
    line = await Line.connect(target.address, receive_buffer=_SMALL)
    await line.upgrade(target.host, "/ws")
    await line.send(message("flood", "deaf"))
    await trio.sleep(LIMITS.write_timeout + MARGIN)
    await _expect_given_up(line, "a client that never reads")


async def never_read_what_is_poured(target: Target) -> None:
    """Gets messages without end that wait for nobody, and takes none: too much waits for it."""
    line = await Line.connect(target.address, receive_buffer=_SMALL)
    await line.upgrade(target.host, "/ws")
    await line.send(message("pour", "deaf to pouring"))
    await trio.sleep(LIMITS.close_timeout + MARGIN)
    await _expect_given_up(line, "a client for whom too much waits")


async def _expect_given_up(line: Line, who: str) -> None:
    """What is in the kernel can still be read; it would have no end if the server went on."""
    with trio.move_on_after(SLACK):
        await line.end()
        line.close()
        return
    line.reset()
    raise Wrong(f"{who} is still served")


async def read_slowly(target: Target) -> None:
    """Takes a little now and then of messages without end: it is borne with.

    Not too little: to the server, a client takes something when the kernel has room for more, and
    that is when a third of its buffer is free.
    """
    line = await Line.connect(target.address)
    await line.upgrade(target.host, "/ws")
    await line.send(message("flood", "slow"))
    until = trio.current_time() + LIMITS.write_timeout * 2
    spoken = trio.current_time()
    while trio.current_time() < until:
        await trio.sleep(0.25)
        if not await line.skip():
            raise Wrong("a client that reads slowly was dropped")
        if trio.current_time() - spoken > 5:  # or it would be taken for dead: a pong waits its turn
            spoken = trio.current_time()
            await line.send(frames.client_frame(b"", frames.PONG))
    line.reset()


async def browse(target: Target) -> float:
    """Ordinary requests over one connection, which is closed when it is idle for too long."""
    line = await Line.connect(target.address)
    for number in range(6):
        await trio.sleep(random.random() * LIMITS.keep_alive_timeout / 2)
        begun = trio.current_time()
        if number % 2:
            await line.send(f"GET /hello HTTP/1.1\r\nHost: {target.host}\r\n\r\n".encode())
            right = b"\r\n\r\nhello"
        else:
            body = f"[{number},1]"
            await line.send(
                f"POST /sum HTTP/1.1\r\nHost: {target.host}\r\nContent-Length: {len(body)}\r\n\r\n"
                f"{body}".encode()
            )
            right = f'\r\n\r\n{{"sum":{number + 1}}}'.encode()
        with trio.move_on_after(SLACK):
            answer = await line.response()
            if not answer.endswith(right):
                raise Wrong(f"a request was answered by {answer[-60:]!r}")
            continue
        raise Wrong("a request was not answered")
    return await _patience_of_server(line, LIMITS.keep_alive_timeout, line.end, begun)


async def abandon_stream(target: Target) -> None:
    """Leaves in the middle of a response that is being streamed."""
    line = await Line.connect(target.address)
    await line.send(f"GET /stream HTTP/1.1\r\nHost: {target.host}\r\n\r\n".encode())
    for _ in range(random.randrange(1, 20)):
        with trio.move_on_after(SLACK):
            if not await line.skip():
                raise Wrong("a stream ended by itself")
            continue
        raise Wrong("a stream stands still")
    random.choice((line.reset, line.close))()


async def abandon_handshake(target: Target) -> None:
    """Leaves before the answer to its handshake, or in the middle of it."""
    line = await Line.connect(target.address)
    handshake = frames.handshake(target.host, random.choice(("/ws", "/raw", "/nowhere")))
    await line.send(handshake[: random.choice((0, 10, len(handshake) - 1, len(handshake)))])
    random.choice((line.reset, line.close))()


async def _patience_of_server(
    line: Line,
    limit: float,
    until_given_up: Callable[[], Awaitable[None]],
    begun: float | None = None,
) -> float:
    """How long it took the server to end a line: neither less than the limit nor much more.

    Parameters:
        begun: when the server began to wait, or something before that; now where left out.
    """
    begun = trio.current_time() if begun is None else begun
    try:
        with trio.move_on_after(limit + SLACK) as scope:
            await until_given_up()
    finally:
        line.reset()
    took = trio.current_time() - begun
    if scope.cancelled_caught:
        raise Wrong("the server has not lost patience")
    if took < limit - 1:
        raise Wrong(f"the server lost patience after {took:.1f} s, which is too early")
    return took


VILLAINS: Final[dict[Villain, float]] = {
    say_nothing: 60,
    slow_loris: 60,
    slow_body: 30,
    never_read: 10,
    never_read_what_is_poured: 10,
    read_slowly: 10,
    browse: 150,
    abandon_stream: 60,
    abandon_handshake: 300,
}
"""Stories, and how often each begins in a minute beside 10,000 clients."""
NOT_IN_A_HURRY: Final = {read_slowly}
