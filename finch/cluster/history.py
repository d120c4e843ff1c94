"""The messages that were sent to an audience a short time ago, and their numbers. Plain data: no
I/O, no clock.

Messages are numbered 1, 2, 3 and so on without holes, as long as the *epoch* is the same. The epoch
is a short random text. It is new whenever the numbering begins anew, such as after a restart. So a
client's position, its epoch and the number of the last message that it has seen, tells exactly what
it has missed.

This is a cache. A message is gone when it is too old, when there are too many newer ones, and when
the process ends. What must not be lost belongs in a database.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import sys
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final, Generic, NamedTuple, TypeVar

from finch.errors import ConfigurationError
from finch.explain import kind, shown

M = TypeVar("M")

_MOST: Final = 2**53  # the largest number up to which JavaScript counts without gaps
_EPOCH: Final = re.compile(r"[A-Za-z0-9_-]{1,32}")  # ours have 8; another server's may be longer
_SEQ: Final = re.compile(r"[0-9]{1,16}")  # 2**53 has 16 digits; int() of a long text takes long


@dataclass(frozen=True, slots=True)
class History:
    """How much is kept for clients that come back. Both bounds hold at the same time.

    Parameters:
        messages: how many of the newest messages are kept, at most.
        seconds: a message that is older than this is not kept.

    Raises:
        ConfigurationError: if a value is not a number of the right kind, or is out of range.

    Example::

        chat = app.rooms("chat/{name}", history=History(messages=50, seconds=600))
    """

    messages: int = 100
    seconds: float = 3600.0

    def __post_init__(self) -> None:
        messages: Any = self.messages
        if type(messages) is not int or messages < 1:
            raise ConfigurationError(
                f"History(messages={shown(messages)}): messages is a whole number, 1 or more; "
                f"{_advice(messages, 100, 'None as the history keeps nothing')}"
            )
        seconds: Any = self.seconds
        # not inf: rooms that nobody comes back to would be kept forever
        if type(seconds) not in (int, float) or not 0 < seconds <= sys.float_info.max:
            raise ConfigurationError(
                f"History(seconds={shown(seconds)}): seconds is a number, more than 0 and not "
                f"infinite; {_advice(seconds, 3600.0, 'None as the history keeps nothing')}"
            )


def _advice(value: Any, default: float, for_nothing: str) -> str:
    if value is None or value is False or (type(value) in (int, float) and value == 0):
        return for_nothing
    if type(value) is float and value.is_integer() and value > 0:
        return f"write {value:.0f}"
    if isinstance(value, str) and value.strip().isdecimal() and len(value) < 20:
        return f"write {int(value)}, without quotes"
    if hasattr(type(value), "total_seconds"):
        return "write .total_seconds() after it"
    return f"the default is {default}"


def check_history(named: str, history: object) -> History | None:
    """A history that an application has given, or None.

    Raises:
        ConfigurationError: for anything else.
    """
    if history is None or isinstance(history, History):
        return history
    raise ConfigurationError(
        f"{named} is a History or None, not {shown(history)}; write "
        "History(messages=100, seconds=3600)"
    )


class Position(NamedTuple):
    """What a client has seen: everything of this epoch up to this number. As text, ``epoch:seq``.

    Example::

        str(Position("k3Jd_9xA", 17))  # "k3Jd_9xA:17"
    """

    epoch: str
    seq: int

    def __str__(self) -> str:
        return f"{self.epoch}:{self.seq}"


def read_position(text: object) -> Position:
    """The position that a client has sent. Its epoch may be an unknown one.

    Raises:
        ValueError: if it is not a position; the message is meant for the client's author.

    Example::

        read_position("k3Jd_9xA:17")  # Position(epoch="k3Jd_9xA", seq=17)
    """
    if not isinstance(text, str):
        raise ValueError(f"a position is text such as 'k3Jd_9xA:17', not {kind(text)}")
    epoch, colon, seq = text.partition(":")
    if not colon:
        raise ValueError(f"a position is 'epoch:seq', such as 'k3Jd_9xA:17', not {shown(text)}")
    if not _EPOCH.fullmatch(epoch):
        raise ValueError(
            "the epoch of a position is 1 to 32 characters out of A-Z, a-z, 0-9, '_' and '-', "
            f"not {shown(epoch)}"
        )
    if not _SEQ.fullmatch(seq) or int(seq) > _MOST:
        raise ValueError(f"the seq of a position is a number from 0 to {_MOST}, not {shown(seq)}")
    return Position(epoch, int(seq))


def new_epoch() -> str:
    """A text for a numbering that begins now; no other numbering has it."""
    return secrets.token_urlsafe(6)  # 8 characters, 48 random bits


def epoch_of(epoch: str, name: str) -> str:
    """The epoch of one audience out of one for many. So nobody's position in one audience is taken
    for a position in another one, such as that of the user who was logged in before.

    Parameters:
        epoch: from :func:`new_epoch`.
        name: the audience.
    """
    digest = hashlib.blake2b(name.encode("utf-8", "replace"), key=epoch.encode(), digest_size=6)
    return base64.urlsafe_b64encode(digest.digest()).decode()


class Archive(Generic[M]):
    """The numbering of one audience, and the messages that are kept for it.

    All times are seconds of one clock that never goes back. Messages that are too old are not given
    away. They are freed by the next call that gets the time.

    Parameters:
        history: how much is kept.
        epoch: the epoch of the numbering, from :func:`new_epoch`.

    Attributes:
        epoch: the epoch.
        seq: the number of the last message; 0 if there was none.

    Example::

        archive = Archive(History(messages=2), new_epoch())
        message = encode(text, seq=archive.next_seq)
        archive.append(message, now)
    """

    __slots__ = ("_history", "_kept", "epoch", "seq")

    def __init__(self, history: History, epoch: str) -> None:
        self.epoch = epoch
        self.seq = 0
        self._history = history
        # each message with its time, the oldest first; the last one has the number seq
        self._kept: deque[tuple[float, M]] = deque()

    def begin(self, seq: int, messages: Iterable[tuple[float, M]]) -> None:
        """Take over a numbering that has begun elsewhere, with its messages.

        Parameters:
            seq: the number of the last message.
            messages: pairs of time and message, without holes, up to that number.
        """
        self.seq = seq
        self._kept = deque(messages)

    @property
    def next_seq(self) -> int:
        """The number of the message that is appended next, for whoever writes it into it."""
        return self.seq + 1

    def append(self, message: M, now: float) -> int:
        """Number a message and keep it. Returns its number."""
        self.seq += 1
        self._kept.append((now, message))
        self._trim(now)
        return self.seq

    def since(self, position: Position, now: float) -> list[tuple[int, M]] | None:
        """What a client has missed: all messages after its position, each with its number.

        Returns:
            The messages in order; empty if the client has seen all, even if nothing is kept any
            longer. None if any message is missing: of another epoch, or no longer kept. Also None
            if the number is one that was never given: then the client knows another numbering.
        """
        self._trim(now)
        missed = self.seq - position.seq
        if position.epoch != self.epoch or not 0 <= missed <= len(self._kept):
            return None
        return self._newest(missed)

    def last(self, n: int, now: float) -> list[tuple[int, M]]:
        """The newest ``n`` messages in order, each with its number; fewer if fewer are kept."""
        self._trim(now)
        return self._newest(min(n, len(self._kept)))

    def expired(self, now: float) -> bool:
        """Whether no message is kept any longer. Then the numbering may be forgotten as well, if
        nobody is there: a client that comes back finds a new epoch, and is not recovered."""
        self._trim(now)
        return not self._kept

    def _newest(self, n: int) -> list[tuple[int, M]]:
        # from the right end: a deque is slow to index in its middle
        newest = [message for _, message in islice(reversed(self._kept), max(n, 0))]
        newest.reverse()
        return list(enumerate(newest, self.seq - len(newest) + 1))

    def _trim(self, now: float) -> None:
        # Each message is removed once. So this costs as much as appending, however often it is
        # called.
        kept, history = self._kept, self._history
        while kept and (len(kept) > history.messages or now - kept[0][0] > history.seconds):
            kept.popleft()
