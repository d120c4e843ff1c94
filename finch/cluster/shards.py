"""Shards: a Redis Cluster as one connection: each command goes to the node that has its key.

There is one connection to each main node. All keys and channels of one audience are in one slot, so
everything that must be in order goes over one connection. If one of them ends, or a slot has moved,
all end: the line makes them anew, with all that belongs to a new beginning. By default a cluster
whose main node is missing refuses everything anyway, so little would be gained by going on with
the others.

Messages are published by SPUBLISH, which reaches the one node that has the channel; PUBLISH would
send each message through all nodes.

Source: https://redis.io/docs/latest/develop/interact/pubsub, "Sharded Pub/Sub".
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing
from typing import Any, Final

import trio
from coredis.connection import BaseConnection, TCPLocation
from coredis.exceptions import (
    ClusterDownError,
    ConnectionError,
    MovedError,
    RedisError,
    ResponseError,
)

from finch.cluster.address import Address, Refused, Server, server_of
from finch.cluster.slots import Node, Slots

_OLDEST: Final = 7  # the first version of Redis that has SPUBLISH
_LOOK: Final = 5.0  # seconds between two looks at which node has which slot
_PUSHES: Final = 1024  # messages that have come and are not handled yet
_OF_ALL: Final = (b"PING", b"SCRIPT LOAD")  # commands without a key


class Shards:
    """A connection to all main nodes of a cluster. It is used as one to a single server.

    Parameters:
        address: where the cluster is.
        slots: which node has which slot.
    """

    def __init__(self, address: Address, slots: Slots) -> None:
        self._address = address
        self._slots = slots
        self._nodes: dict[Node, _OneNode] = {}
        self._pushed, self._pushes = trio.open_memory_channel[list[Any]](_PUSHES)

    # Its life

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        """Connect to all nodes, as long as all connections last.

        Parameters:
            task_status: started when there are all connections.

        Raises:
            ConnectionError: if one has ended, or if a slot has moved.
            Refused: if a node is none that works.
        """
        async with trio.open_nursery() as nursery:
            async with trio.open_nursery() as starting:
                for node in self._slots.nodes:
                    starting.start_soon(self._connect, node, nursery)
            nursery.start_soon(self._watch)
            task_status.started()

    async def _connect(self, node: Node, nursery: trio.Nursery) -> None:
        connection = await self._address.connection(node)
        await nursery.start(connection.run)
        server = await server_of(connection)
        if server.version < _OLDEST:
            raise Refused(f"a Redis Cluster must have Redis {_OLDEST} or newer")
        info: Any = await connection.create_request(b"CLUSTER INFO")
        if b"cluster_state:ok" not in bytes(info):
            raise ConnectionError(f"the cluster does not work, says its node {node.host}")
        one = self._nodes[node] = _OneNode(connection, server)
        nursery.start_soon(self._listen, one)

    async def _listen(self, one: _OneNode) -> None:
        opened: Any = one.connection.push_messages
        async with aclosing(opened) as pushes:
            async for push in pushes:
                if push[0] == b"smessage":
                    await self._pushed.send([b"message", push[1], push[2]])
                elif push[0] == b"sunsubscribe" and not one.was_left(push[1]):
                    raise ConnectionError("a slot of the cluster has moved")

    async def _watch(self) -> None:
        """Look whether each slot is still where it was. A node that has lost one may not be asked
        for it for a long time."""
        while True:
            await trio.sleep(_LOOK)
            node = secrets.choice(self._slots.nodes)
            if await slots_of(self._nodes[node].connection, node) != self._slots:
                raise ConnectionError("slots of the cluster have moved")

    def invalidate(self, why: str) -> None:
        """End it."""
        for one in self._nodes.values():
            one.connection.invalidate(why)

    # Used as a connection

    @property
    def push_messages(self) -> AsyncIterator[list[Any]]:
        """What was published on channels that are subscribed to."""
        return self._pushes

    def run_id(self, key: bytes) -> str:
        """The id of the run of the server that has a key."""
        return self._one(key).server.run_id

    def create_request(self, command: bytes, *arguments: Any) -> Awaitable[Any]:
        """Send a command now. The answer can be awaited later.

        Raises:
            ConnectionError: if there is no connection.
        """
        command, arguments = _sharded(command, arguments)
        if command in _OF_ALL:
            return _Answers([one.ask(self, command, *arguments) for one in self._nodes.values()])
        key = arguments[2] if command in (b"EVALSHA", b"EVAL") else arguments[0]
        return self._one(key).ask(self, command, *arguments)

    def send_command(self, command: bytes, *names: bytes) -> None:
        """Subscribe to channels, or leave them.

        Raises:
            ConnectionError: if there is no connection.
        """
        used = set()
        for name in names:
            one = self._one(name)
            used.add(one)
            if command == b"UNSUBSCRIBE":
                one.left[name] += 1
            one.connection.send_command(b"S" + command, name)
        for one in used:
            one.fence = _Fence(one.connection)

    def _one(self, name: bytes) -> _OneNode:
        return self._nodes[self._slots.node_of(name)]


class _OneNode:
    """The connection to one node.

    Attributes:
        left: channels that were left, by how often that is not confirmed yet.
        fence: follows the last subscription; None if that is known to have worked.
    """

    def __init__(self, connection: BaseConnection, server: Server) -> None:
        self.connection = connection
        self.server = server
        self.left: Counter[bytes] = Counter()
        self.fence: _Fence | None = None

    def was_left(self, name: bytes) -> bool:
        """Whether this process itself has left a channel."""
        self.left[name] -= 1
        if self.left[name] >= 0:
            self.left += Counter()  # without those that are zero
            return True
        return False

    def ask(self, shards: Shards, command: bytes, *arguments: Any) -> _Answer:
        """Send a command."""
        request = self.connection.create_request(command, *arguments)
        return _Answer(request, shards, self, self.fence)


class _Fence:
    """A PING behind a subscription.

    If a node refuses a subscription, because the slot has moved, its error is taken for the answer
    to the next command, and each answer after that for the one to another command. The PING gets
    that error first. Every later answer is believed only if the PING got its own.
    """

    def __init__(self, connection: BaseConnection) -> None:
        self._token = secrets.token_bytes(8)
        self._request = connection.create_request(b"PING", self._token)

    async def check(self) -> None:
        """Raise if the subscription was refused.

        Raises:
            ConnectionError: if it was.
        """
        try:
            answer: Any = await self._request
        except RedisError as error:
            raise ConnectionError(f"the cluster refuses a subscription: {error}") from None
        if bytes(answer) != self._token:
            raise ConnectionError("the answers of the cluster are out of order")


class _Answer:
    """The answer of one node."""

    __slots__ = ("_fence", "_one", "_request", "_shards")

    def __init__(
        self, request: Awaitable[Any], shards: Shards, one: _OneNode, fence: _Fence | None
    ) -> None:
        self._request = request
        self._shards = shards
        self._one = one
        self._fence = fence

    def __await__(self) -> Generator[Any, None, Any]:
        return self._get().__await__()

    async def _get(self) -> Any:
        try:
            try:
                return await self._request
            finally:
                if self._fence is not None:
                    await self._fence.check()  # answered before
                    if self._one.fence is self._fence:
                        self._one.fence = None
        except (MovedError, ClusterDownError) as error:
            self._shards.invalidate(str(error))
            raise ConnectionError(f"the cluster changes: {error}") from None
        except ConnectionError as error:
            self._shards.invalidate(str(error))
            raise


class _Answers:
    """The answer of all nodes."""

    __slots__ = ("_answers",)

    def __init__(self, answers: list[_Answer]) -> None:
        self._answers = answers

    def __await__(self) -> Generator[Any, None, Any]:
        return self._get().__await__()

    async def _get(self) -> Any:
        found = [await answer for answer in self._answers]
        if any(one != found[0] for one in found):
            raise ConnectionError("the nodes of the cluster answer differently")
        return found[0]


def _sharded(command: bytes, arguments: tuple[Any, ...]) -> tuple[bytes, tuple[Any, ...]]:
    """A command with sharded Pub/Sub instead of the other one."""
    if command == b"PUBLISH":
        return b"SPUBLISH", arguments
    if command in (b"SCRIPT LOAD", b"EVAL"):
        script, *others = arguments
        return command, (script.replace("'PUBLISH'", "'SPUBLISH'"), *others)
    return command, arguments


async def slots_of(connection: BaseConnection, node: Node) -> Slots:
    """Which node has which slot, as one of them says.

    Raises:
        ConnectionError: if it does not know.
    """
    try:
        return Slots(await connection.create_request(b"CLUSTER SLOTS"), node)
    except ValueError as error:
        raise ConnectionError(str(error)) from None


async def connect(
    address: Address, nursery: trio.Nursery
) -> tuple[BaseConnection | Shards, Callable[[bytes], str]]:
    """Connect to a Redis server, or to the cluster that it belongs to.

    Parameters:
        nursery: runs the connection.

    Returns:
        The connection, and what tells the id of the run of the server that has a key.

    Raises:
        RedisError: if that fails.
        Refused: if it is a kind of Redis that does not work.
    """
    first = await address.connection()
    try:
        await nursery.start(first.run)
    except ResponseError as error:
        if "SELECT" in str(error):
            raise Refused("a Redis Cluster has only the database 0") from None
        raise
    server = await server_of(first)
    if not server.cluster:
        return first, lambda key: server.run_id
    if not isinstance(first.location, TCPLocation):
        raise Refused("a node of a Redis Cluster is reached by redis:// or rediss:// only")
    slots = await slots_of(first, Node(first.location.host, first.location.port))
    address.known = slots.nodes
    first.invalidate("another connection takes its place")
    shards = Shards(address, slots)
    await nursery.start(shards.run)
    return shards, shards.run_id
