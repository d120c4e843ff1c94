"""Posting: what this process publishes, on its way to Redis.

Messages are sent in the order in which they were posted, many before the first answer has come. If
the answers are late, messages wait here, and volatile ones replace each other.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Awaitable, Callable, Hashable
from typing import Any, Final

import trio

from finch.cluster.connection import Refused
from finch.cluster.line import Line
from finch.cluster.unsent import Unsent
from finch.errors import Unavailable
from finch.turns import account

PATIENCE: Final = 5.0
"""Seconds that a message waits for Redis, before its sender is told that it was not sent."""

_WINDOW: Final = 1024  # messages that are sent before the first of them is answered
_MOST: Final = 10_000  # messages that wait here
_SOON: Final = 2 * _WINDOW  # messages that wait, after which whoever posts waits too
_SLOW: Final = 1.0  # seconds


class Post:
    """A command that publishes something.

    Parameters:
        command: the command; or what makes it, as soon as there is a connection.

    Attributes:
        settled: set when it is answered, or has failed.
        result: the answer.
        error: why it has failed; None if it has not.
        sent: whether it was sent to Redis.
        given_up: whether its sender was told that it was not sent, so that it must not be.
        until: when it is too old to be sent, by trio's clock.
    """

    __slots__ = ("command", "error", "given_up", "result", "sent", "settled", "until")

    def __init__(self, command: tuple[Any, ...] | Callable[[], tuple[Any, ...]]) -> None:
        self.command = command
        self.settled = trio.Event()
        self.result: Any = None
        self.error: str | None = None
        self.sent = False
        self.given_up = False
        self.until = math.inf

    def answered(self, result: Any) -> None:
        """Redis has answered."""
        self.result = result
        self.settled.set()

    def cut(self) -> None:
        """The connection has ended before the answer came."""
        self.fail("the connection ended before the answer came")

    def fail(self, error: str) -> None:
        """It will not be answered."""
        if not self.settled.is_set():
            self.error = error
            self.settled.set()


class Posting:
    """The posts of one process.

    Parameters:
        line: the connection.
        patience: seconds that a post waits.

    Attributes:
        lost: how many posts that nobody waited for were lost, as a connection ended.
    """

    def __init__(self, line: Line, patience: float = PATIENCE) -> None:
        self._line = line
        self._patience = patience
        self._unsent: Unsent[Post] = Unsent(_MOST)
        self._sent: deque[tuple[Post, Awaitable[Any], float]] = deque()
        self._posted = trio.Event()  # there is something to send
        self._asked = trio.Event()  # there is an answer to wait for
        # why the last post was refused, if it was, by what it was
        self._refused: dict[type[Post], str] = {}
        self.lost = 0

    def ails(self) -> str | None:
        """Why posts fail or wait, if they do."""
        if self._sent and trio.current_time() - self._sent[0][2] > _SLOW:
            return "it is slow"
        return next(iter(self._refused.values()), None)

    @property
    def down(self) -> str | None:
        """Why there is no connection; None if there is one."""
        return None if self._line.up else self._line.why

    @property
    def replaced(self) -> int:
        """How many volatile messages were replaced on their way to Redis."""
        return self._unsent.replaced

    @property
    def unsent(self) -> int:
        """How many messages wait to be sent, or for an answer."""
        return len(self._unsent) + len(self._sent)

    def post_newest(self, kind: Hashable, post: Post) -> None:
        """Post a volatile message. It replaces one of its kind that still waits."""
        self._unsent.put_newest(kind, post)
        self._posted.set()

    def post_now(self, post: Post) -> bool:
        """Post something that nobody waits for. False if too much waits already."""
        post.until = trio.current_time() + self._patience
        self._posted.set()
        return self._unsent.put(post)

    async def post(self, post: Post, done: str, *, wait: bool = False) -> None:
        """Post something.

        Parameters:
            done: what was done already, for the error.
            wait: whether to wait for the answer. Without a connection, it is always waited for, and
                also if much waits: whoever posts faster than Redis takes it is slowed down.

        Raises:
            Unavailable: if Redis refuses it, or if the answer does not come in time.
        """
        post.until = trio.current_time() + self._patience
        if not self._unsent.put(post):
            raise Unavailable(f"{_MOST} messages wait for Redis already", done)
        self._posted.set()
        if not wait and self._line.up and self.unsent < _SOON:
            if account.spend():  # somebody may post in an endless loop
                await trio.lowlevel.checkpoint()
            return
        try:
            with trio.move_on_after(self._patience):
                await post.settled.wait()
        finally:
            post.given_up = True
        if post.error is None and post.settled.is_set():
            return
        why = post.error or (
            f"no answer in {self._patience:g} s" if self._line.up else self._line.why
        )
        raise Unavailable(why, f"{done}, and perhaps others, too" if post.sent else done)

    async def run(self) -> None:
        """Send what is posted, as long as the connection lasts.

        Raises:
            Broken: if it has ended.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._settle)
            while True:
                self._posted = trio.Event()
                while self._unsent and self._has_room():
                    self._send(self._unsent.first())  # if there is no connection, it waits on
                    self._unsent.take()
                    if account.spend():
                        await trio.lowlevel.checkpoint()
                await self._posted.wait()

    def _has_room(self) -> bool:
        """Whether something can be sent now. If not, it is sent after the next answer."""
        return not self._sent or (len(self._sent) < _WINDOW and not self._line.is_full)

    def _send(self, post: Post) -> None:
        now = trio.current_time()
        if post.given_up or now > post.until:
            self.lost += not post.given_up
            post.fail("it has waited too long for Redis")
            return
        command = post.command if isinstance(post.command, tuple) else post.command()
        answer = self._line.ask(*command)
        post.sent = True
        self._sent.append((post, answer, now))
        self._asked.set()

    async def _settle(self) -> None:
        while True:
            self._asked = trio.Event()
            while self._sent:
                post, answer, _ = self._sent[0]
                try:
                    post.answered(await answer)
                    self._refused.pop(type(post), None)
                except Refused as error:
                    self._refused[type(post)] = str(error)
                    post.fail(str(error))
                self._sent.popleft()
                self._posted.set()  # there is room for another one
                if account.spend():
                    await trio.lowlevel.checkpoint()
            await self._asked.wait()

    def cut(self) -> None:
        """The connection has ended."""
        while self._sent:
            post, _, _ = self._sent.popleft()
            self.lost += not post.settled.is_set()
            post.cut()
