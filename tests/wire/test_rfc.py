"""What the RFCs say of requests, case by case: the section, what it is about, bytes, outcome.

An outcome reads like this:

    GET /a            the request is accepted, and another may follow
    GET / x=1         so is its header ``x``; ``host`` is told where it is not ``a``
    POST / 'hello'    with its body
    GET / close       no other request may follow
    GET /a, GET /b    one request after the other
    ...               what has come is no whole request yet
    POST / ...        nor is the body of this one; ``100`` where the peer waits for permission
    400               refused with that status, and the connection ends
    GET /, 400        the first request is accepted, the one behind it refused

Every case is read whole, byte by byte, and cut in two at each place.
"""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from finch.config import Limits
from finch.errors import ProtocolError
from finch.wire.head import RequestHead
from finch.wire.http import HTTPConnection

LIMITS = Limits(max_request_line=80, max_head=240, max_headers=6)

NEXT = b"GET /next HTTP/1.1\r\nHost: a\r\n\r\n"


def line(request_line: bytes) -> bytes:
    """A request with that request line."""
    return request_line + b"\r\nHost: a\r\n\r\n"


def version(text: bytes) -> bytes:
    return line(b"GET / " + text)


def target(text: bytes) -> bytes:
    return line(b"GET " + text + b" HTTP/1.1")


def hosts(*lines: bytes) -> bytes:
    """A request with those header lines and no other."""
    return b"".join(part + b"\r\n" for part in (b"GET / HTTP/1.1", *lines, b""))


def fields(*lines: bytes) -> bytes:
    """A request with those header lines behind its Host."""
    return hosts(b"Host: a", *lines)


def post(*lines: bytes, body: bytes = b"") -> bytes:
    """The same with a body."""
    return fields(*lines).replace(b"GET", b"POST", 1) + body


def old(*lines: bytes) -> bytes:
    """The same in HTTP/1.0, Host included."""
    return hosts(*lines).replace(b"HTTP/1.1", b"HTTP/1.0", 1)


