"""What the fuzzers send: valid requests, frames and messages, and how they are broken.

All chance comes from one ``random.Random``: a seeded one for runs that can be repeated, or one
of hypothesis, which finds the smallest input that still fails.
"""

import json
import zlib
from random import Random
from typing import Final

Bytes = bytes | bytearray

ROUTES: Final = (
    (b"GET", b"/"),
    (b"HEAD", b"/"),
    (b"OPTIONS", b"*"),
    (b"POST", b"/echo"),
    (b"POST", b"http://a/echo"),
    (b"POST", b"/json"),
    (b"PUT", b"/count"),
    (b"GET", b"/stream"),
    (b"HEAD", b"/stream"),
    (b"GET", b"/about/a%20b?x=1&y=%C3%A9"),
    (b"GET", b"/about/%ff"),
    (b"DELETE", b"/about//../x;y"),
    (b"POST", b"/about/me"),
    (b"PATCH", b"/"),
    (b"GET", b"/none"),
    (b"GET", b"/ws"),
    (b"POST", b"/raw"),
)
HEADERS: Final = (
    b"Accept: */*",
    b"Accept-Language: de-CH, de;q=0.9, *;q=0.1",
    b"Cookie: a=1; b=2; language=de",
    b"Content-Type: application/json; charset=utf-8",
    b"Connection: keep-alive",
    b"Connection: close",
    b"Expect: 100-continue",
    b"Forwarded: for=192.0.2.1;proto=https",
    b"Origin: http://a",
    b"TE: trailers",
    b"Upgrade: h2c",
    b"X-Empty:",
    b"X-Forwarded-For: 192.0.2.1, 192.0.2.2",
    b"X-Long: " + b"x" * 300,
    b"X-Obs: \xe9\xff",
)
# what parsers have disagreed about
FRAGMENTS: Final = (
    b"\r\n",
    b"\n",
    b"\r",
    b"\r\n\r\n",
    b"\n\n",
    b"\0",
    b" ",
    b"\t",
    b"\x0b",
    b"\x7f",
    b"\x80",
    b"\xff",
    b":",
    b" :",
    b";",
    b",",
    b"#",
    b"=",
    b'"',
    b"\\",
    b"%00",
    b"0",
    b"00",
    b"-1",
    b"+1",
    b"0x10",
    b"1_0",
    b"ffffffffffffffff",
    b"18446744073709551616",
    b"\r\n folded",
    b"\r\nHost: b",
    b"\r\nContent-Length: 3",
    b"\r\nContent-Length: 3, 3",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\nTransfer-Encoding: gzip, chunked",
    b"\r\nTransfer-Encoding : chunked",
    b"\r\nTransfer-Encoding:\x0bchunked",
    b"\r\nConnection: close",
    b"\r\nConnection: Upgrade",
    b"\r\nUpgrade: websocket",
    b"\r\nExpect: 100-continue",
    b"\r\nExpect: more",
    b"\r\nSec-WebSocket-Version: 12",
    b"\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
    b"\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits",
    b"\r\nSec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8",
    b"HTTP/1.0",
    b"HTTP/1.2",
    b"HTTP/2.0",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET http://b/ HTTP/1.1",
    b";ext=1",
    b';ext="a\r\nb"',
    b"\x88\x80\0\0\0\0",
    b"\x89\x80\0\0\0\0",
    b"\x00\x80\0\0\0\0",
    b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff",
    b'{"path":',
    b"[" * 40,
    b"\\ud800",
    b"1e999",
    b"\xc3\xa9",
    b"\xed\xa0\x80",
)


# HTTP


