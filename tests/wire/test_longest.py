"""No input that the limits admit takes more than its length: nothing here is quadratic.

Counted, not timed: the instructions that Python executes for an input and for one four times as
long. What regular expressions do is not counted by that; so none of them may ever try a repeat
again that has matched.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import sys
import zlib
from re import _constants as sre
from re import _parser
from types import SimpleNamespace

import pytest

import finch.wire
from finch.config import Limits
from finch.errors import FinchError
from finch.http.language import choose_language
from finch.http.request import Request
from finch.net.address import Address
from finch.net.proxies import Source, Trust
from finch.typed import decoder
from finch.wire.envelope import Envelope
from finch.wire.extensions import accept_compression
from finch.wire.forwarded import parse_node, read_forwarded, read_x_forwarded
from finch.wire.handshake import choose_subprotocol, read_handshake, same_origin
from finch.wire.head import RequestHead, read_head
from finch.wire.http import HTTPConnection
from finch.wire.masking import unmask_in_python as unmask
from finch.wire.message import read_message
from finch.wire.origins import read_origin
from finch.wire.proxy import parse_proxy_header
from finch.wire.websocket import WebSocketProtocol

# Regular expressions

MODULES = [
    "finch.http.request",
    "finch.http.language",
    *(f"finch.wire.{module.name}" for module in pkgutil.iter_modules(finch.wire.__path__)),
]
PATTERNS = {
    f"{module}.{name}": value
    for module in MODULES
    for name, value in vars(importlib.import_module(module)).items()
    if isinstance(value, re.Pattern)
}


def loose_repeats(tree):
    """Repeats without bound that may give back what they have matched, to try it again."""
    for operation, argument in tree:
        if operation in (sre.MAX_REPEAT, sre.MIN_REPEAT, sre.POSSESSIVE_REPEAT):
            if operation is not sre.POSSESSIVE_REPEAT and argument[1] is sre.MAXREPEAT:
                yield argument
            yield from loose_repeats(argument[2])
        elif operation is sre.SUBPATTERN:
            yield from loose_repeats(argument[3])
        elif operation is sre.BRANCH:
            for branch in argument[1]:
                yield from loose_repeats(branch)
        elif operation in (sre.ASSERT, sre.ASSERT_NOT):
            yield from loose_repeats(argument[1])
        else:
            assert operation in (
                sre.LITERAL,
                sre.NOT_LITERAL,
                sre.ANY,
                sre.IN,
                sre.AT,
                sre.CATEGORY,
            ), f"{operation}: say here what may repeat inside"


def test_there_are_patterns_to_look_at():
    assert len(PATTERNS) > 15


@pytest.mark.parametrize("name", PATTERNS)
def test_a_repeat_never_gives_back_what_it_has_matched(name):
    pattern = PATTERNS[name]
    assert not list(loose_repeats(_parser.parse(pattern.pattern, pattern.flags)))


# Instructions


def instructions(function):
    """How many instructions of Python a call takes."""
    count = 0

    def trace(frame, event, argument):
        nonlocal count
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function()
    except (FinchError, ValueError, RecursionError):
        pass  # a refusal is an answer
    finally:
        sys.settrace(before)
    return count


LIMITS = Limits(max_request_line=1 << 20, max_head=1 << 20, max_headers=1 << 20)
DEFLATE = b"permessage-deflate"


def head(*lines, target=b"/", host=b"a"):
    more = b"".join(line + b"\r\n" for line in lines)
    return b"GET " + target + b" HTTP/1.1\r\nHost: " + host + b"\r\n" + more + b"\r\n"


def http(data, step):
    connection = HTTPConnection(LIMITS)
    for at in range(0, len(data), step):
        connection.receive_data(data[at : at + step])
        if connection.read_head() is not None:
            while connection.read_body():
                pass


def chunked(data, step):
    connection = HTTPConnection(LIMITS)
    connection.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    connection.read_head()
    for at in range(0, len(data), step):
        connection.receive_data(data[at : at + step])
        while connection.read_body():
            pass


def asked(headers=(), target=b"/"):
    request = RequestHead("GET", target, list(headers), "1.1")
    return Request(request, app=SimpleNamespace(languages=("en", "de", "zh-Hant")))


def shake(name, value):
    handshake = read_handshake(
        "GET",
        "1.1",
        [
            (b"upgrade", b"websocket"),
            (b"connection", b"upgrade"),
            (b"sec-websocket-key", b"dGhlIHNhbXBsZSBub25jZQ=="),
            (b"sec-websocket-version", b"13"),
            (name, value),
        ],
    )
    choose_subprotocol(handshake.subprotocols, ("v2", "v1"))
    accept_compression(handshake.extensions)


def socket(data, step=1 << 16, compressed=False):
    extension = accept_compression(["permessage-deflate"]) if compressed else None
    protocol = WebSocketProtocol(
        max_message_size=1 << 20,
        max_fragments=1 << 17,
        extensions=[extension[0]] if extension else [],
    )
    for at in range(0, len(data), step):
        protocol.receive_data(data[at : at + step])
        while protocol.next_event() is not None or protocol.unread:
            pass


def frame(first, payload):
    size = len(payload)
    length = bytes((0x80 | size,)) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    return bytes((first,)) + length + b"\1\2\3\4" + unmask(payload, b"\1\2\3\4")


def deflated(data, level=9):
    deflate = zlib.compressobj(level, wbits=-15)
    whole = deflate.compress(data) + deflate.flush(zlib.Z_SYNC_FLUSH)
    return whole.removesuffix(b"\0\0\xff\xff")


def envelope(text):
    message = read_message(text)
    message.fields.get("a")
    Envelope(message.data, "a", 200, 1, message.id).frame("en", b"x" * 22)


EVERYBODY = Trust("*")
PEER = Source(Address("192.0.2.1", 1), "http")


def forwarded(value):
    EVERYBODY.trace([(b"forwarded", value)], PEER)
    for hop in read_forwarded(value):
        parse_node(hop.node or b"")


def x_forwarded(value):
    EVERYBODY.trace([(b"x-forwarded-for", value)], PEER)
    read_x_forwarded(value, value, value)


def language(value):
    choose_language(("en", "de", "zh-Hant"), value, value)


def origin(value):
    read_origin(value)
    same_origin(value, "https", value)


def proxied(rest):
    parse_proxy_header(
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + (12 + len(rest)).to_bytes(2, "big") + bytes(12) + rest
    )


def tlvs(count):
    return b"\1\0\0" * count


def ids(count, step=1):
    return json.dumps(list(range(0, count * step, step))).encode()


# name: what is done with an input of that many parts
WORST = {
    "a long header": lambda n: read_head(head(b"X: " + b"x" * n)),
    "headers": lambda n: read_head(head(*[b"X: y"] * n)),
    "headers of Connection": lambda n: read_head(head(*[b"Connection: close, x"] * n)),
    "members of Connection": lambda n: read_head(head(b"Connection: close" + b",x" * n)),
    "headers of Transfer-Encoding": lambda n: read_head(head(*[b"Transfer-Encoding: gzip"] * n)),
    "members of Expect": lambda n: read_head(head(b"Expect: 100-continue" + b"," * n)),
    "headers of Expect": lambda n: read_head(head(*[b"Expect: ,"] * n)),
    "digits of Content-Length": lambda n: read_head(head(b"Content-Length: " + b"1" * n)),
    "a long Host": lambda n: read_head(head(host=b"a%41" * n + b"/")),
    "a long address": lambda n: read_head(head(host=b"[" + b"1:" * n + b"]")),
    "a long path": lambda n: read_head(head(target=b"/a%41" * n + b'"')),
    "a long query": lambda n: read_head(head(target=b"/?" + b"?" * n + b"#")),
    "a long URL": lambda n: read_head(head(target=b"http://a" + b"/%41" * n + b'"')),
    "a head byte by byte": lambda n: http(head(b"X: " + b"x" * n), 1),
    "headers byte by byte": lambda n: http(head(*[b"X:"] * n), 1),
    "a request line byte by byte": lambda n: http(head(target=b"/" + b"a" * n), 1),
    "empty lines": lambda n: http(b"\r\n" * n, 1 << 16),
    "empty lines byte by byte": lambda n: http(b"\r\n" * n, 1),
    "requests": lambda n: http(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * n, 1 << 16),
    "a long head with a body": lambda n: http(
        head(b"Content-Length: 1", *[b"X: y"] * n) + b"x", 1 << 16
    ),
    "chunks": lambda n: chunked(b"1\r\nx\r\n" * n + b"0\r\n\r\n", 1 << 16),
    "chunks byte by byte": lambda n: chunked(b"1\r\nx\r\n" * n + b"0\r\n\r\n", 1),
    "chunks with extensions": lambda n: chunked(b"1;a=b\r\nx\r\n" * n + b"0\r\n\r\n", 1 << 16),
    "chunk extensions": lambda n: chunked(b"1" + b";a=b" * n + b"\r\nx\r\n", 1 << 16),
    "chunk extensions byte by byte": lambda n: chunked(b"1" + b";a=b" * n + b"\r\nx\r\n", 1),
    "a quoted chunk extension": lambda n: chunked(b'1;a="' + b"\\a" * n + b"\r\n", 1 << 16),
    "trailers": lambda n: chunked(b"0\r\n" + b"X: y\r\n" * n + b"\r\n", 1 << 16),
    "trailers byte by byte": lambda n: chunked(b"0\r\n" + b"X: y\r\n" * n + b"\r\n", 1),
    "a long trailer byte by byte": lambda n: chunked(b"0\r\nX: " + b"y" * n + b"\r\n\r\n", 1),
    "cookies": lambda n: asked([(b"cookie", b"a=b; " * n)]).cookies,
    "cookies of many names": lambda n: (
        asked([(b"cookie", b";".join(b"a%d=" % number for number in range(n)))]).cookies
    ),
    "a quoted cookie": lambda n: asked([(b"cookie", b'a="' + b'\\"' * n + b'"')]).cookies,
    "an octal cookie": lambda n: asked([(b"cookie", b'a="' + b"\\303\\274" * n + b'"')]).cookies,
    "headers of cookies": lambda n: asked([(b"cookie", b"a=b")] * n).cookies,
    "a query": lambda n: asked(target=b"/?" + b"a=b&" * n).query,
    "an escaped query": lambda n: asked(target=b"/?a=" + b"%ff+" * n).query,
    "an escaped path": lambda n: asked(target=b"/" + b"%41" * n).path,
    "parameters of Content-Type": lambda n: (
        asked([(b"content-type", b"a" + b";charset=x" * n)]).text().send(None)
    ),
    "languages": lambda n: language("de;q=0.5," * n),
    "a language of many parts": lambda n: language("a-" * n),
    "a language of many parts that is one": lambda n: language("a" + "-a" * n),
    "Forwarded": lambda n: forwarded(b"for=192.0.2.1;proto=http," * n),
    "parameters of Forwarded": lambda n: forwarded(
        b";".join(b"a%d=b" % number for number in range(n))
    ),
    "a quoted parameter of Forwarded": lambda n: forwarded(b'for="' + b"\\a" * n + b'"'),
    "commas of Forwarded": lambda n: forwarded(b" ," * n),
    "X-Forwarded-For": lambda n: x_forwarded(b"192.0.2.1," * n),
    "X-Forwarded-For of one address": lambda n: x_forwarded(b"1." * n),
    "a long node": lambda n: parse_node(b"_a:_" + b"a" * n + b"!"),
    "a PROXY line": lambda n: parse_proxy_header(b"PROXY UNKNOWN " + b"\r" * min(n, 90)),
    "fields of a PROXY header": lambda n: proxied(tlvs(n)),
    "subprotocols": lambda n: shake(
        b"sec-websocket-protocol", b",".join(b"a%d" % number for number in range(n))
    ),
    "the same subprotocol": lambda n: shake(b"sec-websocket-protocol", b"a," * n),
    "offers of compression": lambda n: shake(
        b"sec-websocket-extensions", (DEFLATE + b";server_max_window_bits=8,") * n
    ),
    "offers of compression that are right": lambda n: shake(
        b"sec-websocket-extensions", (DEFLATE + b";client_max_window_bits=9,") * n
    ),
    "parameters of an offer": lambda n: shake(b"sec-websocket-extensions", DEFLATE + b";a=b" * n),
    "quoted parameters of an offer": lambda n: shake(
        b"sec-websocket-extensions", DEFLATE + b';a="b"' * n + b'"'
    ),
    "members of Upgrade": lambda n: shake(b"upgrade", b"websocket," * n),
    "a long origin": lambda n: origin("https://" + "a." * n + "\\"),
    "an origin of a long address": lambda n: origin("https://[" + "1:" * n + "]"),
    "an origin of a long port": lambda n: origin("https://a:" + "1" * n),
    "an origin of a long scheme": lambda n: origin("a" * n + "://"),
    "messages": lambda n: socket(frame(0x81, b"{}") * n),
    "messages byte by byte": lambda n: socket(frame(0x81, b"{}") * n, 1),
    "a long message byte by byte": lambda n: socket(frame(0x81, b"a" * n), 1),
    "fragments": lambda n: socket(frame(0x01, b"") + frame(0, b"a") * n + frame(0x80, b"")),
    "fragments of one letter each": lambda n: socket(
        frame(0x01, b"") + (frame(0, b"\xc3") + frame(0, b"\xa4")) * n + frame(0x80, b"")
    ),
    "fragments and pings": lambda n: socket(
        frame(0x01, b"") + (frame(0, b"") + frame(0x89, b"")) * n
    ),
    "pings": lambda n: socket(frame(0x89, b"a") * n),
    "what inflates": lambda n: socket(frame(0xC1, deflated(b"a" * 1000 * n)), compressed=True),
    "what is compressed in fragments": lambda n: socket(
        frame(0x41, b"")
        + b"".join(frame(0, bytes((byte,))) for byte in deflated(bytes(range(256)) * (n // 64), 0))
        + frame(0x80, b""),
        compressed=True,
    ),
    "empty blocks": lambda n: socket(
        frame(0x41, b"") + frame(0, b"\0\0\0\xff\xff") * n + frame(0x80, b"\0"), compressed=True
    ),
    "compressed messages": lambda n: socket(frame(0xC1, deflated(b"{}")) * n, compressed=True),
    "nested JSON": lambda n: envelope('{"data":' + "[" * n + "]" * n + "}"),
    "nested JSON without end": lambda n: envelope('{"data":' + '{"":' * n),
    "a key many times": lambda n: envelope("{" + '"data":[],' * n + '"path":""}'),
    "many keys": lambda n: envelope("{" + ",".join(f'"{k}":1' for k in range(n)) + "}"),
    "large numbers": lambda n: envelope('{"data":[' + ",".join(["9" * 400] * n) + "]}"),
    "a large id": lambda n: envelope('{"id":' + ids(n).decode() + "}"),
    "a set of integers": lambda n: decoder(set[int])(ids(4 * n)),
    "a set of large integers": lambda n: decoder(set[int])(ids(4 * n, 2**61 - 1)),
    "a key of a dict many times": lambda n: decoder(dict[int, int])(
        b"{" + b",".join([b'"5":1'] * (4 * n)) + b"}"
    ),
    "sets": lambda n: decoder(list[set[int]])(b"[" + b"[1]," * (4 * n) + b"[]]"),
    "elements of a set with many values": lambda n: decoder(set[tuple[int, ...]])(
        b"[" + b",".join([b"[1,2,3,4,5]"] * (4 * n)) + b"]"
    ),
}
SMALL = 150  # parts


@pytest.mark.parametrize("name", WORST)
def test_four_times_as_much_takes_at_most_four_times_as_long(name):
    work = WORST[name]
    instructions(lambda: work(SMALL))  # what is imported and cached then, is not now
    few = instructions(lambda: work(SMALL))
    many = instructions(lambda: work(4 * SMALL))

    assert many <= 4.2 * few + 1000
