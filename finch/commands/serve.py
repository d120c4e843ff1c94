"""``finch app:app``: serve an application, in this process or in workers. ``finch examples`` serves
all examples."""

from __future__ import annotations

import argparse
import logging
import os
import re
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import trio

from finch.app import FinchApp
from finch.browser import KEY as CLIENT
from finch.commands.output import complain, say
from finch.commands.parser import begun_parser
from finch.errors import ConfigurationError
from finch.finding import find_app
from finch.lastresort import LastResort
from finch.net.notify import notify
from finch.options import check_address
from finch.serving import serve, tune_gc
from finch.settings import BY_NAME

if TYPE_CHECKING:
    from finch.cluster.control import Place
    from finch.net.listeners import Doors

_log = logging.getLogger("finch.server")

SETTINGS: Final = tuple(BY_NAME)

_EXAMPLES: Final = "examples"  # instead of module:attribute
_PASSWORD: Final = re.compile(r"(?<=:)[^:/?#]*(?=@)")  # in a URL


def new_parser() -> argparse.ArgumentParser:
    parser = begun_parser(
        "finch",
        "Serve a Finch application.",
        "Each setting may also be a variable such as FINCH_PORT, or a key in finch.toml or in "
        "[tool.finch] of pyproject.toml. finch types app:app prints the types of its sockets, as "
        "TypeScript; finch openapi and finch asyncapi describe it. finch new NAME writes a new "
        "application, finch load URL measures a server, finch examples serves all examples.",
        SETTINGS,
    )
    parser.add_argument(
        "--show-settings",
        action="store_true",
        default=False,
        help="print all settings and where each one comes from, and end",
    )
    parser.add_argument(
        "--routes",
        action="store_true",
        default=False,
        help="print all routes, sockets and rooms of the application, and end",
    )
    parser.add_argument("--worker", type=_place, default=None, help=argparse.SUPPRESS)
    return parser


def _place(text: str) -> Place:
    """What a supervisor writes for a worker."""
    from finch.cluster.control import Place

    try:
        return Place.parse(text)
    except ValueError:
        raise argparse.ArgumentTypeError("only Finch itself uses it; write --workers") from None


def perform(options: argparse.Namespace) -> int:
    if options.show_settings:
        return _show_settings(options)
    if options.routes:
        return _show_routes(options)
    if options.worker is None and options.reload:
        return _reload(options)
    if options.worker is None and options.workers is not None:
        return _supervise(options)
    if options.reload:
        # Python knows outdated bytecode by whole seconds and sizes, but changes may come faster.
        sys.dont_write_bytecode = True
    app = _examples() if options.app == _EXAMPLES else find_app(options.app)
    app.debug = app.debug or options.debug
    if options.backplane is not None:
        app.backplane = options.backplane
    settings = {
        "certfile": options.certfile,
        "keyfile": options.keyfile,
        "forwarded_allow_ips": options.forwarded_allow_ips,
        "proxy_protocol": options.proxy_protocol,
        "access_log": options.access_log,
    }
    tune_gc()
    if options.worker is not None:
        options.worker.prepare(app)
        ready = _Start(app, partial(options.worker.ready, app))
        trio.run(partial(options.worker.serve, app, task_status=ready, **settings))
        return 0
    address = {name: getattr(options, name) for name in ("host", "port", "unix", "fd")}
    with LastResort(app.limits):
        trio.run(partial(serve, app, task_status=_Start(app, _announce), **address, **settings))
    return 0


def _show_routes(options: argparse.Namespace) -> int:
    from finch.describe.listing import list_routes  # who serves needs none of it

    app = _examples() if options.app == _EXAMPLES else find_app(options.app)
    say(list_routes(app.routes, app.managers), sys.stdout)
    return 0


def _show_settings(options: argparse.Namespace) -> int:
    for name in SETTINGS:
        value = getattr(options, name)
        if isinstance(value, tuple):
            value = ", ".join(value)
        elif isinstance(value, str):
            value = _PASSWORD.sub("***", value)
        source = options.sources.get(name, "default")
        say(f"{name:<20} {'-' if value in (None, '') else value!s:<30} {source}", sys.stdout)
    return 0