def request(random: Random) -> bytes:
    """One valid request, with or without a body."""
    method, target = random.choice(ROUTES)
    kind = random.randrange(4)
    # HTTP/1.0 has no chunks
    version = 1 if kind == 2 or random.random() < 0.9 else 0
    lines = [b"%b %b HTTP/1.%d" % (method, target, version), b"Host: a"]
    lines += [random.choice(HEADERS) for _ in range(random.randrange(4))]
    body = b""
    if kind == 1:
        body = _text(random)
        lines.append(b"Content-Length: %d" % len(body))
    elif kind == 2:
        body = chunked(random)
        lines.append(b"Transfer-Encoding: chunked")
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def chunked(random: Random) -> bytes:
    """A chunked body (RFC 9112, section 7.1)."""
    pieces = []
    for _ in range(random.randrange(4)):
        data = _text(random) or b"x"
        extension = random.choice((b"", b"", b"", b";a", b";a=b", b';a="b c"'))
        size = random.choice((b"%x", b"%X", b"0%x")) % len(data)
        pieces.append(b"%b%b\r\n%b\r\n" % (size, extension, data))
    trailer = random.choice((b"", b"", b"X-Trailer: 1\r\n", b"A: 1\r\nB:\r\n"))
    return b"".join(pieces) + b"0\r\n" + trailer + b"\r\n"


def requests(random: Random) -> bytes:
    """Requests one behind the other, sometimes with empty lines between."""
    gap = random.choice((b"", b"", b"", b"\r\n"))
    return gap.join(request(random) for _ in range(random.randint(1, 4)))


def handshake(random: Random, target: bytes = b"/raw", offer: bytes | None = None) -> bytes:
    """A valid opening handshake (RFC 6455, section 4.1); ``offer`` is one of extensions."""
    if offer is None and random.random() < 0.5:
        offer = compression_offer(random)
    lines = [
        b"Host: a",
        b"Upgrade: " + random.choice((b"websocket", b"WebSocket", b"h2c, websocket")),
        b"Connection: " + random.choice((b"Upgrade", b"keep-alive, Upgrade")),
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        b"Sec-WebSocket-Version: 13",
    ]
    optional = (
        b"Origin: " + random.choice((b"http://a",) * 5 + (b"https://a:443", b"null", b"http://b")),
        b"Sec-WebSocket-Protocol: " + random.choice((b"chat", b"x, chat", b"x")),
        b"Cookie: language=de",
    )
    lines += [line for line in optional if random.random() < 0.3]
    if offer:
        lines.append(b"Sec-WebSocket-Extensions: " + offer)
    random.shuffle(lines)
    return b"GET %b HTTP/1.1\r\n%b\r\n\r\n" % (target, b"\r\n".join(lines))


def compression_offer(random: Random) -> bytes:
    """An extension offer, mostly of permessage-deflate (RFC 7692, section 7)."""
    offers = []
    for _ in range(random.randint(1, 2)):
        parameters = [
            random.choice(
                (
                    b"client_max_window_bits",
                    b"client_max_window_bits=%d" % random.randint(7, 16),
                    b"server_max_window_bits=%d" % random.randint(7, 16),
                    b'server_max_window_bits="10"',
                    b"client_no_context_takeover",
                    b"server_no_context_takeover",
                )
            )
            for _ in range(random.randrange(4))
        ]
        name = random.choice(
            (b"permessage-deflate",) * 5 + (b"x-other", b'x-other; a=", permessage-deflate, "')
        )
        offers.append(b"; ".join([name, *parameters]))
    return b", ".join(offers)


# WebSocket


def frame(random: Random, first: int, payload: bytes, *, masked: bool = True) -> bytes:
    """A client's frame; ``first`` is its first byte: FIN, reserved bits, opcode.

    Now and then its length is written longer than need be, or is not the payload's.
    """
    size = len(payload)
    if random.random() < 0.01:
        size = max(0, size + random.choice((-1, 1, 1000)))
    form = random.choice((1, 2)) if random.random() < 0.01 else 0
    mask = 0x80 if masked else 0
    if size < 126 and form == 0:
        head = bytes((first, mask | size))
    elif size < 65536 and form < 2:
        head = bytes((first, mask | 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, mask | 127)) + size.to_bytes(8, "big")
    if not masked:
        return head + payload
    key = random.choice((b"\0\0\0\0", b"\x37\xfa\x21\x3d", bytes((random.randrange(256),)) * 4))
    return head + key + bytes(byte ^ key[place % 4] for place, byte in enumerate(payload))


