"""``finch types app:app``: print the types of an application's sockets, as TypeScript."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Final

from finch.commands.output import say
from finch.commands.parser import begun_parser
from finch.finding import Mistake, find_app

SETTINGS: Final = ("app", "log_level", "log_format")


def new_parser() -> argparse.ArgumentParser:
    parser = begun_parser(
        "finch types",
        "Print finch.d.ts with the types of an application's sockets, for editors.",
        "finch types app:app --output static/finch.d.ts",
        SETTINGS,
    )
    parser.add_argument(
        "--output", default=None, metavar="FILE", help="write them to a file instead"
    )
    return parser


def perform(options: argparse.Namespace) -> int:
    app = find_app(options.app)
    text = app.types()
    if options.output is None:
        say(text.rstrip("\n"), sys.stdout)
        return 0
    try:
        Path(options.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Mistake(f"the types cannot be written to {options.output}: {error}") from None
    return 0
