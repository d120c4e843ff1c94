"""The words of a command line, made from the table of settings."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from typing import Any

from finch.settings import BY_NAME, SETTINGS, SWITCH, Setting, Value, read
from finch.settings import LIST as SEVERAL


def begun_parser(
    prog: str, description: str, epilog: str, settings: Iterable[str] = ()
) -> argparse.ArgumentParser:
    """A parser with some settings, and where else they may come from.

    What is not given is left out of its result: then another source may say it.
    """
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=epilog,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    for name in settings:
        _add(parser, BY_NAME[name])
    if settings:
        parser.add_argument(
            "--config",
            metavar="FILE",
            help="a TOML file with settings (finch.toml, or [tool.finch] in pyproject.toml)",
        )
    return parser


def _add(parser: argparse.ArgumentParser, setting: Setting) -> None:
    text = setting.help.replace("%", "%%") + _default(setting)
    if setting.name == "app":
        parser.add_argument("app", nargs="?", help=text)
        return
    more: dict[str, Any] = {"metavar": setting.metavar} if setting.metavar else {}
    if setting.kind is SWITCH:
        more = {"action": argparse.BooleanOptionalAction}
    elif setting.choices:
        more["choices"] = setting.choices
    else:
        more["type"] = _reader(setting)
        if setting.kind is SEVERAL:
            more["action"] = "extend"
    parser.add_argument(setting.option, help=text, **more)


def _default(setting: Setting) -> str:
    if setting.default in (None, (), False):
        return ""
    return f" ({'yes' if setting.default is True else setting.default})"


def _reader(setting: Setting) -> Callable[[str], Value]:
    def convert(text: str) -> Value:
        try:
            return read(setting, text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def given_in(options: argparse.Namespace) -> dict[str, Value]:
    """The settings that the command line has given."""
    found = {}
    for setting in SETTINGS:
        value = getattr(options, setting.name, None)
        if value is not None:
            found[setting.name] = tuple(value) if isinstance(value, list) else value
    return found
