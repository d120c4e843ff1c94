"""Slots: which node of a Redis Cluster has which key. Plain data: no I/O.

Source: https://redis.io/docs/latest/operate/oss_and_stack/reference/cluster-spec, "Key distribution
model" and "Hash tags".
"""

from __future__ import annotations

from binascii import crc_hqx
from typing import Any, Final, NamedTuple

SLOTS: Final = 16_384


class Node(NamedTuple):
    """Where one Redis server of a cluster is."""

    host: str
    port: int


def slot_of(name: bytes) -> int:
    """The slot of a key or channel: that of the part in braces, if there is one."""
    begin = name.find(b"{")
    end = name.find(b"}", begin + 1)
    if 0 <= begin < end - 1:
        name = name[begin + 1 : end]
    return crc_hqx(name, 0) % SLOTS  # CRC-16/XMODEM


class Slots:
    """Which main node has which slot.

    Parameters:
        answer: that of ``CLUSTER SLOTS``: for each range, its first and its last slot, then its
            nodes, the main one first. A node begins with host and port.
        asked: the node that has answered. A node that does not know its own host names none.

    Attributes:
        nodes: the main nodes.

    Raises:
        ValueError: if it is something else, or if a slot has no node.
    """

    def __init__(self, answer: Any, asked: Node) -> None:
        self._owners: list[Node | None] = [None] * SLOTS
        try:
            for first, last, main, *_ in answer:
                host = bytes(main[0] or b"").decode() or asked.host
                self._owners[first : last + 1] = [Node(host, int(main[1]))] * (last + 1 - first)
        except (TypeError, ValueError, IndexError):
            raise ValueError("the node does not say which slots there are") from None
        if None in self._owners or len(self._owners) != SLOTS:
            raise ValueError("not all slots of the cluster have a node")
        self.nodes = tuple(sorted({node for node in self._owners if node is not None}))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Slots) and self._owners == other._owners

    __hash__ = None  # type: ignore[assignment]

    def node_of(self, name: bytes) -> Node:
        """The node that has a key or channel."""
        node = self._owners[slot_of(name)]
        assert node is not None
        return node
