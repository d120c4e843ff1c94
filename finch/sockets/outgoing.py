"""Checks what an application sends, and packs it into envelopes."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import msgspec

from finch.cluster.backplane import Draft, Missed
from finch.conversions import DecHook, checked_hook
from finch.encoding import encode
from finch.errors import CallFailed, HTTPError
from finch.explain import kind, not_text, where, why_no_json
from finch.sockets.repeats import Answer
from finch.typed import decoder
from finch.wire.envelope import Envelope
from finch.wire.message import Message, Reply


def new_envelope(
    data: Any, path: str, status: int, more: Mapping[str, Any] | None = None
) -> Envelope:
    """The envelope of a message that an application sends now.

    Parameters:
        more: further keys of the message, such as ``room``.

    Raises:
        TypeError: if ``data`` has no JSON form, ``path`` is not text or ``status`` is not an int.
    """
    _check_address(path, status)
    try:
        return Envelope(data, path, status, epoch_ms(), None, more)
    except Exception as error:
        raise _unsendable(data, path, error) from None


def drafted(
    data: Any,
    path: str,
    status: int,
    room: str | None = None,
    *,
    volatile: bool = False,
    key: Any = None,
    skip: str | None = None,
) -> Draft:
    """The draft of a message to an audience.

    Parameters:
        room: the room that the message names, or None.

    Raises:
        TypeError: as :func:`new_envelope`; also if ``key`` cannot be hashed.
    """
    try:
        hash(key)
    except TypeError:
        raise TypeError(
            f"the key of a volatile message is text or a number, not {kind(key)}; write key=user.id"
        ) from None
    _check_address(path, status)
    try:
        encoded = encode(data)
        if not path.isascii():
            path.encode()
    except Exception as error:
        raise _unsendable(data, path, error) from None
    return Draft(encoded, path, status, epoch_ms(), room, volatile, (room, key), skip)


def answer_envelope(
    data: Any, message: Message, function: object, more: Mapping[str, Any] | None = None
) -> Envelope:
    """The envelope of a handler's answer to a message.

    Parameters:
        function: the handler; error messages name it.
        more: further keys of the message.

    Raises:
        TypeError: if ``data`` has no JSON form.
    """
    try:
        return Envelope(data, message.path, 200, epoch_ms(), message.id, more)
    except Exception as error:
        raise _unreturnable(data, function, error) from None


def answer_of(data: Any, message: Message, function: object) -> Answer:
    """A handler's answer to a message, to be sent to whoever asks.

    Raises:
        TypeError: if ``data`` has no JSON form.
    """
    try:
        return Answer(message.path, 200, encode(data), epoch_ms())
    except Exception as error:
        raise _unreturnable(data, function, error) from None


def read_answer(reply: Reply, as_type: Any, dec_hook: DecHook | None) -> Any:
    """The data of a client's answer to a call.

    Raises:
        CallFailed: if it is an error, or does not fit the type.
    """
    hook = None if dec_hook is None else checked_hook(dec_hook)
    try:
        if reply.status < 400:
            return decoder(as_type, hook)(reply.data)
        data = msgspec.json.decode(reply.data)
    except (msgspec.DecodeError, RecursionError, TypeError) as error:
        raise CallFailed(422, f"the answer does not fit: {error}") from None
    raise CallFailed(reply.status, data)


def joined_envelope(
    room: str | None, message: Message | None, missed: Missed | None, people: dict[str, Any]
) -> Envelope:
    """The envelope that tells a client that it has joined an audience.

    Parameters:
        room: the audience's ``room``.
        message: the client's message; None if the server let it in.
        missed: what follows; None if the audience has no history.
        people: who is present, if that is told.
    """
    data: dict[str, Any] = {"recovered": missed is not None and missed.recovered, **people}
    more: dict[str, Any] = {"room": room}
    if missed is not None:
        data["missed"] = len(missed.messages)  # so a client knows when it has caught up
        more["seq"], more["epoch"] = missed.position.seq, missed.position.epoch
    reply = None if message is None else message.id
    return Envelope(data, "finch.join", 200, epoch_ms(), reply, more)


def error_envelope(error: HTTPError, message: Message | None) -> Envelope:
    """The envelope that tells a client of an error. Its path is ``error``; the data has the path of
    the client's message."""
    answer = error_answer(error, message)
    try:
        return answer.to(None if message is None else message.id)
    except Exception:  # the id may be nested too deeply for the encoder, though it was decoded
        return answer.to(None)


def error_answer(error: HTTPError, message: Message | None) -> Answer:
    """The same without the ``id`` of the message."""
    status, text, _ = error.answer()
    data = {"message": text}
    if message is not None and "path" in message:
        data["path"] = message.path
    return Answer("error", status, encode(data), epoch_ms())


def _check_address(path: object, status: object) -> None:
    if not isinstance(path, str):
        raise TypeError(
            f"the path of a message is text, not {type(path).__name__}; write "
            "send(data, path='channel')"
        )
    if not isinstance(status, int) or isinstance(status, bool):
        raise TypeError(f"the status of a message is an int such as 200, not {status!r}")


def _unsendable(data: Any, path: str, error: Exception) -> TypeError:
    fault = not_text(path)
    if fault:
        return TypeError(f"the path of a message has {fault}")
    return TypeError(f"the data of a message cannot be sent: {_why(data, error)}")


def _unreturnable(data: Any, function: object, error: Exception) -> TypeError:
    why = _why(data, error)
    return TypeError(f"{where(function)} returned a value that cannot be sent: {why}")


def _why(data: Any, error: Exception) -> str:
    return why_no_json(data) or str(error)


def epoch_ms() -> int:
    """The ``timestamp`` of an envelope: milliseconds since the epoch."""
    return time.time_ns() // 1_000_000
