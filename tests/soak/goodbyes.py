"""The ways in which a client leaves. Each is a short story about a line that nobody else reads.

A story raises :class:`Wrong` where the server does not answer as it should, and ends with the line
closed. Those in ``GOOD`` leave in such a way that what they sent before must still be handled.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

import trio

from benchmarks import frames
from tests.soak.app import LIMITS
from tests.soak.line import Line, Wrong, message

Goodbye = Callable[[Line], Awaitable[None]]

SLACK: Final = 15.0
"""Seconds that a busy machine may add to any time."""
MARGIN: Final = min(10.0, LIMITS.write_timeout)
"""Seconds after the server should have dropped somebody, when it is looked whether it has."""


async def close(line: Line) -> None:
    """A Close, answered by one of the same code; then the server ends TCP."""
    await line.send(frames.client_frame(b"\x03\xe8", frames.CLOSE))
    await _expect_close(line, 1000)
    await _expect_end(line)


async def half_close(line: Line) -> None:
    """TCP's half-close in place of a Close: the server has nobody left to hear."""
    line.half_close()
    await _expect_end(line)


async def be_closed(line: Line) -> None:
    """The server closes, on request, and the client answers."""
    await line.send(message("bye", 4000))
    await _expect_close(line, 4000)
    await line.send(frames.client_frame(b"\x0f\xa0", frames.CLOSE))
    await _expect_end(line)


async def ignore_close(line: Line) -> None:
    """The server closes, on request, and the client does not answer."""
    await line.send(message("bye", 4000))
    await _expect_close(line, 4000)
    await _expect_end(line)


async def break_protocol(line: Line) -> None:
    """A frame without a mask: 1002 (RFC 6455, section 5.1)."""
    await line.send(b"\x81\x02{}")
    await _expect_close(line, 1002)
    await _expect_end(line)


async def reset(line: Line) -> None:
    """A reset, out of nothing."""
    line.reset()


async def reset_in_frame(line: Line) -> None:
    """A reset in the middle of a frame."""
    await line.send(_HALF)
    line.reset()


async def end_in_frame(line: Line) -> None:
    """The end of the stream in the middle of a frame."""
    await line.send(_HALF)
    line.half_close()
    await _expect_end(line)


async def fall_silent(line: Line) -> None:
    """The middle of a frame, and then nothing more, not even a pong."""
    await line.send(_HALF)
    await _expect_silence_to_be_noticed(line)


async def answer_no_ping(line: Line) -> None:
    """Nothing more, not even a pong."""
    await _expect_silence_to_be_noticed(line)


_HALF: Final = message("echo", "cut off in the middle" * 20)[:150]

GOOD: Final[dict[Goodbye, float]] = {close: 30, half_close: 15, be_closed: 10}
"""Stories, and how often each is told."""

BAD: Final[dict[Goodbye, float]] = {
    reset: 25,
    reset_in_frame: 8,
    end_in_frame: 8,
    break_protocol: 2,
    ignore_close: 1,
    fall_silent: 0.5,
    answer_no_ping: 0.5,
}
NOT_FOR_RAW: Final = {be_closed, ignore_close}
"""A raw socket has nobody to ask for its closing."""
NOT_IN_A_HURRY: Final = {fall_silent, answer_no_ping}


async def _expect_close(line: Line, code: int) -> None:
    with trio.move_on_after(SLACK):
        got = await line.close_code()
        if got != code:
            raise Wrong(f"closed with {got}, not {code}")
        return
    raise Wrong(f"no Close with {code} came")


async def _expect_end(line: Line) -> None:
    """The end of the stream, when the server has waited long enough for ours."""
    with trio.move_on_after(LIMITS.close_timeout + SLACK):
        await line.end()
        line.close()
        return
    line.reset()
    raise Wrong("the server does not end the connection")


async def _expect_silence_to_be_noticed(line: Line) -> None:
    patience = LIMITS.ping_interval + LIMITS.ping_timeout
    begun = trio.current_time()
    with trio.move_on_after(patience + SLACK):
        got = await line.close_code()
        waited = trio.current_time() - begun
        if got != 1011:
            raise Wrong(f"silence: closed with {got}, not 1011")
        if waited < LIMITS.ping_timeout / 2:  # it may have been pinged just before
            raise Wrong(f"silence: closed after {waited:.1f} s, which is too early")
        await _expect_end(line)
        return
    line.reset()
    raise Wrong(f"silence: not closed after {patience + SLACK:g} s")