def frames(random: Random, *, compressed: bool = False) -> bytes:
    """What a client says on an open WebSocket: messages in frames, control frames between them,
    and here and there a frame that is wrong."""
    deflate = zlib.compressobj(wbits=-15)
    out = []
    for _ in range(random.randint(1, 5)):
        text = random.random() < 0.7
        payload = message(random) if text else _text(random)
        first = 0x01 if text else 0x02
        if compressed and random.random() < 0.7:
            if random.random() < 0.05:  # as the last message that there is, for deflate
                payload = deflate.compress(payload) + deflate.flush(zlib.Z_FINISH)
                deflate = zlib.compressobj(wbits=-15)
            else:
                payload = deflate.compress(payload) + deflate.flush(zlib.Z_SYNC_FLUSH)
                payload = payload.removesuffix(b"\0\0\xff\xff")
            first |= 0x40
        pieces = _split(random, payload)
        for number, piece in enumerate(pieces):
            fin = 0x80 if number == len(pieces) - 1 else 0
            opcode = first if number == 0 else 0x00
            if random.random() < 0.01:
                opcode ^= random.choice((0x80, 0x40, 0x20, 0x10, 0x01, 0x02, 0x08))
            out.append(frame(random, fin | opcode, piece, masked=random.random() > 0.01))
            if random.random() < 0.2:
                out.append(control(random))
    if random.random() < 0.3:
        out.append(close(random))
    return b"".join(out)


def control(random: Random) -> bytes:
    """A ping or a pong."""
    payload = bytes(random.randrange(256) for _ in range(random.choice((0, 1, 4, 4, 4, 125))))
    return frame(random, random.choice((0x89, 0x89, 0x8A)), payload)


def close(random: Random) -> bytes:
    """A Close frame, its code or its reason sometimes wrong (RFC 6455, section 7.4)."""
    code = random.choice(
        (1000,) * 8 + (1001, 1011, 1014, 3000, 4999, 0, 999, 1004, 1005, 1006, 1015)
    )
    reason = random.choice((b"", b"", b"bye", "é".encode(), b"\xff", b"x" * 123, b"x" * 124))
    payload = random.choice((code.to_bytes(2, "big") + reason, b"", b"\x03"))
    return frame(random, 0x88, payload)


def _split(random: Random, payload: bytes) -> list[bytes]:
    """A message's frames: mostly one, sometimes more, some of them empty."""
    if random.random() < 0.6:
        return [payload]
    places = sorted(random.randint(0, len(payload)) for _ in range(random.randint(1, 4)))
    return [payload[a:b] for a, b in zip([0, *places], [*places, len(payload)], strict=True)]


# The envelope

PATHS: Final = ("echo", "add", "bird", "whole", "stream", "slow", "refuse", "none", "error", "")
VALUES: Final = (
    None,
    True,
    0,
    -1,
    2**63,
    2**70,
    1.5,
    1e300,
    "",
    "é",
    "\ud7ff",
    "\0",
    "x" * 200,
    [],
    [1, 2, 3],
    [[[]]],
    {},
    {"name": "finch", "age": 3},
    {"name": 1},
    {"a": {"b": {"c": None}}},
)


def message(random: Random) -> bytes:
    """A client's envelope, or something like it, as JSON."""
    if random.random() < 0.05:
        deep = random.choice((100, 900, 1100, 5000))
        key = random.choice((b"data", b"id", b"path", b"blob"))
        nested = random.choice((b"[" * deep + b"]" * deep, b'{"":' * deep + b"1" + b"}" * deep))
        return b'{"path": "whole", "%b": %b}' % (key, nested)
    value: object = {"path": random.choice(PATHS)}
    assert isinstance(value, dict)
    if random.random() < 0.7:
        value["data"] = random.choice(VALUES)
    if random.random() < 0.4:
        value["id"] = random.choice(VALUES)
    if random.random() < 0.1:
        value["path"] = random.choice(VALUES)
    if random.random() < 0.1:
        value["blob"] = random.choice(VALUES)
    if random.random() < 0.05:
        return json.dumps(random.choice(VALUES)).encode()
    return json.dumps(value, ensure_ascii=random.random() < 0.5).encode()