def chunked(body: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", body=body)


def trailers(*lines: bytes) -> bytes:
    return chunked(b"2\r\nhi\r\n0\r\n" + b"".join(part + b"\r\n" for part in lines) + b"\r\n")


LONG = b"x" * 300

CASES = [
    # RFC 9112, 2.1: start-line CRLF *( field-line CRLF ) CRLF
    ("9112 2.1", "a request", fields(b"X: 1", b"Y: 2"), "GET / x=1"),
    ("9112 2.1", "one request behind the other", fields() + NEXT, "GET /, GET /next"),
    ("9112 2.1", "nothing", b"", ""),
    ("9112 2.1", "no end of the head", fields()[:-2], "..."),
    ("9112 2.1", "no end of the last line end", fields()[:-1], "..."),
    ("9112 2.1", "no end of the request line", b"GET / HTTP/1.1", "..."),
    ("9112 2.1", "half a method", b"GE", "..."),
    ("9112 2.1", "a bare LF between all lines", fields().replace(b"\r\n", b"\n"), "400"),
    # 2.2: how to parse
    ("9112 2.2", "one empty line before", b"\r\n" + fields(), "GET /"),
    ("9112 2.2", "several empty lines before", b"\r\n\r\n\r\n" + fields(), "GET /"),
    ("9112 2.2", "an empty line between two", fields() + b"\r\n" + NEXT, "GET /, GET /next"),
    ("9112 2.2", "an empty line alone", b"\r\n", ""),
    ("9112 2.2", "half an empty line", b"\r", "..."),
    ("9112 2.2", "an empty line of LF alone", b"\n" + fields(), "400"),
    ("9112 2.2", "an empty line of CR alone", b"\r" + fields(), "400"),
    ("9112 2.2", "a line of spaces before", b"  \r\n" + fields(), "400"),
    ("9112 2.2", "a bare LF behind the request line", b"GET / HTTP/1.1\nHost: a\r\n\r\n", "400"),
    ("9112 2.2", "a bare LF behind a header", b"GET / HTTP/1.1\r\nHost: a\n\r\n", "400"),
    ("9112 2.2", "a bare LF as the end", b"GET / HTTP/1.1\r\nHost: a\r\n\n", "400"),
    ("9112 2.2", "a bare CR behind the request line", b"GET / HTTP/1.1\rHost: a\r\n\r\n", "400"),
    ("9112 2.2", "a bare CR behind a header", b"GET / HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n", "400"),
    ("9112 2.2", "a bare CR before a header", fields(b"\rX: 1"), "400"),
    ("9112 2.2", "CR CR LF", b"GET / HTTP/1.1\r\r\nHost: a\r\n\r\n", "400"),
    ("9112 2.2", "space before the first header", hosts(b" X: 1", b"Host: a"), "400"),
    ("9112 2.2", "a tab before the first header", hosts(b"\tX: 1", b"Host: a"), "400"),
    ("9112 2.2", "TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400"),
    ("9112 2.2", "a proxy's greeting", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n" + fields(), "400"),
    # 2.3: HTTP-version, case-sensitive, two digits
    ("9112 2.3", "HTTP/1.1, and a Host alone", version(b"HTTP/1.1"), "GET /"),
    ("9112 2.3", "HTTP/1.0", version(b"HTTP/1.0"), "GET / close"),
    ("9112 2.3", "lower case", version(b"http/1.1"), "400"),
    ("9112 2.3", "mixed case", version(b"Http/1.1"), "400"),
    ("9112 2.3", "another protocol", version(b"ICY/1.1"), "400"),
    ("9112 2.3", "no minor", version(b"HTTP/1"), "400"),
    ("9112 2.3", "no number", version(b"HTTP/"), "400"),
    ("9112 2.3", "no dot", version(b"HTTP/11"), "400"),
    ("9112 2.3", "a comma", version(b"HTTP/1,1"), "400"),
    ("9112 2.3", "two minor digits", version(b"HTTP/1.10"), "400"),
    ("9112 2.3", "a leading zero", version(b"HTTP/01.1"), "400"),
    ("9112 2.3", "three parts", version(b"HTTP/1.1.1"), "400"),
    ("9112 2.3", "a sign", version(b"HTTP/+1.1"), "400"),
    ("9112 2.3", "letters", version(b"HTTP/a.b"), "400"),
    ("9112 2.3", "space within", version(b"HTTP/ 1.1"), "400"),
    ("9110 2.5", "a later minor version is read as 1.1", version(b"HTTP/1.2"), "GET /"),
    ("9110 2.5", "the last one as well", version(b"HTTP/1.9"), "GET /"),
    ("9110 15.6.6", "HTTP/0.9", version(b"HTTP/0.9"), "505"),
    ("9110 15.6.6", "HTTP/2.0", version(b"HTTP/2.0"), "505"),
    ("9110 15.6.6", "HTTP/3.0", version(b"HTTP/3.0"), "505"),
    ("9110 15.6.6", "HTTP/9.9", version(b"HTTP/9.9"), "505"),
    ("9113 3.4", "the preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "505"),
    # 3: method SP request-target SP HTTP-version
    ("9112 3", "a request of HTTP/0.9", b"GET /\r\n", "400"),
    ("9112 3", "a request of HTTP/0.9 and its end", b"GET /\r\n\r\n", "400"),
    ("9112 3", "a method alone", b"GET\r\n\r\n", "400"),
    ("9112 3", "no target", line(b"GET HTTP/1.1"), "400"),
    ("9112 3", "an empty target", line(b"GET  HTTP/1.1"), "400"),
    ("9112 3", "two spaces before the target", line(b"GET  / HTTP/1.1"), "400"),
    ("9112 3", "two spaces behind the target", line(b"GET /  HTTP/1.1"), "400"),
    ("9112 3", "a tab before the target", line(b"GET\t/ HTTP/1.1"), "400"),
    ("9112 3", "a tab behind the target", line(b"GET /\tHTTP/1.1"), "400"),
    ("9112 3", "a vertical tab", line(b"GET\x0b/ HTTP/1.1"), "400"),
    ("9112 3", "space before the method", line(b" GET / HTTP/1.1"), "400"),
    ("9112 3", "space behind the version", line(b"GET / HTTP/1.1 "), "400"),
    ("9112 3", "space within the target", line(b"GET /a b HTTP/1.1"), "400"),
    ("9112 3", "words behind the version", line(b"GET / HTTP/1.1 x"), "400"),
    ("9112 3", "a request line at its limit", target(b"/" + b"a" * 66), "GET /" + "a" * 66),
    ("9112 3", "and one past it", target(b"/" + b"a" * 67), "414"),
    ("9112 3", "a request line without end", b"GET /" + LONG, "414"),
    ("9112 3", "a method without end", LONG, "501"),
    # 3.1: method = token, case-sensitive
    ("9112 3.1", "any token is a method", line(b"M-SEARCH / HTTP/1.1"), "M-SEARCH /"),
    ("9112 3.1", "every sign of a token", line(b"!#$%&'*+-.^_`|~ / HTTP/1.1"), "!#$%&'*+-.^_`|~ /"),
    ("9110 9.1", "lower case is another method", line(b"get / HTTP/1.1"), "get /"),
    ("9112 3.1", "a bracket", line(b"G[T / HTTP/1.1"), "400"),
    ("9112 3.1", "a colon", line(b"GET: / HTTP/1.1"), "400"),
    ("9112 3.1", "a quote", line(b'"GET" / HTTP/1.1'), "400"),
    ("9112 3.1", "a NUL", line(b"GE\x00T / HTTP/1.1"), "400"),
    ("9112 3.1", "a byte beyond ASCII", line(b"G\xcb\x87T / HTTP/1.1"), "400"),
    ("9110 9.3.6", "CONNECT is a proxy's", line(b"CONNECT a:443 HTTP/1.1"), "501"),
    ("9110 9.3.6", "CONNECT without a port", line(b"CONNECT a HTTP/1.1"), "501"),
    ("9110 9.3.8", "TRACE is a method", line(b"TRACE / HTTP/1.1"), "TRACE /"),
    (
        "9110 9.3.8",
        "TRACE has no body",
        post(b"Content-Length: 1", body=b"x").replace(b"POST", b"TRACE"),
        "400",
    ),
    # 3.2.1: origin-form = absolute-path [ "?" query ]
    ("9112 3.2.1", "a path", target(b"/a/b.c"), "GET /a/b.c"),
    ("9112 3.2.1", "a query", target(b"/a?b=c&d"), "GET /a?b=c&d"),
    ("9112 3.2.1", "an empty query", target(b"/?"), "GET /?"),
    ("9112 3.2.1", "a question mark in a query", target(b"/?a?b"), "GET /?a?b"),
    ("9112 3.2.1", "a path that begins with two slashes", target(b"//a/b"), "GET //a/b"),
    ("9112 3.2.1", "dot segments", target(b"/a/../b"), "GET /a/../b"),
    ("9112 3.2.1", "a path without its slash", target(b"a/b"), "400"),
    ("9112 3.2.1", "a query without a path", target(b"?a=b"), "400"),
    ("3986 3.3", "every sign of a path", target(b"/:@-._~!$&'()*+,;="), "GET /:@-._~!$&'()*+,;="),
    ("3986 2.1", "an encoded byte", target(b"/%C3%a9"), "GET /%C3%a9"),
    ("3986 2.1", "a percent sign alone", target(b"/100%"), "400"),
    ("3986 2.1", "one hexadecimal digit", target(b"/%a/b"), "400"),
    ("3986 2.1", "no hexadecimal digits", target(b"/%zz"), "400"),
    ("3986 7.3", "an encoded NUL", target(b"/a%00.png"), "400"),
    ("3986 3.3", "a quote", target(b'/"a"'), "400"),
    ("3986 3.3", "angle brackets", target(b"/<a>"), "400"),
    ("3986 3.3", "a backslash", target(b"/a\\b"), "400"),
    ("3986 3.3", "braces", target(b"/{a}"), "400"),
    ("3986 3.5", "a fragment", target(b"/a#b"), "400"),
    ("3986 3.5", "a fragment behind a query", target(b"/?a#b"), "400"),
    ("3986 3.4", "a quote in a query", target(b'/?a="b"'), "400"),
    ("3986 3.4", "angle brackets in a query", target(b"/?a=<b>"), "400"),
    ("WHATWG 1.3", "what browsers leave in paths", target(b"/a[0]|b^"), "GET /a[0]|b^"),
    ("WHATWG 1.3", "and in queries", target(b"/?a[]={b}\\`^|5%"), "GET /?a[]={b}\\`^|5%"),
    ("9112 3.2", "a byte beyond ASCII", target(b"/caf\xc3\xa9"), "400"),
    ("9112 3.2", "the same in a query", target(b"/?caf\xc3\xa9"), "400"),
    ("9112 3.2", "a NUL", target(b"/a\x00b"), "400"),
    ("9112 3.2", "a control character", target(b"/a\x1fb"), "400"),
    ("9112 3.2", "DEL", target(b"/a\x7fb"), "400"),
    # 3.2.2: absolute-form
    ("9112 3.2.2", "a URL", target(b"http://a/b?c"), "GET http://a/b?c"),
    ("9112 3.2.2", "a URL without a path", target(b"http://a"), "GET http://a"),
    ("9112 3.2.2", "a URL with a query and no path", target(b"http://a?b"), "GET http://a?b"),
    ("9112 3.2.2", "a scheme in upper case", target(b"HTTPS://a/"), "GET HTTPS://a/"),
    ("9112 3.2.2", "its host before the header's", target(b"http://b/"), "GET http://b/ host=b"),
    (
        "9112 3.2.2",
        "with its port",
        target(b"http://[::1]:80/"),
        "GET http://[::1]:80/ host=[::1]:80",
    ),
    (
        "9112 3.2.2",
        "a URL in HTTP/1.0 without a Host",
        b"GET http://b/ HTTP/1.0\r\n\r\n",
        "GET http://b/ host=b close",
    ),
    ("9112 3.2", "a URL without a Host", b"GET http://a/ HTTP/1.1\r\n\r\n", "400"),
    ("9110 4.2.1", "a URL without a host", target(b"http:///a"), "400"),
    ("9110 4.2.1", "a URL with a port and no host", target(b"http://:80/"), "400"),
    ("9110 4.2.4", "a URL with a user", target(b"http://user@a/"), "400"),
    ("9112 3.2.2", "a port that is none", target(b"http://a:b/"), "400"),
    ("9112 3.2.2", "half an IPv6 address", target(b"http://[::1/"), "400"),
    ("9112 3.2.2", "a URL with one slash", target(b"http:/a"), "400"),
    ("9112 3.2.2", "another scheme", target(b"ftp://a/"), "400"),
    ("9112 3.2.2", "a script", target(b"javascript:alert(1)"), "400"),
    # 3.2.3 and 3.2.4: authority-form is CONNECT's, asterisk-form is that of OPTIONS
    ("9112 3.2.3", "an authority", target(b"a:80"), "400"),
    ("9112 3.2.4", "OPTIONS for the server", line(b"OPTIONS * HTTP/1.1"), "OPTIONS *"),
    ("9112 3.2.4", "OPTIONS for a path", line(b"OPTIONS /a HTTP/1.1"), "OPTIONS /a"),
    ("9112 3.2.4", "GET for the server", target(b"*"), "400"),
    ("9112 3.2.4", "two asterisks", line(b"OPTIONS ** HTTP/1.1"), "400"),
    ("9112 3.2.4", "an asterisk and more", line(b"OPTIONS *?a HTTP/1.1"), "400"),
    # 3.2 and RFC 9110, 7.2: Host = uri-host [ ":" port ]
    ("9112 3.2", "no Host", hosts(b"X: 1"), "400"),
    ("9112 3.2", "no header at all", hosts(), "400"),
    ("9112 3.2", "a Host twice", hosts(b"Host: a", b"Host: a"), "400"),
    ("9112 3.2", "two hosts", hosts(b"Host: a", b"X: 1", b"host: b"), "400"),
    ("9112 3.2", "two hosts in a list", hosts(b"Host: a, b"), "400"),
    ("9112 3.2", "two hosts in a list without a space", hosts(b"Host: a,b"), "400"),
    ("9112 3.2", "a host and a comma", hosts(b"Host: a,"), "400"),
    ("9112 3.2", "two hosts in a URL", b"GET http://a,b/ HTTP/1.1\r\nHost: a\r\n\r\n", "400"),
    ("9110 4.2.1", "an empty Host", hosts(b"Host:"), "400"),
    ("9112 3.2", "a port without a host", hosts(b"Host: :80"), "400"),
    ("9110 7.2", "a port", hosts(b"Host: a:80"), "GET / host=a:80"),
    ("9110 7.2", "an empty port", hosts(b"Host: a:"), "GET / host=a:"),
    ("9110 7.2", "the last port", hosts(b"Host: a:65535"), "GET / host=a:65535"),
    ("9110 7.2", "a port beyond the last", hosts(b"Host: a:65536"), "400"),
    ("9110 7.2", "two ports", hosts(b"Host: a:80:80"), "400"),
    ("9110 7.2", "a port with a sign", hosts(b"Host: a:-1"), "400"),
    ("9110 7.2", "a name", hosts(b"Host: www.example.org"), "GET / host=www.example.org"),
    ("9110 7.2", "an encoded name", hosts(b"Host: b%c3%bc"), "GET / host=b%c3%bc"),
    ("9110 7.2", "half an encoded byte", hosts(b"Host: b%c"), "400"),
    ("9110 7.2", "an IPv4 address", hosts(b"Host: 127.0.0.1:80"), "GET / host=127.0.0.1:80"),
    ("9110 7.2", "an IPv6 address", hosts(b"Host: [::1]:80"), "GET / host=[::1]:80"),
    (
        "9110 7.2",
        "an IPv6 address with an IPv4 one",
        hosts(b"Host: [::1.2.3.4]"),
        "GET / host=[::1.2.3.4]",
    ),
    ("9110 7.2", "no IPv6 address", hosts(b"Host: [:::1]"), "400"),
    ("9110 7.2", "an IPv6 address without brackets", hosts(b"Host: ::1"), "400"),
    ("9110 7.2", "a user", hosts(b"Host: user@a"), "400"),
    ("9110 7.2", "a path", hosts(b"Host: a/b"), "400"),
    ("9110 7.2", "a query", hosts(b"Host: a?b"), "400"),
    ("9110 7.2", "a URL", hosts(b"Host: http://a"), "400"),
    ("9110 7.2", "a space", hosts(b"Host: a b"), "400"),
    ("9110 7.2", "a backslash", hosts(b"Host: a\\b"), "400"),
    ("9110 7.2", "a byte beyond ASCII", hosts(b"Host: b\xc3\xbc"), "400"),
    ("9112 3.2", "HTTP/1.0 without a Host", old(), "GET / close"),
    ("9112 3.2", "HTTP/1.0 with two", old(b"Host: a", b"Host: a"), "400"),
    ("9112 3.2", "HTTP/1.0 with a wrong one", old(b"Host: a b"), "400"),
    # 5: field-line = field-name ":" OWS field-value OWS
    ("9112 5", "no space around a value", fields(b"X:1"), "GET / x=1"),
    ("9112 5", "spaces and tabs around it", fields(b"X: \t 1\t "), "GET / x=1"),
    ("9112 5", "spaces and tabs within it", fields(b"X: 1 \t 2"), "GET / x=1 \t 2"),
    ("9112 5", "a colon within it", fields(b"X: 1:2"), "GET / x=1:2"),
    ("9112 5", "an empty value", fields(b"X:"), "GET / x="),
    ("9112 5", "a value of spaces", fields(b"X:   "), "GET / x="),
    ("9110 5.2", "a header twice", fields(b"X: 1", b"X: 2"), "GET / x=1 x=2"),
    ("9110 5.1", "names ignore case", b"GET / HTTP/1.1\r\nhOsT: a\r\nx: 1\r\n\r\n", "GET / x=1"),
    ("9110 5.1", "every sign of a token", fields(b"!#$%&'*+-.^_`|~09az: 1"), "GET /"),
    ("9112 5", "a line without a colon", fields(b"X"), "400"),
    ("9112 5", "a line without a name", fields(b": 1"), "400"),
    ("9112 5.1", "a space before the colon", fields(b"X : 1"), "400"),
    ("9112 5.1", "a tab before the colon", fields(b"X\t: 1"), "400"),
    (
        "9112 5.1",
        "a space before that of the length",
        post(b"Content-Length : 1", body=b"x"),
        "400",
    ),
    ("9110 5.1", "a space within a name", fields(b"X Y: 1"), "400"),
    ("9110 5.1", "brackets in a name", fields(b"X[]: 1"), "400"),
    ("9110 5.1", "a slash in a name", fields(b"X/Y: 1"), "400"),
    ("9110 5.1", "a quote in a name", fields(b'"X": 1'), "400"),
    ("9110 5.1", "a NUL in a name", fields(b"X\x00: 1"), "400"),
    ("9110 5.1", "a byte beyond ASCII in a name", fields(b"\xc3\xa9: 1"), "400"),
    ("9112 5.2", "a folded line", fields(b"X: 1", b" 2"), "400"),
    ("9112 5.2", "a line folded with a tab", fields(b"X: 1", b"\t2"), "400"),
    ("9112 5.2", "an empty folded line", fields(b"X: 1", b" "), "400"),
    ("9112 5.2", "a folded Host", hosts(b"Host:", b" a"), "400"),
    ("9110 5.5", "bytes beyond ASCII in a value", fields(b"X: \xc3\xa9"), "GET / x=é"),
    ("9110 5.5", "a NUL in a value", fields(b"X: a\x00b"), "400"),
    ("9110 5.5", "a CR in a value", fields(b"X: a\rb"), "400"),
    ("9110 5.5", "an LF in a value", fields(b"X: a\nb"), "400"),
    ("9110 5.5", "a control character in a value", fields(b"X: a\x07b"), "400"),
    ("9110 5.5", "a vertical tab around a value", fields(b"X: \x0ba"), "400"),
    ("9110 5.5", "DEL in a value", fields(b"X: a\x7fb"), "400"),
    ("9110 5.4", "as many headers as allowed", fields(*[b"Y: 1"] * 5), "GET /"),
    ("6585 5", "one header more", fields(*[b"Y: 1"] * 6), "431"),
    ("6585 5", "a header beyond the head's limit", fields(b"X: " + LONG), "431"),
    ("6585 5", "a head without end", b"GET / HTTP/1.1\r\nX: " + LONG, "431"),
    # 6.2 and RFC 9110, 8.6: Content-Length = 1*DIGIT
    (
        "9112 6.2",
        "a body",
        post(b"Content-Length: 5", body=b"hello" + NEXT),
        "POST / 'hello', GET /next",
    ),
    (
        "9112 6.2",
        "a body that is not whole",
        post(b"Content-Length: 5", body=b"hell"),
        "POST / ...",
    ),
    ("9112 6.2", "an empty body", post(b"Content-Length: 0", body=NEXT), "POST /, GET /next"),
    ("9110 8.6", "leading zeros", post(b"Content-Length: 005", body=b"hello"), "POST / 'hello'"),
    ("9110 8.6", "space around it", post(b"Content-Length: \t5 ", body=b"hello"), "POST / 'hello'"),
    ("9110 9.3.1", "GET with a body", fields(b"Content-Length: 2") + b"hi", "GET / 'hi'"),
    ("9110 9.3.1", "GET with an empty one", fields(b"Content-Length: 0"), "GET /"),
    ("9112 6.3", "no length is no body", post(body=NEXT), "POST /, GET /next"),
    ("9110 8.6", "no number", post(b"Content-Length: x"), "400"),
    ("9110 8.6", "an empty length", post(b"Content-Length:"), "400"),
    ("9110 8.6", "a plus", post(b"Content-Length: +5", body=b"hello"), "400"),
    ("9110 8.6", "a minus", post(b"Content-Length: -5", body=b"hello"), "400"),
    ("9110 8.6", "a fraction", post(b"Content-Length: 5.0", body=b"hello"), "400"),
    ("9110 8.6", "a hexadecimal number", post(b"Content-Length: 0x5", body=b"hello"), "400"),
    ("9110 8.6", "an underscore", post(b"Content-Length: 1_0"), "400"),
    ("9110 8.6", "a space within", post(b"Content-Length: 5 0"), "400"),
    ("9110 8.6", "a digit that is not ASCII's", post(b"Content-Length: \xd9\xa5"), "400"),
    ("9110 8.6", "a quote", post(b'Content-Length: "5"', body=b"hello"), "400"),
    ("9110 8.6", "a list of one length", post(b"Content-Length: 5, 5", body=b"hello"), "400"),
    ("9110 8.6", "a list of two", post(b"Content-Length: 5, 6", body=b"hello"), "400"),
    ("9112 6.3", "a length twice", post(*[b"Content-Length: 5"] * 2, body=b"hello"), "400"),
    ("9112 6.3", "two lengths", post(b"Content-Length: 5", b"Content-Length: 0"), "400"),
    ("9110 15.5.14", "a length beyond all measure", post(b"Content-Length: " + b"9" * 19), "413"),
    ("9110 15.5.14", "one beyond 64 bits, minus", post(b"Content-Length: -" + b"9" * 30), "400"),
    # 6.1: Transfer-Encoding
    (
        "9112 6.1",
        "chunked",
        chunked(b"5\r\nhello\r\n0\r\n\r\n" + NEXT),
        "POST / 'hello', GET /next",
    ),
    ("9112 7", "in any case", post(b"transfer-encoding: Chunked", body=b"0\r\n\r\n"), "POST /"),
    (
        "9112 6.1",
        "GET with a chunked body",
        fields(b"Transfer-Encoding: chunked") + b"0\r\n\r\n",
        "GET /",
    ),
    (
        "9112 6.1",
        "a length beside it",
        post(b"Content-Length: 5", b"Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "400",
    ),
    (
        "9112 6.1",
        "a length behind it",
        post(b"Transfer-Encoding: chunked", b"content-length: 0", body=b"0\r\n\r\n"),
        "400",
    ),
    (
        "9112 6.1",
        "a length beside another coding",
        post(b"Content-Length: 5", b"Transfer-Encoding: x"),
        "400",
    ),
    ("9112 6.1", "chunked in HTTP/1.0", old(b"Transfer-Encoding: chunked"), "400"),
    ("9112 6.1", "chunked twice", post(*[b"Transfer-Encoding: chunked"] * 2), "400"),
    ("9112 6.1", "chunked twice in a list", post(b"Transfer-Encoding: chunked, chunked"), "400"),
    ("9112 6.1", "another coding below chunked", post(b"Transfer-Encoding: gzip, chunked"), "501"),
    (
        "9112 6.1",
        "that in two lines",
        post(b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked"),
        "501",
    ),
    ("9112 6.3", "chunked is not the last", post(b"Transfer-Encoding: chunked, gzip"), "400"),
    ("9112 6.3", "identity behind it", post(b"Transfer-Encoding: chunked, identity"), "400"),
    ("9112 6.3", "no chunked at all", post(b"Transfer-Encoding: gzip"), "400"),
    ("9112 6.3", "identity", post(b"Transfer-Encoding: identity"), "400"),
    ("9112 6.3", "an empty coding", post(b"Transfer-Encoding:"), "400"),
    ("9112 6.3", "nearly chunked", post(b"Transfer-Encoding: xchunked"), "400"),
    ("9112 6.3", "chunked and more", post(b"Transfer-Encoding: chunkedx"), "400"),
    ("9112 6.3", "chunked in quotes", post(b'Transfer-Encoding: "chunked"'), "400"),
    ("9112 7", "chunked with a parameter", post(b"Transfer-Encoding: chunked;a=b"), "400"),
    ("9112 6.3", "a vertical tab before", post(b"Transfer-Encoding: \x0bchunked"), "400"),
    ("9112 6.3", "an empty element behind", post(b"Transfer-Encoding: chunked,"), "400"),
    ("9112 6.3", "an empty element before", post(b"Transfer-Encoding: , chunked"), "400"),
    ("9112 5.1", "a space before its colon", post(b"Transfer-Encoding : chunked"), "400"),
    ("9112 5.2", "folded", post(b"Transfer-Encoding:", b" chunked"), "400"),
    ("9110 5.1", "an underscore is another header", post(b"Transfer_Encoding: chunked"), "POST /"),
    # 7.1: chunk = chunk-size [ chunk-ext ] CRLF chunk-data CRLF
    ("9112 7.1", "two chunks", chunked(b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"), "POST / 'hello'"),
    (
        "9112 7.1",
        "digits in any case",
        chunked(b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"),
        "POST / '01234567890123456789'",
    ),
    ("9112 7.1", "leading zeros", chunked(b"0005\r\nhello\r\n000\r\n\r\n"), "POST / 'hello'"),
    (
        "9112 7.1",
        "lines in the data",
        chunked(b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n"),
        "POST / '\\r\\n0\\r\\n\\r\\n'",
    ),
    ("9112 7.1", "no data", chunked(b"0\r\n\r\n"), "POST /"),
    ("9112 7.1", "16 digits", chunked(b"0000000000000005\r\nhello\r\n0\r\n\r\n"), "POST / 'hello'"),
    ("9112 7.1", "17 digits", chunked(b"00000000000000005\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "more than 64 bits", chunked(b"10000000000000005\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "the largest size", chunked(b"FFFFFFFFFFFFFFFF\r\nhello"), "POST / ..."),
    ("9112 7.1", "no end", chunked(b"5\r\nhello\r\n"), "POST / ..."),
    ("9112 7.1", "no end of the end", chunked(b"0\r\n\r"), "POST / ..."),
    ("9112 7.1", "no size", chunked(b"\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "no hexadecimal size", chunked(b"g\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a hexadecimal prefix", chunked(b"0x5\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a plus", chunked(b"+5\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a minus", chunked(b"-5\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "an underscore", chunked(b"0_5\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a space before", chunked(b" 5\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a space behind", chunked(b"5 \r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a tab behind", chunked(b"5\t\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a quote", chunked(b'"5"\r\nhello\r\n0\r\n\r\n'), "400"),
    ("9112 7.1", "a comma", chunked(b"5,5\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a bare LF behind the size", chunked(b"5\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a bare CR behind the size", chunked(b"5\rhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "CR CR LF behind the size", chunked(b"5\r\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "no CRLF behind the data", chunked(b"5\r\nhello0\r\n\r\n"), "400"),
    ("9112 7.1", "a bare LF behind the data", chunked(b"5\r\nhello\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a bare CR behind the data", chunked(b"5\r\nhello\r0\r\n\r\n"), "400"),
    ("9112 7.1", "more data than the size", chunked(b"4\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "less data than the size", chunked(b"6\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1", "a bare LF behind the last size", chunked(b"0\n\r\n"), "400"),
    ("9112 7.1", "a bare LF as the end", chunked(b"0\r\n\n"), "400"),
    # 7.1.1: chunk-ext = *( BWS ";" BWS chunk-ext-name [ BWS "=" BWS chunk-ext-val ] )
    ("9112 7.1.1", "an extension", chunked(b"5;a\r\nhello\r\n0;b\r\n\r\n"), "POST / 'hello'"),
    ("9112 7.1.1", "with a value", chunked(b"5;a=b\r\nhello\r\n0\r\n\r\n"), "POST / 'hello'"),
    (
        "9112 7.1.1",
        "with a quoted value",
        chunked(b'5;a="b;\\"c"\r\nhello\r\n0\r\n\r\n'),
        "POST / 'hello'",
    ),
    ("9112 7.1.1", "several", chunked(b"5;a=b;c ;d = e\r\nhello\r\n0\r\n\r\n"), "POST / 'hello'"),
    ("9112 7.1.1", "one without a name", chunked(b"5;\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1.1", "a value without a name", chunked(b"5;=b\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1.1", "a name without its value", chunked(b"5;a=\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1.1", "no semicolon", chunked(b"5 a=b\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1.1", "half a quoted value", chunked(b'5;a="b\r\nhello\r\n0\r\n\r\n'), "400"),
    ("9112 7.1.1", "a bare LF", chunked(b"5;a\nb\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1.1", "a bare LF at its end", chunked(b"5;a\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1.1", "a bare CR", chunked(b"5;a\rb\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1.1", "a quoted LF", chunked(b'5;a="\n"\r\nhello\r\n0\r\n\r\n'), "400"),
    ("9112 7.1.1", "a NUL", chunked(b"5;a=\x00\r\nhello\r\n0\r\n\r\n"), "400"),
    ("9112 7.1.1", "a long one", chunked(b"5;" + LONG + b"\r\nhello\r\n0\r\n\r\n"), "413"),
    ("9112 7.1.1", "one without end", chunked(b"5;" + LONG), "413"),
    ("9112 7.1.1", "many", chunked((b"1;" + b"a" * 100 + b"\r\nx\r\n") * 3 + b"0\r\n\r\n"), "413"),
    # 7.1.2: trailers, which nobody gets to see
    ("9112 7.1.2", "a trailer", trailers(b"Expires: never") + NEXT, "POST / 'hi', GET /next"),
    ("9112 7.1.2", "as many as headers", trailers(*[b"Y: 1"] * 6), "POST / 'hi'"),
    ("6585 5", "one more", trailers(*[b"Y: 1"] * 7), "431"),
    ("6585 5", "a long one", trailers(b"X: " + LONG), "431"),
    ("6585 5", "one without end", chunked(b"0\r\nX: " + LONG), "431"),
    ("9110 6.5.1", "a length", trailers(b"Content-Length: 5"), "400"),
    ("9110 6.5.1", "a coding", trailers(b"transfer-encoding: chunked"), "400"),
    ("9110 6.5.1", "a host", trailers(b"HOST: b"), "400"),
    ("9112 5.1", "a space before a trailer's colon", trailers(b"X : 1"), "400"),
    ("9112 5", "no colon", trailers(b"X"), "400"),
    ("9112 5.2", "a folded trailer", trailers(b"X: 1", b" 2"), "400"),
    ("9110 5.5", "a NUL in a trailer", trailers(b"X: \x00"), "400"),
    ("9112 2.2", "a bare LF among trailers", trailers(b"X: 1\nY: 2"), "400"),
    ("9112 2.2", "a bare CR among trailers", trailers(b"X: 1\rY: 2"), "400"),
    # RFC 9110, 10.1.1: Expect
    (
        "9110 10.1.1",
        "the peer waits",
        post(b"Content-Length: 2", b"Expect: 100-continue"),
        "POST / ... 100",
    ),
    (
        "9110 10.1.1",
        "in any case",
        post(b"Content-Length: 2", b"expect: 100-Continue"),
        "POST / ... 100",
    ),
    (
        "9110 10.1.1",
        "the peer did not wait",
        post(b"Content-Length: 2", b"Expect: 100-continue", body=b"hi"),
        "POST / 'hi'",
    ),
    ("9110 10.1.1", "no body to wait for", fields(b"Expect: 100-continue"), "GET /"),
    ("9110 10.1.1", "an empty expectation", fields(b"Expect:"), "GET /"),
    (
        "9110 10.1.1",
        "HTTP/1.0 cannot expect",
        old(b"Content-Length: 2", b"Expect: 100-continue"),
        "GET / ...",
    ),
    ("9110 10.1.1", "nor anything else", old(b"Expect: x"), "GET / close"),
    ("9110 15.5.18", "another expectation", fields(b"Expect: 200-ok"), "417"),
    ("9110 15.5.18", "one beside the known", fields(b"Expect: 100-continue, x"), "417"),
    (
        "9110 15.5.18",
        "one in a line of its own",
        fields(b"Expect: 100-continue", b"Expect: x"),
        "417",
    ),
    ("9110 15.5.18", "one with a parameter", fields(b"Expect: 100-continue;q=1"), "417"),
    # RFC 9112, 9: connections
    ("9112 9.3", "it is kept", fields() + NEXT + NEXT, "GET /, GET /next, GET /next"),
    (
        "9112 9.3",
        "keep-alive is no news",
        fields(b"Connection: keep-alive") + NEXT,
        "GET /, GET /next",
    ),
    ("9112 9.6", "close", fields(b"Connection: close") + NEXT, "GET / close"),
    ("9112 9.6", "close in any case", fields(b"connection: Close") + NEXT, "GET / close"),
    ("9112 9.6", "close in a list", fields(b"Connection: x ,close, y") + NEXT, "GET / close"),
    (
        "9112 9.6",
        "close in a second line",
        fields(b"Connection: x", b"Connection: close") + NEXT,
        "GET / close",
    ),
    ("9112 9.6", "closed is not close", fields(b"Connection: closed") + NEXT, "GET /, GET /next"),
    (
        "9112 9.6",
        "close behind a body",
        post(b"Content-Length: 2", b"Connection: close", body=b"hi" + NEXT),
        "POST / 'hi' close",
    ),
    ("9112 9.3", "HTTP/1.0 is not kept", old(b"Host: a") + NEXT, "GET / close"),
    (
        "9112 C.2.2",
        "even where it asks for it",
        old(b"Connection: keep-alive") + NEXT,
        "GET / close",
    ),
    ("9112 9.3.2", "a wrong request behind a right one", fields() + b"GET\r\n\r\n", "GET /, 400"),
    (
        "9112 9.3.2",
        "a wrong one behind a body",
        post(b"Content-Length: 2", body=b"hi" + target(b"a")),
        "POST / 'hi', 400",
    ),
    # RFC 9110, 7.8: an upgrade that nobody takes is an ordinary request
    (
        "9110 7.8",
        "to an unknown protocol",
        fields(b"Connection: Upgrade", b"Upgrade: x/1") + NEXT,
        "GET /, GET /next",
    ),
    (
        "9110 7.8",
        "to HTTP/2",
        fields(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AA")
        + NEXT,
        "GET /, GET /next",
    ),
    (
        "9110 7.8",
        "with a body",
        post(b"Connection: Upgrade", b"Upgrade: h2c", b"Content-Length: 2", body=b"hi" + NEXT),
        "POST / 'hi', GET /next",
    ),
    (
        "9110 7.8",
        "with a chunked body",
        post(
            b"Connection: Upgrade",
            b"Upgrade: x",
            b"Transfer-Encoding: chunked",
            body=b"0\r\n\r\n" + NEXT,
        ),
        "POST /, GET /next",
    ),
    ("9110 7.8", "in HTTP/1.0", old(b"Connection: Upgrade", b"Upgrade: websocket"), "GET / close"),
    (
        "9110 10.1.4",
        "TE is none of ours",
        fields(b"Connection: TE", b"TE: trailers, x;q=0.5"),
        "GET /",
    ),
]


def story(*pieces: bytes) -> str:
    """What becomes of what a peer sends; each of its requests is answered."""
    http = HTTPConnection(LIMITS)
    told: list[str] = []
    head, body = None, b""
    try:
        for piece in pieces:
            http.receive_data(piece)
            while True:
                if head is None:
                    head, body = http.read_head(), b""
                if head is None:
                    break
                while more := http.read_body():
                    body += more
                if more is None:
                    break
                told.append(words(head, body))
                http.send_head(200, [(b"content-length", b"0")])
                http.send_end()
                head = None
                if not http.next_cycle():
                    told[-1] += " close"
                    return ", ".join(told)
    except ProtocolError as error:
        return ", ".join([*told, str(error.status)])
    if head is not None:
        told.append(words(head, b"") + " ..." + " 100" * http.expects_continue)
    elif not http.idle:
        told.append("...")
    return ", ".join(told)


def words(head: RequestHead, body: bytes) -> str:
    told = [head.method, head.target.decode()]
    for name, value in head.headers:
        if name == b"x" or (name == b"host" and value != b"a"):
            told.append(f"{name.decode()}={value.decode('utf-8', 'replace')}")
    if body:
        told.append(repr(body.decode("utf-8", "replace")))
    return " ".join(told)


@pytest.mark.parametrize(
    ("data", "outcome"),
    [pytest.param(data, outcome, id=f"{rfc}, {case}") for rfc, case, data, outcome in CASES],
)
def test_a_request_is_what_the_rfc_says_wherever_it_is_cut(data, outcome):
    assert story(data) == outcome
    assert story(*(data[i : i + 1] for i in range(len(data)))) == outcome
    for cut in range(1, len(data)):
        assert story(data[:cut], data[cut:]) == outcome, f"cut at {cut}"


def test_no_case_is_there_twice():
    assert len({data for _, _, data, _ in CASES}) == len(CASES)
    assert len({(rfc, case) for rfc, case, _, _ in CASES}) == len(CASES)


SNIPPETS = st.sampled_from(
    [
        b"\r\n",
        b"\n",
        b"\r",
        b" ",
        b":",
        b"\0",
        b"0",
        b"\r\n\r\n",
        b"\xff",
        LONG,
        NEXT,
        b"Host: a\r\n",
    ]
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from([data for _, _, data, _ in CASES]), st.data())
def test_whatever_is_made_of_a_case_is_read_or_refused_wherever_it_is_cut(data, draw):
    for _ in range(draw.draw(st.integers(1, 3))):
        begin = draw.draw(st.integers(0, len(data)))
        end = min(len(data), begin + draw.draw(st.integers(0, 3)))
        data = data[:begin] + draw.draw(SNIPPETS) + data[end:]
    outcome = story(data)
    assert story(*(data[i : i + 1] for i in range(len(data)))) == outcome
    cut = draw.draw(st.integers(0, len(data)))
    assert story(*filter(None, (data[:cut], data[cut:]))) == outcome
