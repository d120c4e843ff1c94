"""``python -m benchmarks.broadcast``: broadcasts, and idle memory: Finch beside websockets."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from benchmarks import duel, workloads


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; the options are those of :mod:`benchmarks.duel`."""
    description = (
        "Broadcasts to 1,000 clients and idle memory: Finch beside the websockets library."
    )
    return duel.main("broadcast", description, workloads.named("broadcast-1000"), arguments)


if __name__ == "__main__":
    sys.exit(main())
