"""``finch load URL``: load on a server, and what it does to it."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Final

import trio

from finch.commands.output import say
from finch.commands.parser import begun_parser
from finch.finding import Mistake
from finch.loading.conductor import conduct
from finch.loading.connection import Broken
from finch.loading.picture import picture
from finch.loading.plan import Plan, Tally
from finch.loading.target import read_target

SETTINGS: Final = ()

_BUSY: Final = 0.9  # of a core: then the load may be slower than the server


def new_parser() -> argparse.ArgumentParser:
    parser = begun_parser(
        "finch load",
        "Load a server with many clients, and measure how long they wait.",
        "finch load ws://127.0.0.1:8080/ws --clients 100 --path say --data '\"hello\"'; "
        "finch load http://127.0.0.1:8080/ --rate 500; "
        "finch load ws://127.0.0.1:8080/ws --room 'chat/{n}' --rooms 10 --path say",
    )
    parser.set_defaults(
        clients=50, seconds=10.0, warm_up=0.5, rate=None, path=None, data="null", room=None,
        rooms=1, token=None, header=[], timeout=10.0, insecure=False, json=False, plot=None,
        quiet=False,
    )  # fmt: skip
    add = parser.add_argument
    add("url", help="ws://HOST:PORT/PATH for sockets, http://HOST:PORT/PATH for GET; or wss, https")
    add("--clients", type=_count, metavar="N", help="connections (50)")
    add("--seconds", type=_positive, metavar="S", help="how long is measured (10)")
    add("--warm-up", type=_positive, metavar="S", help="seconds before that (0.5)")
    add("--rate", type=_positive, metavar="R", help="messages a second of all clients together; "
        "else each sends its next one when the last one is answered")  # fmt: skip
    add("--path", help="the path of the messages; without one, clients only listen")
    add("--data", metavar="JSON", help="the data of the messages (null)")
    add("--room", help="a room that the clients join; {n} in it is its number")
    add("--rooms", type=_count, metavar="N", help="how many rooms there are for {n} (1)")
    add("--token", help="sent as the query's token, as finch.js does")
    add("--header", action="append", metavar="LINE", help="a header line, such as 'Cookie: a=b'")
    add("--timeout", type=_positive, metavar="S", help="how long to wait for an answer (10)")
    add("--insecure", action="store_true", help="do not check the certificate")
    add("--json", action="store_true", help="print the result as JSON")
    add("--plot", type=Path, metavar="FILE.svg", help="draw latencies and their course")
    add("--quiet", action="store_true", help="no progress")
    return parser


def perform(options: argparse.Namespace) -> int:
    plan = _plan(options)
    tell = _nothing if options.quiet else _progress
    try:
        tally = trio.run(conduct, plan, tell)
    except Broken as error:
        raise Mistake(f"{plan.target}: {error}") from None
    if sys.stderr is not None and sys.stderr.isatty() and not options.quiet:
        say("", sys.stderr)
    if options.plot is not None:
        _draw(options.plot, plan, tally)
    if options.json:
        say(json.dumps(tally.to_json(), indent=2), sys.stdout)
    else:
        say(report(plan, tally), sys.stdout)
    return 1 if tally.errors else 0


def _plan(options: argparse.Namespace) -> Plan:
    try:
        target = read_target(options.url, options.token)
        data = json.dumps(json.loads(options.data)).encode()
    except json.JSONDecodeError as error:
        raise Mistake(
            f"--data {options.data!r} is not JSON: {error}; a text needs quotes inside the quotes "
            "of the shell: '\"hello\"'"
        ) from None
    except ValueError as error:
        raise Mistake(str(error)) from None
    if not target.web_socket and (options.path is not None or options.room is not None):
        raise Mistake("--path and --room are for sockets: write ws:// or wss://")
    if options.rooms > 1 and "{n}" not in (options.room or ""):
        raise Mistake("--rooms needs a --room with {n} in it, such as 'chat/{n}'")
    if options.rooms > options.clients:
        raise Mistake(f"{options.rooms} rooms need at least as many --clients")
    return Plan(
        target=target,
        clients=options.clients,
        seconds=options.seconds,
        warm_up=options.warm_up,
        rate=options.rate,
        path=options.path,
        data=data,
        room=options.room,
        rooms=options.rooms,
        headers=tuple(map(_header, options.header)),
        timeout=options.timeout,
        verify=not options.insecure,
    )


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    clean = value.strip().isprintable() and value.strip().isascii()
    if not colon or not clean or not name.replace("-", "").replace("_", "").isalnum():
        raise Mistake(f"--header {line!r} is no header line; write 'Name: value'")
    return name, value.strip()


def report(plan: Plan, tally: Tally) -> str:
    """A result in words and columns."""
    span = tally.seconds or 1.0
    speed = tally.connected / tally.connecting if tally.connecting else 0.0
    lines = [
        f"clients      {tally.connected:,} of {plan.clients:,} connected in"
        f" {tally.connecting:.2f} s ({speed:,.0f}/s)"
    ]
    if plan.path is not None or not plan.target.web_socket:
        lines.append(f"answers      {tally.answers:,}, {tally.answers / span:,.0f}/s")
    if tally.deliveries or plan.room is not None:
        lines.append(f"deliveries   {tally.deliveries:,}, {tally.deliveries / span:,.0f}/s")
    if tally.latency.count:
        of = "until a member hears it" if plan.room is not None else "until the answer"
        since = "from when it was due" if plan.rate is not None else "closed loop"
        figures = "  ".join(
            f"{name} {_time(value)}" for name, value in tally.latency.summary().items()
        )
        lines.append(f"latency      {figures}  ({of}, {since})")
    lines.append(f"errors       {sum(tally.errors.values()):,}")
    lines += [f"  {count:>10,}  {what}" for what, count in tally.errors.most_common()]
    if tally.busy > _BUSY:
        lines.append(
            f"The load itself needed {tally.busy:.0%} of a core: it may be slower than the server. "
            "Use a lower --rate, or run several."
        )
    return "\n".join(lines)


def _draw(file: Path, plan: Plan, tally: Tally) -> None:
    rate = (tally.answers or tally.deliveries) / (tally.seconds or 1.0)
    title = f"{tally.connected:,} clients of {plan.target}, {rate:,.0f}/s"
    try:
        file.write_text(picture(tally.latency.curve(), tally.series, title), encoding="utf-8")
    except OSError as error:
        raise Mistake(f"the picture cannot be written to {file}: {error.strerror}") from None


def _time(microseconds: float) -> str:
    if microseconds >= 1_000_000:
        return f"{microseconds / 1_000_000:.2f} s"
    if microseconds >= 1000:
        return f"{microseconds / 1000:.2f} ms"
    return f"{microseconds:.0f} us"


def _progress(text: str) -> None:
    stream = sys.stderr
    if stream is None:
        return
    try:
        if stream.isatty():
            stream.write(f"\r\x1b[K{text}")
            stream.flush()
        else:
            say(text, stream)
    except (OSError, ValueError):
        pass  # nobody looks


def _nothing(text: str) -> None:
    pass


def _count(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) <= 1_000_000:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number from 1 to 1000000")
    return int(text)


def _positive(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return value
