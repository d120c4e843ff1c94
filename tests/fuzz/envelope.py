"""The envelope: any payload is a message for a handler, or is answered by what is wrong with it."""

import json
from typing import Final

from websockets.frames import Frame, Opcode

from finch.sockets.asks import is_call
from finch.wire.envelope import Envelope
from finch.wire.message import EnvelopeError, Message, read_message, unreadable
from tests.fuzz.connection import talk, understand

_HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
_LAST_ID: Final = "the last one"
_LAST: Final = b'{"path": "echo", "id": "the last one"}'


def target(data: bytes) -> None:
    try:
        payload: str | bytes = data.decode()
    except UnicodeDecodeError:
        payload = data
    message = _read(payload)
    answers = _dispatched(payload)
    last = [answer for answer in answers if answer.get("reply") == _LAST_ID]
    assert last, "the next message is not answered"
    answers.remove(last[-1])
    for answer in answers:
        if answer["path"] == "error":
            assert answer["status"] >= 400
            assert answer["data"]["message"], "it does not say what is wrong"
    if message is None:
        assert [answer["status"] for answer in answers] == [400]
    elif message.id is not None and not _needs_no_answer(message):
        assert answers, "an answer was asked for"


def _needs_no_answer(message: Message) -> bool:
    """The id of a finch.cancel names another message; an answer to a call gets none itself."""
    return message.path == "finch.cancel" or is_call(message.reply)


def _read(payload: str | bytes) -> Message | None:
    """The message as a handler sees it; None where it is none."""
    try:
        message = read_message(payload)
    except EnvelopeError as error:
        assert error.status == 400
        assert error.message
        message = unreadable(payload)
        assert isinstance(message.data, str)
        return None
    assert isinstance(message.path, str)
    try:
        data = message.data
    except EnvelopeError:
        return message
    assert ("path" in message) == (message.get("path", message) is not message)
    repr(message)
    # what was read can be said again
    sent = Envelope(data, message.path, 200, 0, message.id)
    assert json.loads(sent.text("en", b"x"))["path"] == message.path
    return message


def _dispatched(payload: str | bytes) -> list[dict]:
    """What a client is sent for it, and for a message behind it."""
    opcode = Opcode.TEXT if isinstance(payload, str) else Opcode.BINARY
    data = payload.encode() if isinstance(payload, str) else payload
    sent = [Frame(opcode, data), Frame(Opcode.TEXT, _LAST), Frame(Opcode.CLOSE, b"\x03\xe8")]
    frames = b"".join(frame.serialize(mask=True) for frame in sent)
    understood = understand(talk([_HANDSHAKE + frames], stays=False, hub=True))
    assert understood.controls == [Frame(Opcode.CLOSE, b"\x03\xe8").serialize(mask=False)]
    return [json.loads(text) for text in understood.messages]
