"""How a backplane is doing, in figures. Plain data."""

from __future__ import annotations

from typing import NamedTuple


class Figures(NamedTuple):
    """How a backplane is doing.

    Attributes:
        channels: the channels that are heard.
        peers: other processes that are known to live.
        unsent: messages that wait to be sent to the others, or for an answer.
        lost: messages so far that were on their way when the connection ended: others may not have
            got them.
    """

    channels: int = 0
    peers: int = 0
    unsent: int = 0
    lost: int = 0
