"""``finch types``, ``finch openapi`` and ``finch asyncapi``: print a description of an application,
or write it to a file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from finch.commands.output import say
from finch.commands.parser import begun_parser
from finch.finding import Mistake, find_app

if TYPE_CHECKING:
    from finch.app import FinchApp


def _json(document: dict[str, Any]) -> str:
    return msgspec.json.format(msgspec.json.encode(document), indent=2).decode() + "\n"


_WHAT: Final[dict[str, tuple[str, str, Callable[[FinchApp], str]]]] = {
    "types": (
        "finch.d.ts with the types of an application's sockets, for editors",
        "static/finch.d.ts",
        lambda app: app.types(),
    ),
    "openapi": (
        "the description of an application's routes, as OpenAPI 3.1",
        "openapi.json",
        lambda app: _json(app.openapi()),
    ),
    "asyncapi": (
        "the description of an application's sockets, as AsyncAPI 3.0",
        "asyncapi.json",
        lambda app: _json(app.asyncapi()),
    ),
}


class Describe:
    """One of these commands.

    Parameters:
        word: its name: ``types``, ``openapi`` or ``asyncapi``.
    """

    SETTINGS: Sequence[str] = ("app", "log_level", "log_format")

    def __init__(self, word: str) -> None:
        self._word = word
        self._what, self._file, self._make = _WHAT[word]

    def new_parser(self) -> argparse.ArgumentParser:
        """What reads the words behind the command's name."""
        parser = begun_parser(
            f"finch {self._word}",
            f"Print {self._what}.",
            f"finch {self._word} app:app --output {self._file}",
            self.SETTINGS,
        )
        parser.add_argument(
            "--output", default=None, metavar="FILE", help="write to a file instead"
        )
        return parser

    def perform(self, options: argparse.Namespace) -> int:
        """Print or write it."""
        text = self._make(find_app(options.app))
        if options.output is None:
            say(text.rstrip("\n"), sys.stdout)
            return 0
        try:
            Path(options.output).write_text(text, encoding="utf-8")
        except OSError as error:
            raise Mistake(f"{options.output} cannot be written: {error}") from None
        return 0