def _text(random: Random) -> bytes:
    return random.choice(
        (
            b"",
            b"a",
            b"hello",
            "grüß".encode(),
            b'{"name": "finch", "age": 3}',
            b"0\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"\xff\xfe\0",
            b"x" * 125,
            b"x" * 126,
            b"x" * 1000,
        )
    )


# Proxies


def proxy_header(random: Random) -> bytes:
    """A PROXY header, version 1 or 2, and the beginning of what follows it."""
    rest = random.choice((b"", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\x00"))
    if random.random() < 0.5:
        said = random.choice(
            (
                b"TCP4 192.0.2.1 198.51.100.1 56324 443",
                b"TCP6 2001:db8::1 ::1 1 65535",
                b"TCP6 ::ffff:192.0.2.1 ::1 0 80",
                b"UNKNOWN",
                b"UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535",
            )
        )
        return b"PROXY %b\r\n%b" % (said, rest)
    family, size = random.choice(((0x11, 12), (0x21, 36), (0x31, 216), (0x00, 0), (0x12, 12)))
    addresses = bytes(random.randrange(256) for _ in range(min(size, 40))).ljust(size, b"\0")
    tlvs = b""
    for _ in range(random.randrange(3)):
        kind = random.choice((0x01, 0x02, 0x04, 0x20, 0x20, 0x21))
        value = random.choice((b"", b"h2", b"\1\0\0\0\0", b"\0\0\0\0\1", b"x" * 300))
        tlvs += bytes((kind,)) + len(value).to_bytes(2, "big") + value
    command = random.choice((0x21, 0x21, 0x20))
    length = (size + len(tlvs)).to_bytes(2, "big")
    return b"\r\n\r\n\0\r\nQUIT\n%b%b%b%b%b" % (
        bytes((command, family)),
        length,
        addresses,
        tlvs,
        rest,
    )


NODES: Final = (
    b"192.0.2.43",
    b"10.0.0.2",
    b"10.1.1.1:4711",
    b"2001:db8::17",
    b"[2001:db8::17]:4711",
    b"[fd00::1]",
    b"::ffff:10.0.0.3",
    b"unknown",
    b"_hidden",
    b"192.0.2.43:_port",
)


def forwarded(random: Random) -> bytes:
    """The lines that proxies add to a head."""
    lines = []
    for _ in range(random.randint(1, 3)):
        nodes = [random.choice(NODES) for _ in range(random.randint(1, 4))]
        schemes = [random.choice((b"http", b"https", b"wss")) for _ in nodes]
        kind = random.randrange(4)
        if kind == 0:
            lines.append(b"X-Forwarded-For: " + b", ".join(nodes))
        elif kind == 1:
            lines.append(b"X-Forwarded-Proto: " + b",".join(schemes))
        elif kind == 2:
            lines.append(
                b"X-Forwarded-Host: " + random.choice((b"a.example", b"[::1]:8443", b"a, b"))
            )
        else:
            elements = [
                b'for="%b";proto=%b%b'
                % (node, scheme, random.choice((b"", b";host=a", b"; by=_x")))
                for node, scheme in zip(nodes, schemes, strict=True)
            ]
            lines.append(b"Forwarded: " + b", ".join(elements))
    return b"\r\n".join(lines)


# One connection from its beginning


def connection(random: Random) -> bytes:
    """All that a client sends on one connection: requests, a handshake, frames."""
    kind = random.randrange(5)
    before = request(random) if random.random() < 0.2 else b""
    if kind == 0:
        return before + handshake(random, b"/raw", b"") + frames(random)
    if kind == 1:
        deflate = b"permessage-deflate"
        return before + handshake(random, b"/raw", deflate) + frames(random, compressed=True)
    if kind == 2:
        return before + handshake(random, b"/ws") + frames(random)
    return requests(random)


def stream(random: Random) -> bytes:
    """All that a client sends on an open WebSocket, which compresses or does not."""
    return frames(random, compressed=random.random() < 0.5)


# Breaking


def broken(data: bytes, random: Random, other: bytes = b"") -> bytes:
    """The input changed in one to six places.

    Parameters:
        data: a valid input.
        other: another one, of which pieces may be taken.
    """
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 6))):
        changed = random.choice(_CHANGES)(changed, random, other)
    return bytes(changed)


