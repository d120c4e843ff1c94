"""What all servers of events tell their clients."""

from __future__ import annotations

from typing import Final

TEXT: Final = "an event for all who listen, of sixty-four letters in all ......"
"""The data of every event."""
