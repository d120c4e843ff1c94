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
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from typing import Any, Final

import trio
from coredis.exceptions import ClusterDownError, ConnectionError, MovedError

from finch.cluster.address import Address, Heard, Rest, Server, server_of
from finch.cluster.connection import Answer, Connection, Refused
from finch.cluster.slots import Node, Slots

_OLDEST: Final = 7  # the first version of Redis that has SPUBLISH
_LOOK: Final = 5.0  # seconds between two looks at which node has which slot
_OF_ALL: Final = (b"PING", b"SCRIPT")  # commands without a key


class Shards:
    """A connection to all main nodes of a cluster. It is used as one to a single server.

    Parameters:
        address: where the cluster is.
        slots: which node has which slot.
        heard, rest: as of :class:`finch.cluster.connection.Connection`.
    """

    def __init__(
        self, address: Address, slots: Slots, heard: Heard | None, rest: Rest | None
    ) -> None:
        self._slots = slots
        self._nodes = {
            node: Connection(address.place_of(node), heard, rest) for node in slots.nodes
        }
        self._servers: dict[Node, Server] = {}

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
                for node in self._nodes:
                    starting.start_soon(self._connect, node, nursery)
            nursery.start_soon(self._watch)
            task_status.started()

    async def _connect(self, node: Node, nursery: trio.Nursery) -> None:
        connection = self._nodes[node]
        await nursery.start(connection.run)
        server = self._servers[node] = await server_of(connection)
        if server.version < _OLDEST:
            raise Refused(f"a Redis Cluster must have Redis {_OLDEST} or newer")
        info: Any = await connection.ask(b"CLUSTER", b"INFO")
        if b"cluster_state:ok" not in bytes(info):
            raise ConnectionError(f"the cluster does not work, says its node {node.host}")

    async def _watch(self) -> None:
        """Look whether each slot is still where it was. A node that has lost one may not be asked
        for it for a long time."""
        while True:
            await trio.sleep(_LOOK)
            node = secrets.choice(self._slots.nodes)
            if await slots_of(self._nodes[node], node) != self._slots:
                raise ConnectionError("slots of the cluster have moved")

    def end(self, why: str) -> None:
        """End it."""
        for connection in self._nodes.values():
            connection.end(why)

    # Used as a connection

    @property
    def pending(self) -> int:
        """Bytes that wait to be sent."""
        return sum(connection.pending for connection in self._nodes.values())

    def run_id(self, key: bytes) -> str:
        """The id of the run of the server that has a key."""
        return self._servers[self._slots.node_of(key)].run_id

    def ask(self, *command: Any) -> Awaitable[Any]:
        """Send a command now. The answer can be awaited later.

        Raises:
            ConnectionError: if there is no connection.
        """
        name, *arguments = _sharded(command)
        if name in _OF_ALL:
            every = self._nodes.values()
            return _Answers(self, [one.ask(name, *arguments) for one in every])
        key = arguments[2] if name in (b"EVALSHA", b"EVAL") else arguments[0]
        return _Answers(self, [self._of(key).ask(name, *arguments)])

    def tell(self, command: bytes, *channels: bytes) -> None:
        """Subscribe to channels, or leave them.

        Raises:
            ConnectionError: if there is no connection.
        """
        for channel in channels:  # each may be in another slot
            self._of(channel).tell(b"S" + command, channel)

    def _of(self, name: bytes) -> Connection:
        return self._nodes[self._slots.node_of(name)]


class _Answers:
    """The answer of one node, or of all."""

    __slots__ = ("_answers", "_shards")

    def __init__(self, shards: Shards, answers: list[Answer]) -> None:
        self._shards = shards
        self._answers = answers

    def __await__(self) -> Generator[Any, None, Any]:
        found: list[Any] = []
        for answer in self._answers:
            try:
                found.append((yield from answer.__await__()))
            except (MovedError, ClusterDownError) as error:
                self._shards.end(f"the cluster changes: {error}")
                raise ConnectionError(f"the cluster changes: {error}") from None
        if any(one != found[0] for one in found):
            raise ConnectionError("the nodes of the cluster answer differently")
        return found[0]


def _sharded(command: tuple[Any, ...]) -> tuple[Any, ...]:
    """A command with sharded Pub/Sub instead of the other one."""
    if command[0] == b"PUBLISH":
        return (b"SPUBLISH", *command[1:])
    if command[0] in (b"SCRIPT", b"EVAL"):
        return tuple(
            part.replace("'PUBLISH'", "'SPUBLISH'") if isinstance(part, str) else part
            for part in command
        )
    return command


async def slots_of(connection: Connection, node: Node) -> Slots:
    """Which node has which slot, as one of them says.

    Raises:
        ConnectionError: if it does not know.
    """
    try:
        return Slots(await connection.ask(b"CLUSTER", b"SLOTS"), node)
    except ValueError as error:
        raise ConnectionError(str(error)) from None


async def connect(
    address: Address, nursery: trio.Nursery, heard: Heard | None = None, rest: Rest | None = None
) -> tuple[Connection | Shards, Callable[[bytes], str]]:
    """Connect to a Redis server, or to the cluster that it belongs to.

    Parameters:
        nursery: runs the connection.
        heard, rest: as of :class:`finch.cluster.connection.Connection`.

    Returns:
        The connection, and what tells the id of the run of the server that has a key.

    Raises:
        RedisError: if that fails.
        Refused: if it is a kind of Redis that does not work.
    """
    replaced = False

    async def run(
        connection: Connection, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED
    ) -> None:
        try:
            await connection.run(task_status=task_status)
        except* ConnectionError:
            if not replaced:
                raise

    one = await _reach(address, partial(nursery.start, run), heard, rest)
    server = await server_of(one)
    if not server.cluster:
        return one, lambda key: server.run_id
    if one.place.path is not None:
        raise Refused("a node of a Redis Cluster is reached by redis:// or rediss:// only")
    slots = await slots_of(one, Node(one.place.host, one.place.port))
    address.known = slots.nodes
    replaced = True
    one.end("others take its place")
    shards = Shards(address, slots, heard, rest)
    await nursery.start(shards.run)
    return shards, shards.run_id


async def _reach(
    address: Address,
    start: Callable[[Connection], Awaitable[Any]],
    heard: Heard | None,
    rest: Rest | None,
) -> Connection:
    """A connection to the first place of an address that accepts one."""
    failures: list[BaseException] = []
    for place in address.places():
        connection = Connection(place, heard, rest)
        before = len(failures)
        try:
            await start(connection)
        except* ConnectionError as group:
            failures.append(group)
        if len(failures) == before:
            return connection
    raise failures[0]