def _slice(data: Bytes, random: Random, most: int = 40) -> slice:
    begin = random.randint(0, len(data))
    return slice(begin, min(len(data), begin + random.randint(1, most)))


def _flip_a_bit(data: bytearray, random: Random, other: bytes) -> bytearray:
    if data:
        data[random.randrange(len(data))] ^= 1 << random.randrange(8)
    return data


def _replace_a_byte(data: bytearray, random: Random, other: bytes) -> bytearray:
    if data:
        data[random.randrange(len(data))] = random.randrange(256)
    return data


def _insert(data: bytearray, random: Random, other: bytes) -> bytearray:
    at = random.randint(0, len(data))
    data[at:at] = random.choice(FRAGMENTS)
    return data


def _overwrite(data: bytearray, random: Random, other: bytes) -> bytearray:
    fragment = random.choice(FRAGMENTS)
    at = random.randint(0, len(data))
    data[at : at + len(fragment)] = fragment
    return data


def _remove(data: bytearray, random: Random, other: bytes) -> bytearray:
    del data[_slice(data, random, 10)]
    return data


def _repeat(data: bytearray, random: Random, other: bytes) -> bytearray:
    piece = data[_slice(data, random)]
    at = random.randint(0, len(data))
    data[at:at] = piece * random.choice((1, 1, 2, 50))
    return data


def _truncate(data: bytearray, random: Random, other: bytes) -> bytearray:
    return data[: random.randint(0, len(data))]


def _splice(data: bytearray, random: Random, other: bytes) -> bytearray:
    return data[: random.randint(0, len(data))] + other[random.randint(0, len(other)) :]


def _change_lines(data: bytearray, random: Random, other: bytes) -> bytearray:
    """Repeat, drop or swap whole lines."""
    lines = data.split(b"\r\n")
    one, two = random.randrange(len(lines)), random.randrange(len(lines))
    kind = random.randrange(3)
    if kind == 0:
        lines.insert(two, lines[one])
    elif kind == 1:
        del lines[one]
    else:
        lines[one], lines[two] = lines[two], lines[one]
    return bytearray(b"\r\n".join(lines))


def _change_an_end_of_line(data: bytearray, random: Random, other: bytes) -> bytearray:
    lines = data.split(b"\r\n")
    if len(lines) < 2:
        return data
    at = random.randrange(len(lines) - 1)
    end = random.choice((b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\r\n", b"\r\n ", b" \r\n", b""))
    lines[at : at + 2] = [lines[at] + end + lines[at + 1]]
    return bytearray(b"\r\n".join(lines))


def _change_a_number(data: bytearray, random: Random, other: bytes) -> bytearray:
    places = [place for place, byte in enumerate(data) if 0x30 <= byte <= 0x39]
    if places:
        at = random.choice(places)
        data[at : at + 1] = random.choice((b"0", b"1", b"9", b"10", b"00", b"_1", b"+1", b"a", b""))
    return data


def _change_case(data: bytearray, random: Random, other: bytes) -> bytearray:
    where = _slice(data, random)
    data[where] = data[where].swapcase()
    return data


_CHANGES: Final = (
    _flip_a_bit,
    _replace_a_byte,
    _insert,
    _insert,
    _overwrite,
    _remove,
    _repeat,
    _truncate,
    _splice,
    _change_lines,
    _change_an_end_of_line,
    _change_a_number,
    _change_case,
)


# Cutting


def cuttings(data: bytes) -> list[list[bytes]]:
    """The same bytes as they may arrive: at once, in pieces, and byte by byte.

    Where they are cut follows from the bytes, so that an input is all that it takes to see a
    failure again.
    """
    ways = [[data] if data else [], cut(data)]
    if len(data) <= 300:
        ways.append([data[place : place + 1] for place in range(len(data))])
    return ways


def cut(data: bytes, most: int = 8) -> list[bytes]:
    """The bytes in a few pieces."""
    random = Random(zlib.crc32(data))
    places = sorted({random.randint(0, len(data)) for _ in range(random.randint(1, most))})
    pieces = [data[a:b] for a, b in zip([0, *places], [*places, len(data)], strict=True)]
    return [piece for piece in pieces if piece]
