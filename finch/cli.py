"""``python -m finch app:app``: find the application, print its URLs, serve it. ``python -m finch
types app:app`` prints its types instead, ``python -m finch examples`` serves all examples.

A mistake in the command line gives one clear line and an exit code. A traceback is shown only for
an exception in the application's own code.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final, TextIO

import trio

from finch.access import LineHandler
from finch.app import FinchApp
from finch.blame import from_own_code, where
from finch.browser import KEY as CLIENT
from finch.errors import ConfigurationError
from finch.finding import Mistake, find_app
from finch.logs import Formatter
from finch.serving import serve, tune_gc

_log = logging.getLogger("finch.server")

_INTERRUPTED: Final = 128 + signal.SIGINT

_EXAMPLES: Final = "examples"  # instead of module:attribute


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve the application that the command line names, or do what its first word says.

    Parameters:
        arguments: by default, those of the process.

    Returns:
        The exit code: 0 after a graceful stop, 1 if it could not serve, 2 for a wrong command line,
        130 after Ctrl-C before it could serve.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    new_parser, do = _parser, _serve
    if words and words[0] in _COMMANDS:
        new_parser, do = _COMMANDS[words.pop(0)]
    try:
        return _guarded(do, new_parser().parse_args(words))
    finally:
        _settle(sys.stdout)
        _settle(sys.stderr)


def _guarded(do: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Do what the command line asks for; the exit code."""
    handler = _Handler()
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=options.log_level.upper(), handlers=[handler])
    try:
        do(options)
    except Mistake as mistake:
        return _complain(str(mistake))
    except ConfigurationError as error:
        return _complain(f"{error}{where(error)}")
    except KeyboardInterrupt:
        _complain("interrupted")
        return _INTERRUPTED
    except Exception as error:
        error.__traceback__ = from_own_code(error)
        _say("".join(traceback.format_exception(error)).rstrip(), sys.stderr)
        return 1
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # another signal would change the exit code
    return 0


def _serve(options: argparse.Namespace) -> None:
    app = _examples() if options.app == _EXAMPLES else find_app(options.app)
    app.debug = app.debug or options.debug
    if options.backplane is not None:
        app.backplane = options.backplane
    tune_gc()
    trio.run(
        partial(
            serve,
            app,
            host=options.host,
            port=options.port,
            unix=options.unix,
            fd=options.fd,
            certfile=options.certfile,
            keyfile=options.keyfile,
            forwarded_allow_ips=options.forwarded_allow_ips,
            proxy_protocol=options.proxy_protocol,
            access_log=options.access_log,
            task_status=_Banner(app),
        )
    )


def _examples() -> FinchApp:
    from finch.gallery import gallery  # it imports all examples, which nothing else needs

    return gallery()


def _print_types(options: argparse.Namespace) -> None:
    app = find_app(options.app)
    text = app.types()
    if options.output is None:
        _say(text.rstrip("\n"), sys.stdout)
        return
    try:
        Path(options.output).write_text(text, encoding="utf-8")
    except OSError as error:
        raise Mistake(f"the types cannot be written to {options.output}: {error}") from None


def _complain(text: str) -> int:
    _say(f"finch: {text}", sys.stderr)
    return 1


def _say(text: str, stream: TextIO | None) -> Exception | None:
    """Print a text if possible. A failure is returned, not raised: serving is more important.

    Returns:
        The error if the text could not be printed, else None.
    """
    if stream is None:  # there is no console, or the descriptor was closed before the start
        return None
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream, flush=True)
    except (OSError, ValueError) as error:  # the reader is gone, the disk is full; it is closed
        return error
    return None


def _settle(stream: TextIO | None) -> None:
    """Drop output that cannot be written. Otherwise Python would try again at exit, and end with an
    exit code of its own."""
    if stream is None:
        return
    try:
        stream.flush()
    except ValueError:
        pass  # it is closed; Python ignores closed streams at exit
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class _Handler(LineHandler):
    """Logs to stderr. If stderr is closed, entries are lost, but nothing else fails."""

    def handleError(self, record: logging.LogRecord) -> None:
        """Report that an entry could not be written. The report may fail for the same reason."""
        try:
            super().handleError(record)
        except ValueError:
            pass


def _parser() -> argparse.ArgumentParser:
    parser = _begun_parser(
        "finch",
        "Serve a Finch application.",
        "finch types app:app prints the types of its sockets, as TypeScript. finch examples serves "
        "all examples.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument(
        "--port", type=_port, default=8080, help="port to listen on (%(default)s); 0 for any"
    )
    parser.add_argument("--unix", metavar="PATH", help="listen on a unix socket instead")
    parser.add_argument(
        "--fd",
        type=_descriptor,
        metavar="N",
        help="listen on an inherited descriptor instead; 3 for systemd's socket activation",
    )
    parser.add_argument("--certfile", metavar="PEM", help="certificate, for https and wss")
    parser.add_argument("--keyfile", metavar="PEM", help="its key, if that is in another file")
    parser.add_argument(
        "--forwarded-allow-ips",
        default="",
        metavar="LIST",
        help="proxies whose Forwarded and X-Forwarded-* are believed: IP addresses, networks, "
        "'unix' for proxies on a unix socket, '*' for all; separated by commas (none)",
    )
    parser.add_argument(
        "--proxy-protocol",
        action="store_true",
        help="require a PROXY header, version 1 or 2, at the beginning of every connection",
    )
    parser.add_argument(
        "--backplane",
        metavar="URL",
        help="the Redis that joins several processes into one application, such as "
        "redis://localhost:6379/0?prefix=shop",
    )
    parser.add_argument(
        "--debug",
        action="store_true",
        help="serve the types of this application as finch.d.ts",
    )
    parser.add_argument(
        "--access-log",
        default=True,
        action=argparse.BooleanOptionalAction,
        help="whether to log each request (yes)",
    )
    return parser


def _types_parser() -> argparse.ArgumentParser:
    parser = _begun_parser(
        "finch types",
        "Print finch.d.ts with the types of an application's sockets, for editors.",
        "finch types app:app --output static/finch.d.ts",
    )
    parser.add_argument("--output", metavar="FILE", help="write them to a file instead")
    return parser


def _begun_parser(prog: str, description: str, epilog: str) -> argparse.ArgumentParser:
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


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port; write a number from 0 to 65535")
    return int(text)


def _descriptor(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a descriptor; write a number from 0 on")
    return int(text)


_COMMANDS: Final = {"types": (_types_parser, _print_types)}
"""What is done if the first word is one of these: the parser of the others, and the function."""


class _Banner:
    """Prints the URLs as soon as the application is served."""

    def __init__(self, app: FinchApp) -> None:
        self._app = app

    def started(self, urls: Any = None) -> None:
        """Called as ``trio.TaskStatus.started``."""
        if not urls:
            return  # a signal came during startup, so nothing is served
        failure = _say(_banner(self._app, urls), sys.stdout)
        if failure is not None:
            _log.warning("the banner cannot be printed (%s); serving %s", failure, ", ".join(urls))


def _banner(app: FinchApp, urls: list[str]) -> str:
    lines = [f"Finch serves {url}" for url in urls]
    for route in app.routes:
        if route.key is not None and route.key.startswith(f"{CLIENT}."):
            continue  # what belongs to finch.js, which is shown
        methods = ",".join(sorted(route.methods - {"HEAD"}))
        if len(route.methods) > 8:
            methods = "ALL"
        lines.append(f"  {methods:<8} {route.path}")
    for path in app.socket_manager.paths():
        lines.append(f"  socket   {path}")
    lines.append("Stop it with Ctrl-C.")
    return "\n".join(lines)
