"""What a supervisor and its workers say to each other: one JSON object a line. Plain data.

Source: https://jsonlines.org.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec


class Lead(msgspec.Struct, tag="lead"):
    """To a worker: run what runs in one worker only."""


class Drain(msgspec.Struct, tag="drain"):
    """To a worker: let your connections end, and end yourself.

    Parameters:
        restart: whether others go on serving, so that clients are to come back at once.
    """

    restart: bool


class Hurry(msgspec.Struct, tag="hurry"):
    """To a worker: end at once, with goodbyes only."""


class Ready(msgspec.Struct, tag="ready"):
    """From a worker: it serves.

    Parameters:
        banner: what is printed when all workers are ready.
        patience: seconds that its graceful end may take; None for any time.
        haste: seconds that its end in a hurry may take.
        alone: why there must be no second worker, or empty.
    """

    banner: str
    patience: float | None
    haste: float
    alone: str = ""


class Failed(msgspec.Struct, tag="failed"):
    """From a worker: it cannot start, for this reason."""

    text: str


class Resigned(msgspec.Struct, tag="resigned"):
    """From a worker: it has stopped what runs in one worker only, and another may begin it."""


Order = Lead | Drain | Hurry
Report = Ready | Failed | Resigned

T = TypeVar("T")


def line_of(message: Order | Report) -> bytes:
    """A message as it is sent."""
    return msgspec.json.encode(message) + b"\n"


class Lines(Generic[T]):
    """Reads messages from bytes as they come.

    Parameters:
        kind: the messages that are expected: ``Order`` or ``Report``. (For a type checker, such a
            union is not a ``type[T]``.)
    """

    def __init__(self, kind: Any) -> None:
        self._decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(kind)
        self._rest = b""

    def feed(self, data: bytes) -> list[T]:
        """The messages that are complete with these bytes.

        Raises:
            msgspec.DecodeError: if a line is not such a message.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [self._decoder.decode(line) for line in lines]