def _supervise(options: argparse.Namespace) -> int:
    """Let worker processes serve. This process never imports the application."""
    from finch.cluster.supervisor import Supervisor, cores  # one process alone needs none of it

    supervisor = Supervisor(
        _worker_command(options),
        _doors(options),
        options.workers or cores(),
        ready=lambda banner, count: _announce(f"{banner}\n  workers  {count}"),
        failed=complain,
    )
    return trio.run(supervisor.run)


def _reload(options: argparse.Namespace) -> int:
    """Let a process serve that is replaced at each change. This one never imports the
    application."""
    from finch.cluster.reloader import Reloader, watch_in  # for development only

    if options.workers not in (None, 1):
        raise ConfigurationError(
            f"{options.sources['reload']} and {options.sources['workers']} are both given; code is "
            "reloaded in one process only; write --workers 1 or --no-reload"
        )
    folders = list(dict.fromkeys(map(os.path.abspath, (".", *options.reload_dir))))
    watch = watch_in(folders)
    doors = _doors(options)
    reloader = Reloader(
        _worker_command(options),
        doors,
        watch,
        ready=lambda banner: _announce(f"{banner}\n  reload   {', '.join(folders)}"),
        failed=complain,
    )
    return trio.run(reloader.run)


def _doors(options: argparse.Namespace) -> Doors:
    from finch.net.listeners import Doors, cannot_listen

    check_address(options.host, options.port, options.fd)
    try:
        return Doors(options.host, options.port, unix=options.unix, fd=options.fd)
    except (OSError, ValueError) as error:
        raise cannot_listen(options.unix or f"{options.host}:{options.port}", error) from error


def _worker_command(options: argparse.Namespace) -> list[str]:
    return [sys.executable, *_program(options.words), "--worker", "{place}", *options.words]


def _program(words: list[str]) -> list[str]:
    """What Python runs to get here, with its own options: ``-X dev -m finch`` for example."""
    ours = sys.orig_argv[1:]
    if words and ours[-len(words) :] == words and "-c" not in ours:
        return ours[: -len(words)]
    return ["-m", "finch"]


def _examples() -> FinchApp:
    from finch.gallery import gallery  # it imports all examples, which nothing else needs

    return gallery()


class _Start:
    """Learns when the application is served.

    Parameters:
        announce: called with the banner.
    """

    def __init__(self, app: FinchApp, announce: Callable[[str], object]) -> None:
        self._app = app
        self._announce = announce

    def started(self, urls: Any = None) -> None:
        """Called as ``trio.TaskStatus.started``."""
        if urls:  # none if a signal came during startup, so that nothing is served
            self._announce(_banner(self._app, urls))


def _announce(banner: str) -> None:
    """Print the URLs, the routes, and how to stop it all."""
    failure = say(f"{banner}\nStop it with Ctrl-C.", sys.stdout)
    if failure is not None:
        urls = [line.rpartition(" ")[2] for line in banner.splitlines() if line[0] != " "]
        _log.warning("the banner cannot be printed (%s); serving %s", failure, ", ".join(urls))
    notify("READY=1")


_SHOWN: Final = 20  # routes and sockets in the banner


def _banner(app: FinchApp, urls: list[str]) -> str:
    lines = [f"Finch serves {url}" for url in urls]
    surface = _surface(app)
    lines += surface[:_SHOWN]
    if len(surface) > _SHOWN:
        lines.append(f"  ...      and {len(surface) - _SHOWN} more; --routes prints all")
    if app.debug:
        lines.append("  debug    clients see what goes wrong in the code: for development only")
    return "\n".join(lines)


def _surface(app: FinchApp) -> list[str]:
    """A line for each route and socket."""
    lines = []
    for route in app.routes:
        if route.key is not None and route.key.startswith(f"{CLIENT}."):
            continue  # what belongs to finch.js, which is shown
        methods = ",".join(sorted(route.methods - {"HEAD"}))
        if len(route.methods) > 8:
            methods = "ALL"
        lines.append(f"  {methods:<8} {route.path}")
    for path in app.socket_manager.paths():
        lines.append(f"  socket   {path}")
    return lines
