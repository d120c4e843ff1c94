"""The core of a client: brings what the conversation tells to the tasks that wait for it.

All handles (``Finch``, ``Room``, ``Stream``) stand on it. It does no I/O: the keeper gives it what
comes, and is woken if there is something to send.
"""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

import trio

from finch.client.answers import Answers
from finch.client.calls import Call, another
from finch.client.conversation import Conversation
from finch.client.events import (
    Arrived,
    Asked,
    Dropped,
    Ended,
    Event,
    Happening,
    Item,
    Joined,
    Refused,
    State,
    StateChanged,
)
from finch.client.mailbox import Events, Mailboxes
from finch.client.membership import Membership
from finch.client.options import Options
from finch.client.pending import Answer, Waiter, decoder_of
from finch.client.said import Message
from finch.errors import ConnectionClosed, FinchError

_log = logging.getLogger("finch.client")

_BACKPRESSURE: Final = 64 * 1024  # characters that may wait to be written before a send waits
_OVERFULL: Final = 16  # times its size: no mailbox gets fuller than this, whoever waits


class RoomState:
    """One room, for all blocks that have joined it.

    Attributes:
        membership: what is known of it.
        messages: the iterators over its messages.
        blocks: how many blocks are in it.
        answered: set when the first join was answered.
        recovered, missed: what the last answer to a join has said.
        error: why the client is not in it; None if it is, or will be.
    """

    def __init__(self, membership: Membership, messages: Mailboxes) -> None:
        self.membership = membership
        self.messages = messages
        self.blocks = 0
        self.answered = trio.Event()
        self.recovered = False
        self.missed = 0
        self.error: FinchError | None = None


