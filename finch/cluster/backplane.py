"""The one door from an audience to the world: publish, number, keep, count.

An application begins in one process, and later runs in several. All that an audience needs of the
others goes through :class:`Backplane`. ``inprocess.py`` has its form for one process, which keeps
everything in memory and never waits; ``redis.py`` that for several.
"""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import trio

from finch.cluster.figures import Figures
from finch.cluster.history import History, Position
from finch.cluster.leader import Leader
from finch.cluster.views import People, Seen, Who
from finch.wire.envelope import Envelope

if TYPE_CHECKING:
    from finch.wire.posted import Belongs


class Channel(NamedTuple):
    """Whom something is for.

    Attributes:
        kind: ``everyone``, ``user``, ``room`` or ``client``.
        name: the user, the room or the client; empty for everyone.
    """

    kind: str
    name: str | int = ""


class Draft(NamedTuple):
    """A message that is about to be sent, as plain data: every process can make the same envelope
    of it. Its number is not known yet.

    Attributes:
        data: the message's data, as JSON.
        path: the channel on the clients' side.
        status: a status as in HTTP.
        timestamp: when it was made, in milliseconds since the epoch.
        room: the ``room`` that it carries, or None.
        volatile: whether only the newest matters.
        key: with the path, what a volatile message is the newest of; a pair whose first item is
            ``room``.
        skip: the id of the client that does not get it, or None.
        late: makes the envelope that a client of this process gets instead, if it was behind; None
            for the same.
    """

    data: bytes
    path: str
    status: int
    timestamp: int
    room: str | None = None
    volatile: bool = False
    key: Any = None
    skip: str | None = None
    late: Callable[[], Envelope] | None = None

    def make(self, seq: int | None = None) -> Envelope:
        """The envelope.

        Parameters:
            seq: the message's number; None for a message without one.
        """
        room = self.room
        more: dict[str, Any] | None
        if room is None:
            more = None
        elif seq is None:
            more = {"room": room}
        else:
            more = {"room": room, "seq": seq}
        return Envelope.from_json(self.data, self.path, self.status, self.timestamp, None, more)


class Sent(int):
    """How many clients a message was sent to. It is an int, and knows the message's position.

    Attributes:
        position: epoch and number of the message; None if its audience has no history, or if it is
            volatile. ``str(position)`` is what a client sends as ``since``.
        seq: the number alone, or None.
    """

    position: Position | None = None

    @property
    def seq(self) -> int | None:
        return None if self.position is None else self.position.seq


class Missed(NamedTuple):
    """What a client has missed.

    Attributes:
        position: the position of the newest message.
        recovered: whether ``messages`` are all that it has missed.
        messages: pairs of number and message, in order.
    """

    position: Position
    recovered: bool
    messages: list[tuple[int, Envelope]]


class Asking(Protocol):
    """Who has asked clients, and waits for their answers."""

    def answer(self, client: str, user: str | int | None, status: int, data: bytes) -> None:
        """A client has answered.

        Parameters:
            client: its id.
            user: its user's id, or None.
            status: 0 if it has left; 400 or more if it could not answer.
            data: the answer, as JSON.
        """

    def end(self, error: str | None) -> None:
        """No more answers come.

        Parameters:
            error: why some may be missing, or None.
        """


