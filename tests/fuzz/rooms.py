"""Stories of rooms, users and calls, from bytes: three for each step of ``tests.sockets.world``."""

from random import Random
from typing import Final

from tests.sockets.world import ROOMS, VERBS, WHO, Step, live_through

_LONGEST: Final = 400  # steps


def target(data: bytes) -> None:
    """Live through a story, and hold everything that the clients hear against the model.

    Raises:
        AssertionError: if something is lost, doubled, out of order or left behind.
    """
    reader = "hub" if data[:1] > b"\x7f" else "task"
    live_through(story(data[1:]), reader)


def story(data: bytes) -> list[Step]:
    """The steps that these bytes stand for. All bytes stand for some."""
    return [
        Step(
            VERBS[data[at] % len(VERBS)],
            WHO[data[at + 1] // 8 % len(WHO)],
            data[at + 2] // 8 % len(ROOMS),
            data[at + 2] % 8,
            data[at + 1] % 8 < 5,
        )
        for at in range(0, min(len(data) - 2, _LONGEST * 3), 3)
    ]


def valid(random: Random) -> bytes:
    """A story of eighty steps."""
    return random.randbytes(1 + 3 * 80)
