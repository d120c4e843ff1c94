"""The gate: requests, their bodies and what follows them, as the HTTP layer reads them."""

from dataclasses import dataclass
from typing import Final

from finch.config import Limits
from finch.errors import ProtocolError
from finch.wire.head import RequestHead, read_head
from finch.wire.http import HTTPConnection
from tests.fuzz.inputs import cuttings

STATUSES: Final = frozenset((400, 408, 413, 414, 417, 426, 431, 501, 505))
"""What a malformed request may be answered with."""

_LIMITS: Final = (Limits(), Limits(max_request_line=60, max_head=150, max_headers=4))


@dataclass
class Exchange:
    """One request as it was read: its head, what came of its body, whether that ended."""

    head: RequestHead
    body: bytes = b""
    whole: bool = False


@dataclass
class Reading:
    """What a stream of requests was taken for; ``refused`` is the status, or None."""

    exchanges: list[Exchange]
    refused: int | None = None
    over: bool = False
    """Whether the last response closes the connection."""


def read(pieces: list[bytes], limits: Limits) -> Reading:
    """Read requests and answer each, as a connection does, up to the end of the stream."""
    http = HTTPConnection(limits)
    reading = Reading([])
    current: Exchange | None = None
    steps = 4 * sum(map(len, pieces)) + 16  # each takes a byte, or waits for one
    for piece in [*pieces, b""]:
        http.receive_data(piece)
        while True:
            steps -= 1
            assert steps, "it goes on and on"
            try:
                if current is None:
                    head = http.read_head()
                    if head is None:
                        break
                    current = Exchange(head)
                    reading.exchanges.append(current)
                    continue
                data = http.read_body()
            except ProtocolError as error:
                reading.refused = error.status
                assert error.status in STATUSES
                return reading
            if data is None:
                break
            if data:
                current.body += data
                continue
            current.whole = True
            current = None
            http.send_head(200, [(b"content-length", b"0")])
            http.send_end()
            if not http.next_cycle():
                reading.over = True
                return reading
    return reading


def target(data: bytes) -> None:
    for limits in _LIMITS:
        first: Reading | None = None
        for pieces in cuttings(data):
            reading = read(pieces, limits)
            if first is None:
                first = reading
                _check(reading, limits)
            elif reading.refused and first.refused:
                # with more to see there may be more that is wrong
                reading.refused = first.refused
            assert reading == first, "the way in which it is cut changes what it means"


def _check(reading: Reading, limits: Limits) -> None:
    for exchange in reading.exchanges:
        head = exchange.head
        assert len(head.headers) <= limits.max_headers
        again = b"%b %b HTTP/%b\r\n%b\r\n" % (
            head.method.encode(),
            head.target,
            head.version.encode(),
            b"".join(b"%b: %b\r\n" % header for header in head.headers),
        )
        assert read_head(again)[0] == head, "what was accepted reads differently when sent again"
