"""``python -m finch``: finds the command, does it, and turns what goes wrong into one line.

A mistake in the command line gives one clear line and an exit code. A traceback is shown only for
an exception in the application's own code.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import Any, Final, Protocol

from finch.blame import from_own_code, where
from finch.commands.output import Handler, complain, settle
from finch.commands.parser import given_in
from finch.errors import ConfigurationError
from finch.finding import Mistake
from finch.formats import format_for
from finch.settings import BY_NAME
from finch.sources import gather

_INTERRUPTED: Final = 128 + signal.SIGINT
_DESCRIPTIONS: Final = ("types", "openapi", "asyncapi")
_COMMANDS: Final = (
    *_DESCRIPTIONS,
    "new",
    "load",
)  # first words; everything else is an application to serve


class Command(Protocol):
    """What a module of ``finch.commands`` has, or an object that it makes.

    Attributes:
        SETTINGS: the names of the settings that it takes; it gets their values in ``options``.
    """

    SETTINGS: Sequence[str]

    def new_parser(self) -> argparse.ArgumentParser:
        """What reads the words behind the command's name."""

    def perform(self, options: argparse.Namespace) -> int:
        """Do what the words say.

        Returns:
            The exit code.
        """


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the application that the command line names, or do what its first word says.

    Parameters:
        arguments: by default, those of the process.

    Returns:
        The exit code: 0 after a graceful stop, 1 if it could not serve, 2 for a wrong command line,
        130 after Ctrl-C before it could serve.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    command = _command(words.pop(0) if words and words[0] in _COMMANDS else "serve")
    try:
        parser = command.new_parser()
        options = parser.parse_args(words)
        options.words = words
        return _guarded(parser, command, options)
    finally:
        settle(sys.stdout)
        settle(sys.stderr)


def _command(name: str) -> Command:
    """What performs a command. Only its module is imported."""
    if name in _DESCRIPTIONS:
        from finch.commands.describe import Describe

        return Describe(name)
    module: Any = importlib.import_module(f"finch.commands.{name}")
    command: Command = module
    return command


def _guarded(parser: argparse.ArgumentParser, command: Command, options: argparse.Namespace) -> int:
    """Do what the command line asks for; the exit code."""
    worker, tell = None, complain
    if getattr(options, "worker", None) is not None:
        from finch.working import WorkerProcess  # one process alone needs none of it

        worker = options.worker = WorkerProcess(options.worker)
        tell = worker.control.failed
    try:
        if command.SETTINGS:
            _settle_settings(command, options)
            _begin_log(options, "" if worker is None else worker.label)
            if options.app is None:
                parser.error("which application? Write finch app:app, or set app in finch.toml")
        code = command.perform(options)
    except Mistake as mistake:
        tell(f"finch: {mistake}")
        return 1
    except ConfigurationError as error:
        tell(f"finch: {error}{where(error)}")
        return 1
    except KeyboardInterrupt:
        tell("finch: interrupted")
        return _INTERRUPTED
    except SystemExit as end:
        if worker is None or end.code is None or isinstance(end.code, int):
            raise
        tell(str(end.code))  # else Python would print it, in each worker
        return 1
    except Exception as error:
        error.__traceback__ = from_own_code(error)
        tell("".join(traceback.format_exception(error)).rstrip())
        return 1
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # another signal would change the exit code
    return code


def _settle_settings(command: Command, options: argparse.Namespace) -> None:
    """Give the options the value of each setting of a command."""
    found = gather(given_in(options), getattr(options, "config", None))
    options.sources = {name: one.source for name, one in found.items()}
    for name in command.SETTINGS:
        value = found[name].value if name in found else BY_NAME[name].default
        setattr(options, name, value)


def _begin_log(options: argparse.Namespace, label: str) -> None:
    handler = Handler(form=format_for(options.log_format, sys.stderr, label))
    logging.basicConfig(level=options.log_level.upper(), handlers=[handler])
