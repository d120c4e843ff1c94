"""Reads in a TLS client's first message which protocols the client offers (ALPN).

If a client offers protocols and none of them is the server's, RFC 7301 says that the server must
refuse; Python's ``ssl`` goes on. Once TLS has begun, such a client looks like one that offers no
protocols. So Finch reads the bytes before TLS gets them. OpenSSL judges everything else in them.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MAX_HELLO: Final = 16 * 1024
"""Bytes of a ClientHello. Clients send 200 to 2,000; a longer one is not judged."""
MAX_RECORDS: Final = 16
"""Records of a ClientHello; one in more records is not judged. Clients use one. All bytes are read
again each time more arrive, so this must be cheap."""

NO_APPLICATION_PROTOCOL: Final = b"\x15\x03\x03\x00\x02\x02\x78"
"""The fatal, unencrypted alert that refuses the client (RFC 8446, section 6)."""

_HANDSHAKE: Final = 0x16  # the types of a record, of a handshake message and of an extension
_CLIENT_HELLO: Final = 0x01
_ALPN: Final = 16
_RECORD_HEADER: Final = 5
_MESSAGE_HEADER: Final = 4
_VERSION_AND_RANDOM: Final = 34


class _Malformed(Exception):
    """The bytes are malformed. OpenSSL decides what to do about it."""


def offers_only_others(data: bytes, wanted: bytes = b"http/1.1") -> bool | None:
    """Whether to refuse a client because of the protocols that it offers.

    Parameters:
        data: all bytes of the connection so far.
        wanted: the protocol that the server speaks.

    Returns:
        True if the client offers protocols, but not this one: send ``NO_APPLICATION_PROTOCOL`` and
        close. False for any other client. None while the client's first message is incomplete.

    Source: RFC 7301, section 3.2: "In the event that the server supports no protocols that the
    client advertises, then the server SHALL respond with a fatal 'no_application_protocol' alert."
    """
    try:
        message = _message(data)
        if message is None:
            return None if len(data) < MAX_HELLO else False
        offered = _alpn(message)
    except _Malformed:
        return False
    return offered is not None and wanted not in offered


def offered_alpn(client_hello: bytes) -> tuple[bytes, ...] | None:
    """The protocols that a client offers, the preferred one first.

    Parameters:
        client_hello: the first bytes of the connection, as TLS records.

    Returns:
        Their names; None if the client offers none, or if this is not a whole ClientHello.

    Source: RFC 8446, section 4.1.2; RFC 7301, section 3.1.

    Example::

        offered_alpn(data)  # (b"h2", b"http/1.1")
    """
    try:
        message = _message(client_hello)
        return None if message is None else _alpn(message)
    except _Malformed:
        return None


def _message(data: bytes) -> bytes | None:
    """The ClientHello's body, taken out of its records; None while it is incomplete."""
    pieces = []
    at = have = 0
    for _ in range(MAX_RECORDS):
        if at < len(data) and data[at] != _HANDSHAKE:
            raise _Malformed
        if len(data) < at + _RECORD_HEADER:
            return None
        begin = at + _RECORD_HEADER
        at = begin + int.from_bytes(data[at + 3 : begin])
        if at == begin:
            raise _Malformed  # "Implementations MUST NOT send zero-length fragments of Handshake"
        pieces.append(data[begin:at])
        have += len(pieces[-1])
        if have < _MESSAGE_HEADER:
            continue
        message = b"".join(pieces)
        if message[0] != _CLIENT_HELLO:
            raise _Malformed
        end = _MESSAGE_HEADER + int.from_bytes(message[1:_MESSAGE_HEADER])
        if have >= end:
            return message[_MESSAGE_HEADER:end]
        if len(data) < at:
            return None
        pieces = [message]
    raise _Malformed


def _alpn(message: bytes) -> tuple[bytes, ...] | None:
    """The names in the ALPN extension of a ClientHello; None if it has no such extension."""
    at = _VERSION_AND_RANDOM
    for size in (1, 2, 1):  # skip session, cipher suites, compression methods
        _, at = _vector(message, at, size)
    if at == len(message):
        return None  # no extension at all
    extensions, _ = _vector(message, at, 2)
    at = 0
    while at < len(extensions):
        kind = int.from_bytes(extensions[at : at + 2])
        value, at = _vector(extensions, at + 2, 2)
        if kind == _ALPN:
            names, _ = _vector(value, 0, 2)
            return tuple(_names(names))
    return None


def _names(names: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(names):
        name, at = _vector(names, at, 1)
        yield name


def _vector(data: bytes, at: int, size: int) -> tuple[bytes, int]:
    """The value at a place that begins with a length of ``size`` bytes; and where it ends."""
    begin = at + size
    end = begin + int.from_bytes(data[at:begin])
    if end > len(data) or begin > len(data):
        raise _Malformed
    return data[begin:end], end
