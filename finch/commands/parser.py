"""The words of a command line: what all commands take, and how their numbers are read."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from finch.cluster.control import Place

_MOST: Final = 999  # workers; more is a mistake of writing


def begun_parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
    """A parser with what all commands take."""
    parser = argparse.ArgumentParser(
        prog=prog, description=description, epilog=epilog, allow_abbrev=False
    )
    parser.add_argument(
        "app",
        help="module:attribute; the default attribute is 'app'; it may be a call: app:create_app()",
    )
    parser.add_argument(
        "--log-level",
        default="info",
        choices=("debug", "info", "warning", "error", "critical"),
        help="what to log (%(default)s)",
    )
    return parser


def port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; write a number from 0 to 65535")
    return int(text)


def descriptor(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a descriptor; write a number from 0 on")
    return int(text)


def workers(text: str) -> int:
    """How many workers; 0 for one for each core."""
    if text == "auto":
        return 0
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:5]) <= _MOST:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no number of workers; write a number from 1 to {_MOST}, or auto"
        )
    return int(text)


def place(text: str) -> Place:
    from finch.cluster.control import Place

    try:
        return Place.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError("only Finch itself uses it; write --workers") from None