class Core:
    """What the handles of one client share.

    Parameters:
        options: the limits.

    Attributes:
        conversation: all that is said.
        state: how far the client is.
        rooms: the rooms, by name.
        messages: the iterators over messages of no room.
        answers: who answers calls of the server.
        wake: called when there is something to write.
        spawn: starts a task that ends with the connection.
    """

    def __init__(self, options: Options) -> None:
        self.options = options
        self.conversation = Conversation(options.queue_size, options.queue_age)
        self.state = State.CONNECTING
        self.rooms: dict[str, RoomState] = {}
        self.messages = self.new_mailboxes()
        self.answers = Answers()
        self.wake: Callable[[], None] = lambda: None
        self.spawn: Callable[..., Any] = lambda *_: None
        self.listeners: weakref.WeakSet[Events] = weakref.WeakSet()
        # weak: a stream that nobody iterates over any more is gone, and is then cancelled
        self._waiters: weakref.WeakValueDictionary[int, Waiter] = weakref.WeakValueDictionary()
        self._awaited = 0  # tasks that wait for an answer
        self._resumed = trio.Event()
        self._writable = trio.lowlevel.ParkingLot()

    def new_mailboxes(self) -> Mailboxes:
        """For a room, or for the connection."""
        return Mailboxes(self.options.buffer, self.resume)

    # What goes out

    async def ready(self) -> None:
        """Wait while much waits to be written. Comes before a message is made: so a task that is
        cancelled here has sent nothing."""
        await trio.lowlevel.checkpoint()
        while self.conversation.is_open and self.conversation.unsent > _BACKPRESSURE:
            await self._writable.park()

    def written(self) -> None:
        """Something was written, or there is nothing to write to."""
        if self.conversation.unsent <= _BACKPRESSURE:
            self._writable.unpark_all()

    async def send(self, path: str, data: Any, room: str | None, volatile: bool) -> bool:
        """Send a message that wants no answer."""
        check_path(path)
        await self.ready()
        conversation = self.conversation
        sent = conversation.send(path, data, trio.current_time(), room=room, volatile=volatile)
        self.wake()
        return sent

    def begin(self, path: str, data: Any, room: str | None, retry: bool, waiter: Waiter) -> Call:
        """Send a message that wants an answer."""
        now = trio.current_time()
        call = self.conversation.call(path, data, now, room=room, retry=retry)
        self._waiters[call.id] = waiter
        self.wake()
        return call

    def cancel(self, call: Call) -> None:
        """Nobody waits for an answer any longer."""
        self._waiters.pop(call.id, None)
        self.conversation.cancel(call, trio.current_time())
        self.wake()

    async def call(self, path: str, data: Any, room: str | None, as_type: Any, retry: bool) -> Any:
        """Send a message, and wait for its answer."""
        check_path(path)
        decoder_of(as_type)  # a wrong type raises before anything is sent
        await self.ready()
        answer = Answer(self.options.max_message_size)
        call = self.begin(path, data, room, retry, answer)
        try:
            with self.awaiting():
                await answer.ended.wait()
        finally:
            self.cancel(call)  # does nothing if it has ended
        return answer.value(as_type)

    # What comes in

    def receive(self, text: str) -> None:
        """A text of the server."""
        try:
            for happening in self.conversation.receive(text):
                self._tell(happening)
        except ValueError as error:
            _log.warning("%s; it is ignored", error)

    def tell(self, happened: list[Happening]) -> None:
        """Bring to the waiting tasks what has happened."""
        for happening in happened:
            self._tell(happening)

    def _tell(self, happening: Happening) -> None:
        if isinstance(happening, Arrived):
            self._arrived(happening.message)
        elif isinstance(happening, Item):
            waiter = self._waiters.get(happening.call.id)
            if waiter is None:
                self.cancel(happening.call)
            else:
                waiter.item(happening.data)
        elif isinstance(happening, Ended):
            waiter = self._waiters.pop(happening.call.id, None)
            if waiter is not None:
                waiter.answered(happening.data, happening.error)
        elif isinstance(happening, Asked):
            self.spawn(partial(self._answer, happening))
        elif isinstance(happening, Joined):
            self._joined(happening)
        elif isinstance(happening, Refused):
            self._refused(happening)
        else:
            if isinstance(happening, Dropped):
                _log.warning("a message to %r was not sent", happening.path)
            self.notify(happening)

    def _arrived(self, message: Message) -> None:
        """A room's own iterators come first; what none of them wants is for the connection's."""
        room_state = None if message.room is None else self.rooms.get(message.room)
        if room_state is not None and room_state.messages.deliver(message):
            return
        if self.messages.deliver(message):
            return
        (self.messages if room_state is None else room_state.messages).keep(message)
        if message.path == "error" and room_state is None:
            _log.warning("the server says: %r (status %s)", message.data, message.status)

    def _joined(self, joined: Joined) -> None:
        room_state = self.rooms.get(joined.membership.name)
        if room_state is not None:
            room_state.recovered, room_state.missed = joined.recovered, joined.missed
            room_state.messages.expect(joined.missed)
            room_state.answered.set()

    def _refused(self, refused: Refused) -> None:
        room_state = self.rooms.pop(refused.membership.name, None)
        if room_state is not None:
            room_state.error = refused.error
            room_state.messages.end(lambda: ending(refused.error))
            room_state.answered.set()

    async def _answer(self, asked: Asked) -> None:
        data, status = await self.answers.to(asked.message)
        self.conversation.answer(asked, data, status, trio.current_time())
        self.wake()

    # Events

    def move(self, changed: StateChanged) -> None:
        """Go into another state, and tell it."""
        self.state = changed.state
        self.notify(changed)

    def notify(self, event: Event) -> None:
        """Tell an event to all who iterate over events. A slow one misses the oldest."""
        for listener in list(self.listeners):
            listener.put(event)

    def end(self, error: FinchError) -> None:
        """The client is closed for good."""
        if self.state is State.CLOSED:
            return
        self.tell(self.conversation.end(error))
        self.messages.end(lambda: ending(error))
        code = error.code if isinstance(error, ConnectionClosed) else None
        reason = error.reason if isinstance(error, ConnectionClosed) else str(error)
        self.move(StateChanged(State.CLOSED, code, reason))
        for listener in list(self.listeners):
            listener.end()
        self.written()

    # Backpressure

    @contextmanager
    def awaiting(self) -> Iterator[None]:
        """While a task waits for an answer, reading goes on though a mailbox is full: the answer
        comes behind the messages. The task may be the one that should empty the mailbox."""
        self._awaited += 1
        self.resume()
        try:
            yield
        finally:
            self._awaited -= 1

    def resume(self) -> None:
        """Perhaps there is a reason to read on."""
        self._resumed.set()

    @property
    def paused(self) -> bool:
        """Whether nothing should be read now."""
        fullest = [self.messages.fullness]
        fullest += [room_state.messages.fullness for room_state in self.rooms.values()]
        fullest += [waiter.fullness for waiter in self._waiters.values()]
        return max(fullest) >= (_OVERFULL if self._awaited else 1)

    async def until_resumed(self) -> None:
        """Wait until there may be a reason to read on."""
        self._resumed = trio.Event()
        with trio.move_on_after(1):  # an iterator that is dropped does not say so
            await self._resumed.wait()


def ending(error: FinchError) -> FinchError | None:
    """What an iterator raises at the end of its connection: nothing after an ordinary end."""
    if isinstance(error, ConnectionClosed) and error.code == 1000:
        return None
    return another(error)


def check_path(path: object) -> None:
    """Refuse a path that is not text."""
    if not isinstance(path, str):
        raise TypeError(f"a message is sent to a path, not {path!r}; write send('say', data)")
