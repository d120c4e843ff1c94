"""Repeats: which messages were handled already, and how they were answered. Plain data.

A client that asks for a call to be repeated gives it a key, ``SESSION:NUMBER``. The numbers of a
session grow. So of answers that are kept no longer, only the largest number must be known: whatever
is not above it was handled.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from finch.wire.envelope import Envelope

SECONDS: Final = 60.0
"""How long an answer is kept, and how long a handler may go on for a client that does not come
back: clients wait at most 30 s between two attempts."""

ANSWERS: Final = 64
"""Answers that are kept, and handlers that may run, for each session: as many messages as a client
lets wait while it is away."""

SESSION_SIZE: Final = 256 * 1024  # bytes of the answers of a session
TOTAL_SIZE: Final = 64 * 1024 * 1024  # bytes of all answers, with what each one costs
OVERHEAD: Final = 300  # bytes that an answer costs besides its data
SESSIONS: Final = 65_536  # of which the largest number is known, some 300 bytes each
SESSION_SECONDS: Final = 600.0  # for how long it is known
ALONE: Final = 1_024  # handlers that run for clients that have left

_DIGITS: Final = frozenset("0123456789")
_LETTERS: Final = _DIGITS.union("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-_")


class Key(NamedTuple):
    """What a client calls one of its messages.

    Attributes:
        session: random, 16 to 64 characters; the same for as long as the client exists.
        number: larger than those of all earlier messages of the session.
    """

    session: str
    number: int


def read_key(once: object) -> Key:
    """Parse the ``once`` of a message.

    Raises:
        ValueError: if it is malformed; the text is for the client.
    """
    session, _, number = once.partition(":") if isinstance(once, str) else ("", "", "")
    if (
        not 16 <= len(session) <= 64
        or not 1 <= len(number) <= 15
        or not _LETTERS.issuperset(session)
        or not _DIGITS.issuperset(number)
        or number.startswith("0")
    ):
        raise ValueError(
            "once is SESSION:NUMBER: 16 to 64 random characters of A-Z a-z 0-9 - _, a colon, and "
            "a number that grows with each message"
        )
    return Key(session, int(number))


class Answer(NamedTuple):
    """An answer without what differs when it is sent again.

    Attributes:
        data: JSON.
        timestamp: milliseconds since the epoch, of the first time.
    """

    path: str
    status: int
    data: bytes
    timestamp: int

    def to(self, id: Any) -> Envelope:
        """The answer to the message with this ``id``."""
        return Envelope.from_json(self.data, self.path, self.status, self.timestamp, id)


class Call:
    """A message that was handled, or is being handled.

    Attributes:
        answer: None while it is being handled.
        handling: what handles it; the caller's own.
    """

    __slots__ = ("answer", "answered", "handling", "number", "who")

    def __init__(self, who: object, number: int, handling: Any) -> None:
        self.who = who
        self.number = number
        self.handling = handling
        self.answer: Answer | None = None
        self.answered = 0.0


class _Session:
    """The calls of one session.

    Attributes:
        handled: the largest number of which nothing is kept.
        size: bytes of its answers.
        used: when a call began or ended last.
    """

    __slots__ = ("calls", "handled", "size", "used")

    def __init__(self, handled: int, now: float) -> None:
        self.calls: dict[int, Call] = {}
        self.handled = handled
        self.size = 0
        self.used = now

    def answered(self) -> list[Call]:
        """Its answered calls, the oldest first."""
        return [call for call in self.calls.values() if call.answer is not None]

    def forget(self, call: Call) -> int:
        """Forget all of a call but its number; how many bytes its answer has cost."""
        del self.calls[call.number]
        self.handled = max(self.handled, call.number)
        if call.answer is None:
            return 0
        size = len(call.answer.data)
        call.answer = None
        self.size -= size
        return size + OVERHEAD


class Repeats:
    """The calls of all sessions. All times are in seconds of one clock.

    Attributes:
        alone: what handles calls for clients that have left, the oldest first; the caller's own.
    """

    def __init__(self) -> None:
        self.alone: dict[Any, None] = {}
        self._sessions: dict[object, _Session] = {}  # that used last is the last one
        self._handled: dict[object, tuple[int, float]] = {}  # of sessions with nothing else
        self._size = 0

    def __len__(self) -> int:
        """How many calls are known."""
        return sum(len(session.calls) for session in self._sessions.values())

    def find(self, who: object, number: int, now: float) -> Call | None:
        """The call of this number; None if it is new.

        Parameters:
            who: the session, and the user it belongs to; anything hashable.

        Raises:
            LookupError: if it was handled, but nothing else is known.
        """
        self._expire(now)
        session = self._sessions.get(who)
        if session is None:
            handled, _ = self._handled.get(who, (0, 0.0))
        else:
            for old in session.answered():
                if old.answered > now - SECONDS:
                    break
                self._size -= session.forget(old)
            if number in session.calls:
                return session.calls[number]
            handled = session.handled
        if number <= handled:
            raise LookupError("this message was handled, but its answer is kept no longer")
        return None

    def begin(self, who: object, number: int, now: float, handling: Any) -> Call | None:
        """A new message is about to be handled; None if too many of its session are."""
        session = self._sessions.get(who)
        if session is None:
            handled, _ = self._handled.pop(who, (0, 0.0))
            session = _Session(handled, now)
        elif len(session.calls) - len(session.answered()) >= ANSWERS:
            return None
        self._use(who, session, now)
        call = session.calls[number] = Call(who, number, handling)
        return call

    def end(self, call: Call, answer: Answer | None, now: float) -> None:
        """A message was handled.

        Parameters:
            answer: None if the handler was cancelled. It is not called again.
        """
        session = self._sessions[call.who]
        self._use(call.who, session, now)
        call.handling = None
        if answer is None:
            session.forget(call)
            return
        call.answer, call.answered = answer, now
        session.size += len(answer.data)
        self._size += len(answer.data) + OVERHEAD
        answered = session.answered()
        too_many = len(answered) - ANSWERS
        for place, oldest in enumerate(answered):
            if place >= too_many and session.size <= SESSION_SIZE:
                break
            self._size -= session.forget(oldest)
        self._expire(now)

    def _use(self, who: object, session: _Session, now: float) -> None:
        session.used = now
        self._sessions.pop(who, None)
        self._sessions[who] = session

    def _expire(self, now: float) -> None:
        while self._sessions:
            who, session = next(iter(self._sessions.items()))
            if session.used > now - SECONDS and self._size <= TOTAL_SIZE:
                break
            for call in session.answered():
                self._size -= session.forget(call)
            if session.calls:
                self._use(who, session, now)  # some are being handled
                break
            del self._sessions[who]
            self._handled[who] = session.handled, now
        while self._handled:
            who, (_, since) = next(iter(self._handled.items()))
            if since > now - SESSION_SECONDS and len(self._handled) <= SESSIONS:
                break
            del self._handled[who]