class Backplane(ABC):
    """What an audience needs of the world.

    Attributes:
        shared: whether there are other processes. If so, whoever hears a channel must say so, by
            :meth:`hear` and :meth:`leave`.
        state: ``connected``; ``connecting`` if the others were never reached; ``degraded`` if they
            cannot be reached now.
    """

    shared = False
    state: str = "connected"

    @abstractmethod
    async def publish(self, channel: Channel, draft: Draft, history: History | None) -> Sent:
        """Number a message, keep it, and give it to all who hear this channel.

        Raises:
            Unavailable: if the others cannot be reached, and the message is not volatile.
        """

    @abstractmethod
    async def missed(
        self, channel: Channel, history: History, since: Position | None, last: int
    ) -> Missed:
        """What was published after a position; or, if that cannot be told, the last ``last``.

        The newest position is one up to which this process has given its clients everything, and
        nothing is given to them between that look and the return.

        Raises:
            Unavailable: if the others cannot be reached, and it is not known here.
        """

    @abstractmethod
    def count(self, channel: Channel) -> int:
        """How many clients hear this channel: of all processes if it is heard here, or if it is
        that of everyone; of this process if not."""

    @abstractmethod
    async def count_everywhere(self, channel: Channel) -> int:
        """How many clients of all processes hear this channel.

        Raises:
            Unavailable: if the others cannot be reached.
        """

    @abstractmethod
    def counted(self, channel: Channel) -> None:
        """The number of clients here that hear a channel has changed."""

    @abstractmethod
    def attend(self, channel: Channel, changes: list[tuple[Who, Seen | None]]) -> People | None:
        """Who is present here has changed.

        Returns:
            Who is present in all processes; None if only this one is known.
        """

    @abstractmethod
    def ask(
        self, channel: Channel, path: str, data: bytes, asking: Asking
    ) -> Callable[[], None] | None:
        """Ask the clients of other processes that hear this channel.

        Parameters:
            path: the channel on the clients' side.
            data: the question, as JSON.
            asking: is told of the answers.

        Returns:
            What gives up waiting for the answers; None if there are no other processes.
        """

    async def pass_on(self, belongs: Belongs, lines: str) -> int:
        """Pass the messages of a POST on to the process that has the stream of its client.

        Parameters:
            belongs: to which stream they belong.
            lines: the messages, one a line.

        Returns:
            The status of its answer: 410 if no process has the stream.

        Raises:
            Unavailable: if the others cannot be reached.
        """
        return 410

    @abstractmethod
    async def farewell(self) -> None:
        """The application ends."""

    @abstractmethod
    async def close(self, channel: Channel, code: int, reason: str, skip: str | None) -> int:
        """Close the connections of all who hear this channel, but one; how many they were here.

        Raises:
            Unavailable: if the others cannot be reached. The connections here are closed.
        """

    @abstractmethod
    async def hear(self, channel: Channel, client: str, history: History | None) -> None:
        """A client is about to hear this channel. When this returns, it misses nothing more.

        Parameters:
            client: its id. It need not be given twice.
            history: which messages of the channel are kept.

        Raises:
            Unavailable: if the others cannot be reached, and messages are kept. Call :meth:`leave`.
        """

    @abstractmethod
    def leave(self, channel: Channel, client: str) -> None:
        """A client hears this channel no longer. A client that does not is ignored."""

    @abstractmethod
    async def run(
        self,
        everyone: History | None,
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """What runs as long as the application is served.

        Parameters:
            everyone: which messages to everyone are kept.
            task_status: started when the others were reached, or if that takes long.

        Raises:
            ConfigurationError: if the others refuse this process.
        """

    def candidate(self, leader: Leader) -> Callable[[], Awaitable[None]] | None:
        """What lets this process be elected among all, as long as it runs; None if there are no
        other processes.

        Parameters:
            leader: is appointed and dismissed.
        """
        return None

    def figures(self) -> Figures:
        """How it is doing."""
        return Figures()

    def new_client_id(self) -> str:
        """A random id for a client: 22 characters, at least 96 random bits."""
        return secrets.token_urlsafe(16)


class Local(Protocol):
    """The clients of this process."""

    def deliver(self, channel: Channel, envelope: Envelope, draft: Draft) -> int:
        """Give a message to those who hear a channel; how many they were."""

    def count(self, channel: Channel) -> int:
        """How many hear a channel."""

    async def close(self, channel: Channel, code: int, reason: str, skip: str | None) -> int:
        """Close the connections of those who hear a channel, but one; how many they were."""

    def label(self, channel: Channel) -> str | None:
        """The ``room`` that messages of a channel carry."""

    def lost(self, channel: Channel, position: Position) -> None:
        """Tell those who hear a channel that they may have missed messages, and that from now on
        they get what comes after this position."""

    def ask(
        self, channel: Channel, path: str, data: bytes, asking: Asking
    ) -> tuple[list[str], Callable[[], None]]:
        """Ask those who hear a channel. Returns their ids, and what gives up waiting for them."""

    async def take(self, belongs: Belongs, lines: str, patience: float) -> int | None:
        """Take the messages of a POST; None if its client is not here."""

    def attended(self, channel: Channel) -> None:
        """Who is present elsewhere has changed: those who hear a channel must be told."""

    async def rest(self) -> None:
        """Let other tasks have the turns that deliveries have used up."""
