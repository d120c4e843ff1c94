"""Tells systemd how far a service is, if systemd wants to know (``Type=notify``)."""

from __future__ import annotations

import os
import socket
import time


def notify(*states: str) -> None:
    """Send states to the socket that ``NOTIFY_SOCKET`` names. Without one, nothing happens; if
    nobody reads it, neither.

    Parameters:
        states: such as ``READY=1``.

    Source: sd_notify(3).
    """
    where = os.environ.get("NOTIFY_SOCKET", "")
    if not where.startswith(("/", "@")):
        return
    if where.startswith("@"):
        where = f"\0{where[1:]}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        try:
            sock.sendto("\n".join(states).encode(), socket.MSG_DONTWAIT, where)
        except OSError:
            pass


def reloading() -> None:
    """Tell systemd that a reload begins; ``READY=1`` ends it (``Type=notify-reload``)."""
    notify("RELOADING=1", f"MONOTONIC_USEC={time.monotonic_ns() // 1000}")
