"""``python -m finch app:app``: find the application, say where it is, serve it.

Every mistake that a command line can hold is one clear line and an exit code; a traceback is shown
only for an exception in the application's own code.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import sys
import traceback
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import trio

from finch.app import FinchApp
from finch.errors import ConfigurationError
from finch.logs import Formatter
from finch.serving import serve, tune_gc


class _Mistake(Exception):
    """What is wrong with the command line, in one line."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve what the command line names.

    Parameters:
        arguments: those of the process where left out.

    Returns:
        The exit code: 0 after a drain, 1 where it could not serve, 2 for a wrong command line.
    """
    options = _parser().parse_args(arguments)
    handler = logging.StreamHandler()
    handler.setFormatter(Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=options.log_level.upper(), handlers=[handler])
    try:
        app = find_app(options.app)
        tune_gc()
        trio.run(partial(_serve, app, options))
    except _Mistake as mistake:
        return _complain(str(mistake))
    except ConfigurationError as error:
        return _complain(str(error))
    return 0


def _complain(text: str) -> int:
    print(f"finch: {text}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="finch", description="Serve a Finch application.", allow_abbrev=False
    )
    parser.add_argument(
        "app",
        help="module:attribute; the attribute is 'app' where left out, and may be a call: "
        "app:create_app()",
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
    parser.add_argument("--keyfile", metavar="PEM", help="its key, where it is in another file")
    parser.add_argument(
        "--forwarded-allow-ips",
        default="",
        metavar="LIST",
        help="proxies whose Forwarded and X-Forwarded-* are believed: IP addresses, networks, "
        "'unix' for those on a unix socket, '*' for all, with commas (nobody)",
    )
    parser.add_argument(
        "--proxy-protocol",
        action="store_true",
        help="require a PROXY header, version 1 or 2, at the beginning of every connection",
    )
    parser.add_argument(
        "--log-level",
        default="info",
        choices=("debug", "info", "warning", "error", "critical"),
        help="what to log (%(default)s)",
    )
    parser.add_argument(
        "--access-log",
        default=True,
        action=argparse.BooleanOptionalAction,
        help="whether to log each request (yes)",
    )
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port: 0 to 65535")
    return int(text)


def _descriptor(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise argparse.ArgumentTypeError(f"{text!r} is no descriptor: a number from 0")
    return int(text)


def find_app(name: str) -> FinchApp:
    """Import the application that ``module:attribute`` names; the current folder is importable.

    Raises:
        _Mistake: where there is none, with what to write instead.
    """
    module_name, _, expression = name.partition(":")
    expression = expression or "app"
    if module_name.endswith(".py"):
        raise _Mistake(f"{module_name} is a file; name the module: {module_name[:-3]}:{expression}")
    sys.path.insert(0, os.getcwd())
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{module_name}.".startswith(f"{error.name}."):
            raise _Mistake(
                f"there is no module {module_name!r} in {os.getcwd()} or on Python's path"
            ) from None
        raise _Mistake(_import_failed(module_name, error)) from None
    except ConfigurationError as error:
        raise _Mistake(f"{module_name}: {error}") from None
    except Exception as error:
        raise _Mistake(_import_failed(module_name, error)) from None
    found = _resolve(module, module_name, expression)
    if not isinstance(found, FinchApp):
        hint = ""
        if callable(found):
            hint = f"; if it makes one, write {module_name}:{expression}()"
        raise _Mistake(
            f"{module_name}:{expression} is a {type(found).__name__}, not a FinchApp{hint}"
        )
    return found


def _import_failed(module_name: str, error: Exception) -> str:
    own = str(Path(__file__).parent)
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if not frame.filename.startswith((own, "<frozen")) and "importlib" not in frame.filename
    ]
    text = " ".join(str(error).split())
    where = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    if isinstance(error, SyntaxError):
        where = f" ({error.filename}, line {error.lineno})"
        text = error.msg
    return f"module {module_name!r} cannot be imported: {type(error).__name__}: {text}{where}"


def _resolve(module: Any, module_name: str, expression: str) -> Any:
    call = expression.endswith("()")
    found = module
    for part in expression.removesuffix("()").split("."):
        try:
            found = getattr(found, part)
        except AttributeError:
            apps = [name for name, value in vars(module).items() if isinstance(value, FinchApp)]
            hint = f"; it has {module_name}:{apps[0]}" if apps else ""
            raise _Mistake(f"module {module_name!r} has no {part!r}{hint}") from None
    if not call:
        return found
    try:
        return found()
    except Exception as error:
        raise _Mistake(
            f"{module_name}:{expression} raised {type(error).__name__}: {error}"
        ) from None


async def _serve(app: FinchApp, options: argparse.Namespace) -> None:
    failure: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            urls: list[str] = await nursery.start(
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
                )
            )
        except Exception as error:
            failure = error
        else:
            print(_banner(app, urls), flush=True)
    if failure is not None:
        raise failure


def _banner(app: FinchApp, urls: list[str]) -> str:
    lines = [f"Finch serves {url}" for url in urls]
    for route in app.routes:
        methods = ",".join(sorted(route.methods - {"HEAD"}))
        if len(route.methods) > 8:
            methods = "ALL"
        lines.append(f"  {methods:<8} {route.path}")
    for path in app.socket_manager.paths():
        lines.append(f"  socket   {path}")
    lines.append("Stop it with Ctrl-C.")
    return "\n".join(lines)
