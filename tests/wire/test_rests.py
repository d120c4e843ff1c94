"""Between messages and within one: when the parser may be thrown away, and what is left unread."""

from __future__ import annotations

import pytest
from websockets.frames import Frame, Opcode

from finch.wire.events import Failed, PingReceived
from finch.wire.websocket import WebSocketProtocol


def frame(opcode: Opcode, payload: bytes = b"", *, fin: bool = True) -> bytes:
    return Frame(opcode, payload, fin).serialize(mask=True)


def protocol() -> WebSocketProtocol:
    return WebSocketProtocol(max_message_size=100_000, max_fragments=10)


def test_a_new_connection_has_nothing_unread() -> None:
    server = protocol()
    assert not server.unread
    assert server.next_event() is None


@pytest.mark.parametrize("length", range(20))
def test_a_new_message_within_another_fails_whatever_the_length_of_the_fragment(length) -> None:
    server = protocol()
    server.receive_data(frame(Opcode.TEXT, b"x" * length, fin=False))
    assert server.next_event() is None
    server.receive_data(frame(Opcode.TEXT, b"another"))
    event = server.next_event()
    assert isinstance(event, Failed)
    assert event.code == 1002


@pytest.mark.parametrize("length", range(20))
def test_a_rest_within_a_message_loses_nothing_whatever_the_length_of_the_fragment(length) -> None:
    server = protocol()
    server.receive_data(frame(Opcode.TEXT, b"x" * length, fin=False))
    assert server.next_event() is None
    server.rest()
    server.receive_data(frame(Opcode.PING, b"y" * length))
    assert server.next_event() == PingReceived(b"y" * length)
    server.rest()
    server.receive_data(frame(Opcode.CONT, b"z"))
    assert server.next_event() == "x" * length + "z"


@pytest.mark.parametrize("length", [0, 5, 125, 126, 127, 65_535, 65_536, 70_000])
def test_a_frame_without_a_mask_is_1002_whatever_its_length(length) -> None:
    """Followed by enough bytes to be read as a masked one."""
    server = protocol()
    server.receive_data(Frame(Opcode.BINARY, bytes(length)).serialize(mask=False) + bytes(20))
    event = server.next_event()
    assert isinstance(event, Failed)
    assert event.code == 1002


@pytest.mark.parametrize("fast", [True, False])
def test_after_the_end_nothing_that_was_received_is_read(fast) -> None:
    server = WebSocketProtocol(max_message_size=100, max_fragments=10, fast=fast)
    server.receive_data(frame(Opcode.TEXT, b"one") + frame(Opcode.TEXT, b"two"))
    assert server.next_event() == "one"
    assert server.unread
    server.end()
    assert not server.unread
    assert server.next_event() is None
    server.receive_data(frame(Opcode.TEXT, b"three"))
    assert server.next_event() is None
