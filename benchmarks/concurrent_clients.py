"""``python -m benchmarks.concurrent_clients ws://HOST:PORT/ws``: load on any WebSocket server.

Examples::

    python -m benchmarks.concurrent_clients ws://127.0.0.1:8080/ws --clients 1000 --path echo
    python -m benchmarks.concurrent_clients ws://127.0.0.1:8080/raw --raw --rate 5000 --plot out.svg

It knows most answers by their length, which is fast. ``python -m finch load`` reads every message:
it is the one for applications of your own.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import dialects, plot, swarm


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for; 0 where not a single error was met, 1 otherwise."""
    options = _parser().parse_args(arguments)
    if options.raw and options.path is not None:
        print("--raw sends no envelope, so it has no --path", file=sys.stderr)
        return 2
    try:
        address, dialect = _target(options)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    plan = swarm.Plan(
        address=address,
        dialect=dialect,
        clients=options.clients,
        seconds=options.seconds,
        rate=options.rate,
        warm_up=options.warm_up,
        most=options.messages,
        connect_timeout=options.connect_timeout,
        processes=min(options.processes, options.clients),
        pid=options.pid,
    )
    try:
        result = swarm.run(plan, _quiet if options.quiet else _say)
    except OSError as error:
        print(f"cannot reach {options.url}: {error.strerror or error}", file=sys.stderr)
        return 1
    except EOFError:
        print("a load process ended before its time", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    if options.plot is not None:
        title = f"{result.connected:,} clients, {result.rate:,.0f} messages/s"
        options.plot.write_text(plot.distribution({"latency": result.latency.curve()}, title))
    if options.json:
        print(json.dumps(result.to_json(), indent=2))
    else:
        print(report(result, options.rate))
    return 1 if result.errors or not result.connected else 0


def report(result: swarm.Result, rate: float | None) -> str:
    """A result in words and columns."""
    speed = result.connected / result.connecting if result.connecting else 0.0
    lines = [
        f"clients      {result.connected:,} connected in {result.connecting:.2f} s"
        f" ({speed:,.0f} handshakes/s)",
        f"throughput   {result.rate:,.0f} messages/s"
        f" ({result.messages:,} in {result.seconds:.2f} s)",
        "latency      "
        + "  ".join(f"{name} {_time(value)}" for name, value in result.latency.summary().items())
        + ("  (from when it was due)" if rate else "  (closed loop)"),
    ]
    if result.cpu_share is not None:
        cpu = result.cpu_per_message
        lines.append(
            f"server CPU   {'-' if cpu is None else f'{cpu:.1f} us'} a message,"
            f" {result.cpu_share:.0%} of a core"
        )
    if result.rss_per_connection is not None:
        lines.append(f"server RSS   {result.rss_per_connection:,.0f} bytes a connection")
    lines.append(f"errors       {sum(result.errors.values()):,}")
    lines += [f"  {count:>10,}  {what}" for what, count in result.errors.most_common()]
    return "\n".join(lines)


def _time(microseconds: float) -> str:
    if microseconds >= 1_000_000:
        return f"{microseconds / 1_000_000:.2f} s"
    if microseconds >= 1000:
        return f"{microseconds / 1000:.2f} ms"
    return f"{microseconds:.0f} us"


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    else:
        print(text, file=sys.stderr, flush=True)


def _quiet(text: str) -> None:
    """Nothing."""


def _target(options: argparse.Namespace) -> tuple[tuple[str, int], dialects.Dialect]:
    url = urlsplit(options.url)
    if url.scheme != "ws" or not url.hostname:
        raise ValueError(f"{options.url!r} is no ws://HOST:PORT/PATH address")
    port = url.port or 80
    host = f"{url.hostname}:{port}"
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    dialect: dialects.Dialect
    if options.socketio is not None:
        dialect = dialects.socketio(host, options.socketio, options.size)
    elif options.path is not None:
        dialect = dialects.call(host, target, options.path, options.size)
    else:
        dialect = dialects.raw_echo(host, target, options.size)
    return (url.hostname, port), dialect


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.concurrent_clients",
        description="Drive a WebSocket server with many concurrent clients.",
    )
    add = parser.add_argument
    add("url", help="ws://HOST:PORT/PATH")
    add("--clients", type=_count, default=64, help="connections (%(default)s)")
    add("--seconds", type=_positive, default=10.0, help="how long is measured (%(default)s)")
    add("--warm-up", type=float, default=0.5, help="seconds before that (%(default)s)")
    add("--messages", type=_count, default=1_000_000_000, help="end early after so many")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--path", help='send {"path": PATH, "data": text}; else the text itself')
    what.add_argument("--socketio", metavar="EVENT", help="speak Socket.IO, send this event")
    add("--raw", action="store_true", help="send the text itself (as without --path)")
    add("--size", type=_count, default=64, help="bytes of text in a message (%(default)s)")
    add("--rate", type=_positive, help="messages/s of all clients; else as fast as answers come")
    add("--processes", type=_count, default=1, help="load processes (%(default)s)")
    add("--connect-timeout", type=_positive, default=60.0, help="seconds (%(default)s)")
    add("--pid", type=int, help="the server's process id: its CPU and memory are measured")
    add("--json", action="store_true", help="print the result as JSON")
    add("--plot", type=Path, metavar="OUT.svg", help="draw the latency distribution")
    add("--quiet", action="store_true", help="no progress")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text} is not above 0")
    return value


if __name__ == "__main__":
    sys.exit(main())
