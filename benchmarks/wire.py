"""``python -m benchmarks.wire``: what ``finch/wire/`` costs, in nanoseconds an operation."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import timeit
from collections.abc import Callable, Sequence

from benchmarks import frames
from finch.config import Limits
from finch.wire.envelope import Envelope
from finch.wire.frames import TEXT, frame
from finch.wire.handshake import accept_headers, read_handshake
from finch.wire.http import HTTPConnection
from finch.wire.message import read_message
from finch.wire.websocket import WebSocketProtocol

_TEXT = "abcdefghijklmnopqrstuvwxyz012345" * 2
_CLIENT = b"0123456789abcdefghijkl"


def _receiver(*, size: int, count: int = 1) -> Callable[[], object]:
    protocol = WebSocketProtocol(max_message_size=1 << 20, max_fragments=100)
    data = frames.client_frame((_TEXT * (size // 64)).encode()) * count

    def receive() -> object:
        protocol.receive_data(data)
        for _ in range(count):
            message = protocol.next_event()
        assert isinstance(message, str)
        return protocol.next_event()

    return receive


def _head() -> Callable[[], object]:
    request = (
        b"GET /users/42?full=1 HTTP/1.1\r\nHost: example.org\r\nUser-Agent: benchmark/1\r\n"
        b"Accept: text/html,application/json\r\nAccept-Language: en,de;q=0.5\r\n"
        b"Accept-Encoding: gzip\r\nConnection: keep-alive\r\n\r\n"
    )
    limits = Limits()

    def read() -> object:
        connection = HTTPConnection(limits)
        connection.receive_data(request)
        head = connection.read_head()
        assert head is not None
        return head

    return read


def _handshake() -> Callable[[], object]:
    request = frames.handshake("example.org", "/ws")
    limits = Limits()

    def shake() -> object:
        connection = HTTPConnection(limits)
        connection.receive_data(request)
        head = connection.read_head()
        assert head is not None
        asked = read_handshake(head.method, head.version, head.headers)
        return connection.send_upgrade(accept_headers(asked, None))

    return shake


def operations() -> dict[str, Callable[[], object]]:
    """Name to what is timed."""
    message = f'{{"path":"echo","data":"{_TEXT}"}}'
    payload = message.encode()
    shared = Envelope(_TEXT, "echo", 200, 1_700_000_000_000)
    return {
        "receive a masked 64-byte text": _receiver(size=64),
        "receive eight of them in one read": _receiver(size=64, count=8),
        "receive a masked 16 KiB text": _receiver(size=16384),
        "read a message (path and 64 bytes of data)": lambda: read_message(message).data,
        "build an envelope and its frame": lambda: Envelope(
            _TEXT, "echo", 200, 1_700_000_000_000
        ).frame("en", _CLIENT),
        "the same envelope for one more recipient": lambda: shared.frame("en", _CLIENT),
        "encode a text frame": lambda: frame(TEXT, payload),
        "parse a request head, connection included": _head(),
        "a whole handshake, connection included": _handshake(),
    }


def measure(operation: Callable[[], object], seconds: float) -> tuple[float, float]:
    """Least and median nanoseconds of five series that take so many seconds together."""
    timer = timeit.Timer(operation)
    number = 1
    while (taken := timer.timeit(number)) < seconds / 20:
        number *= 2
    number = max(1, int(number * seconds / 5 / taken))
    series = [time / number * 1e9 for time in timer.repeat(5, number)]
    return min(series), statistics.median(series)


def main(arguments: Sequence[str] | None = None) -> int:
    """Time every operation."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wire", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="an operation (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args(arguments)
    results = {}
    for name, operation in operations().items():
        least, median = results[name] = measure(operation, options.seconds)
        if not options.json:
            print(f"{name:<46} {least:>10,.0f} ns  (median {median:,.0f})", flush=True)
    if options.json:
        print(json.dumps({k: {"least": a, "median": b} for k, (a, b) in results.items()}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
