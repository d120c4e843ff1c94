"""The opening handshake: an upgrade request's headers to an acceptance or a refusal.

What is no head for the gate is read all the same, line by line: so that this reader is asked about
more than another one lets through to it today.
"""

from typing import Final

from websockets.datastructures import Headers
from websockets.exceptions import InvalidHandshake
from websockets.headers import parse_extension
from websockets.http11 import Request
from websockets.server import ServerProtocol

from finch.errors import ProtocolError
from finch.wire.extensions import Deflate, accept_compression
from finch.wire.handshake import (
    Handshake,
    accept_headers,
    choose_subprotocol,
    parse_origin,
    read_handshake,
    same_origin,
)
from finch.wire.head import RawHeaders, read_head

STATUSES: Final = frozenset((400, 403, 405, 426))
_SUPPORTED: Final = ("chat", "superchat")


def target(data: bytes) -> None:
    method, version, headers = _loosely(data)
    try:
        head, *_ = read_head(data)
        method, version, headers = head.method, head.version, head.headers
        strict = True
    except ProtocolError:
        strict = False
    try:
        handshake = read_handshake(method, version, headers)
    except ProtocolError as error:
        assert error.status in STATUSES
        return
    subprotocol = choose_subprotocol(handshake.subprotocols, _SUPPORTED)
    answer = dict(accept_headers(handshake, subprotocol))
    for value in answer.values():
        assert not set(value) & set(b"\r\n\0")
    if handshake.origin is not None:
        parse_origin(handshake.origin)
        host = dict(headers).get(b"host", b"").decode("latin-1")
        if same_origin(handshake.origin, "https", host):
            assert same_origin(handshake.origin, "http", host), "TLS asks for more, not for less"
    _check_compression(handshake)
    if strict:
        _compare(headers, subprotocol, answer[b"sec-websocket-accept"])


def _loosely(data: bytes) -> tuple[str, str, RawHeaders]:
    """The headers of what may be no request."""
    lines = data.split(b"\r\n")
    fields = [line.partition(b":") for line in lines[1:] if line]
    return "GET", "1.1", [(name.lower(), value.strip(b" \t")) for name, _, value in fields]


def _check_compression(handshake: Handshake) -> None:
    """What is agreed on is what was offered (RFC 7692, section 7.1), and it works."""
    agreed = accept_compression(handshake.extensions)
    if agreed is None:
        return
    extension, value = agreed
    [(name, parameters)] = parse_extension(value.decode("ascii"))
    assert name == Deflate.name
    assert isinstance(extension, Deflate)
    said = dict(parameters)
    assert len(said) == len(parameters), "a parameter is said twice"
    offers = _offers(", ".join(handshake.extensions))
    assert any(_answers(said, offer) for offer in offers), f"{value!r} answers no offer"


def _offers(text: str) -> list[dict[str, str | None]]:
    """The offers of permessage-deflate; where some are malformed, those that are not."""
    found = []
    try:
        found = parse_extension(text)
    except InvalidHandshake:
        for offer in text.split(","):
            try:
                found += parse_extension(offer)
            except InvalidHandshake:
                pass
    return [dict(parameters) for name, parameters in found if name == Deflate.name]


def _answers(said: dict[str, str | None], offer: dict[str, str | None]) -> bool:
    if "client_max_window_bits" in said and "client_max_window_bits" not in offer:
        return False
    if "server_no_context_takeover" in offer and "server_no_context_takeover" not in said:
        return False
    most = offer.get("server_max_window_bits")
    if most is None:
        return "server_max_window_bits" not in said or "server_max_window_bits" in offer
    return most.isdigit() and int(said.get("server_max_window_bits") or 15) <= int(most)


_TOLERATED: Final = {
    b"upgrade": "one that offers other protocols as well is right (RFC 9110, section 7.8)",
    b"connection": "other members, malformed ones too, are not the handshake's to judge",
    b"sec-websocket-extensions": "a bad offer is declined (RFC 7692, 5.1); websockets refuses it",
    b"origin": "two of them are no allowed origin, which is decided later",
}
"""Headers about which Finch may accept what ``websockets`` refuses, and why."""


def _compare(headers: RawHeaders, subprotocol: str | None, accept: bytes) -> None:
    """What Finch accepts, ``websockets`` accepts, with the same answer."""
    peer = ServerProtocol(
        subprotocols=_SUPPORTED,
        select_subprotocol=lambda _, offered: choose_subprotocol(offered, _SUPPORTED),
    )
    fields = Headers()
    for name, value in headers:
        if name not in _TOLERATED:
            fields[name.decode("ascii")] = value.decode("latin-1")
    fields["Upgrade"] = "websocket"
    fields["Connection"] = "Upgrade"
    response = peer.accept(Request("/", fields))
    assert response.status_code == 101, (response.status_code, peer.handshake_exc)
    assert response.headers["Sec-WebSocket-Accept"] == accept.decode()
    assert response.headers.get("Sec-WebSocket-Protocol") == subprotocol
