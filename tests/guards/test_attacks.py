"""What clients try against the guards and against the responses to errors. Nothing gets through.

Each attack is the bytes of a request; one application has all guards. What must not be in the bytes
that come back says that the attack failed.
"""

import base64
import re

import pytest

from finch import Address, FinchApp, HTTPError
from finch.guards import (
    CORS,
    Basic,
    Compress,
    RateLimit,
    RequestID,
    SecurityHeaders,
    TrustedHosts,
)
from finch.testing import TestClient

OUTSIDE = Address("192.0.2.66", 5)


def application():
    app = FinchApp(debug=True)
    app.middleware(RequestID())
    app.middleware(SecurityHeaders(csp="script-src 'nonce-{nonce}'"))
    app.middleware(Compress())
    app.middleware(CORS(["https://example.org", "https://*.example.net"], credentials=True))
    app.middleware(TrustedHosts(["example.org", "*.example.net"]))
    app.middleware(RateLimit(1000, per=60, only=[401]))
    private = Basic({"ann": "secret"})

    @app.middleware
    async def guard(request, call_next):
        if request.path.startswith("/private"):
            return await private(request, call_next)
        return await call_next(request)

    @app.get("/")
    async def index(request):
        return "hello"

    @app.post("/json")
    async def take(request):
        return await request.json(int)

    @app.get("/private")
    async def inside(request):
        return "PRIVATE"

    @app.get("/bug/{what:path}")
    async def bug(request, what):
        raise ValueError(f"BUG {what}")

    @app.get("/gone/{what:path}")
    async def gone(request, what):
        raise HTTPError(410, f"gone: {what}")

    @app.socket("hello")
    async def hello(socket, data):
        return "hello"

    return app


def request(target="/", *lines, host="example.org", method="GET", body=b""):
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def upgrade(*lines, host="example.org"):
    return request(
        "/ws",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *lines,
        host=host,
    ).replace(b"Connection: close", b"Connection: Upgrade, close")


def login(text, scheme="Basic"):
    return f"Authorization: {scheme} {base64.b64encode(text.encode()).decode()}"


BROWSER = "Accept: text/html"
SCRIPT = "Accept: application/json"
ALLOWED = rb"(?i)access-control-allow-origin"
PREFLIGHT = "Access-Control-Request-Method: DELETE"

LOOK_ALIKES = {
    "null": "null",
    "a longer name": "https://example.org.evil.com",
    "another name that ends with it": "https://evil-example.org",
    "below it, though only it is listed": "https://sub.example.org",
    "http": "http://example.org",
    "another port": "https://example.org:8443",
    "port 0": "https://example.org:0",
    "a port beyond all": "https://example.org:65979",  # 443 + 65536
    "a dot at the end": "https://example.org.",
    "a user": "https://example.org@evil.com",
    "a user and a password": "https://user:pass@example.org",
    "a backslash": "https://example.org\\.evil.com",
    "a path": "https://example.org/evil",
    "a query": "https://example.org?.evil.com",
    "a fragment": "https://example.org#.evil.com",
    "percent": "https://example%2eorg",
    "an encoded NUL": "https://example.org%00.evil.com",
    "a letter that looks the same": "https://ex\xe4mple.org",
    "its punycode": "https://xn--exmple-cua.org",
    "wss": "wss://example.org",
    "no scheme": "example.org",
    "two slashes": "//example.org",
    "a star": "*",
    "a list": "https://evil.com https://example.org",
    "a list with a comma": "https://evil.com, https://example.org",
    "space before the port": "https://example.org :443",
    "apex of a wildcard": "https://example.net",
    "empty label of a wildcard": "https://.example.net",
    "not below a wildcard": "https://evilexample.net",
    "a wildcard, and more": "https://a.example.net.evil.com",
    "a wildcard itself": "https://*.example.net:444",
    "brackets": "https://[example.org]",
    "empty": "",
    "a regular expression": "https://exampleXorg",
}

HOSTS = {
    "another": "evil.com",
    "a longer one": "example.org.evil.com",
    "one that ends with it": "evil-example.org",
    "with a user": "user@example.org",
    "percent": "example%2eorg",
    "two": "example.org,evil.com",
    "two dots": "example.org..",
    "a bad port": "example.org:99999",
    "brackets": "[example.org]",
    "apex of a wildcard": "example.net",
    "empty": "",
    "an address": "127.0.0.1",
    "localhost": "localhost",
}

# what a client sends, and what must not come back
ATTACKS = {
    # pages of other origins
    **{
        f"origin: {name}": (request("/", f"Origin: {origin}"), ALLOWED)
        for name, origin in LOOK_ALIKES.items()
    },
    **{
        f"preflight: {name}": (
            request("/", f"Origin: {origin}", PREFLIGHT, method="OPTIONS"),
            rb"(?i)access-control-allow|HTTP/1.1 2",
        )
        for name, origin in LOOK_ALIKES.items()
    },
    **{
        f"socket: {name}": (
            upgrade(f"Origin: {origin}", host="a.example.net"),
            rb"HTTP/1.1 101",
        )
        for name, origin in LOOK_ALIKES.items()
    },
    "origin: two lines": (
        request("/", "Origin: https://evil.com", "Origin: https://example.org"),
        ALLOWED,
    ),
    "origin: the same line twice": (
        request("/", "Origin: https://example.org", "Origin: https://example.org"),
        ALLOWED,
    ),
    "preflight: a header that is not allowed": (
        request(
            "/",
            "Origin: https://example.org",
            PREFLIGHT,
            "Access-Control-Request-Headers: x-token",
            method="OPTIONS",
        ),
        rb"HTTP/1.1 2|(?i:access-control-allow)",
    ),
    "preflight: headers with a line break that is encoded": (
        request(
            "/",
            "Origin: https://example.org",
            PREFLIGHT,
            "Access-Control-Request-Headers: accept%0d%0aset-cookie",
            method="OPTIONS",
        ),
        rb"HTTP/1.1 2|(?i:\nset-cookie)",
    ),
    "preflight: a method with a tab": (
        request(
            "/",
            "Origin: https://example.org",
            "Access-Control-Request-Method: GET\tX",
            method="OPTIONS",
        ),
        rb"HTTP/1.1 2",
    ),
    # forged hosts
    **{f"host: {name}": (request(host=host), b"hello") for name, host in HOSTS.items()},
    **{
        f"socket for the host: {name}": (upgrade(host=host), rb"HTTP/1.1 101")
        for name, host in HOSTS.items()
    },
    "host: forwarded by nobody who is believed": (
        request("/", "X-Forwarded-Host: example.org", host="evil.com"),
        b"hello",
    ),
    "host: forwarded, in the other way": (
        request("/", "Forwarded: host=example.org", host="evil.com"),
        b"hello",
    ),
    "host: twice": (request("/", "Host: example.org", host="evil.com"), b"hello"),
    "host: a whole URL": (request("http://evil.com/"), b"hello"),
    # credentials
    **{
        f"credentials: {name}": (request("/private", *lines), b"PRIVATE")
        for name, lines in {
            "none": [],
            "wrong": [login("ann:wrong")],
            "empty": [login("ann:")],
            "nobody": [login(":")],
            "unknown": [login("bob:secret")],
            "a beginning": [login("ann:secre")],
            "an end more": [login("ann:secrets")],
            "another case": [login("ANN:secret")],
            "a NUL at the end": [login("ann:secret\0")],
            "a line break": [login("ann:secret\n")],
            "twice": [login("ann:secret"), login("ann:secret")],
            "another scheme": [login("ann:secret", "Bearer")],
            "no base64": ["Authorization: Basic ann:secret"],
            "base64 with more": ["Authorization: Basic YW5uOnNlY3JldA==evil"],
            "base64 of the web": ["Authorization: Basic YW5uOnNlY3JldA-_"],
            "in the cookie": [f"Cookie: {login('ann:secret')}"],
            "for the proxy": [f"Proxy-{login('ann:secret')}"],
            "the whole head": ["Authorization: Basic " + "A" * 12_000],
        }.items()
    },
    "credentials: in the URL": (request("http://ann:secret@example.org/private"), b"PRIVATE"),
    "credentials: the path encoded": (request("/%70rivate"), b"PRIVATE"),
    # ids
    **{
        f"id: {name}": (
            request("/", f"X-Request-Id: {given}"),
            rb"(?i)x-request-id: (?![0-9a-f]{32}\r)",
        )
        for name, given in {
            "a plain one": "forged",
            "a header": "a%0d%0aset-cookie: a=b",
            "markup": "<script>alert(1)</script>",
            "long": "a" * 5000,
        }.items()
    },
    # what errors show
    "error: markup in the path": (
        request("/%3Cscript%3Ealert(1)%3C/script%3E", BROWSER),
        b"<script",
    ),
    "error: markup in the message": (request("/gone/%3Cimg%20src=x%3E", BROWSER), b"<img"),
    "error: quotes in the message": (request("/gone/%22onload=%22x", BROWSER), b'"onload'),
    "error: a template in the message": (request("/gone/%7B%7B7*7%7D%7D", BROWSER), b"gone: 49"),
    "error: a format in the message": (
        request("/gone/%7Btitle.__class__%7D", BROWSER),
        b"class 'str",
    ),
    "error: a line break in the message": (
        request("/gone/a%0D%0ASet-Cookie:x=y"),
        rb"(?s)^(?:(?!\r\n\r\n).)*\r\nSet-Cookie",
    ),
    "error: markup in JSON": (request("/gone/%3Cb%3E", SCRIPT), rb"(?i)content-type: text/html"),
    "error: a type that does not exist": (request("/nothing", "Accept: text/html\x7f"), b"\x7f"),
    "error: a type with markup": (request("/nothing", "Accept: <script>"), b"<script"),
    "error: many types": (request("/nothing", "Accept: " + "a/b," * 3000), b"HTTP/1.1 5"),
    "error: many weights": (request("/nothing", "Accept: a/b" + ";q=1" * 3000), b"HTTP/1.1 5"),
    "debug: from elsewhere": (request("/bug/x", BROWSER), b"BUG|Traceback|ValueError"),
    "debug: JSON from elsewhere": (request("/bug/x", SCRIPT), b"BUG|raceback|ValueError"),
    "debug: as this machine, by a header": (
        request("/bug/x", BROWSER, "X-Forwarded-For: 127.0.0.1", "X-Real-IP: 127.0.0.1"),
        b"BUG|Traceback|ValueError",
    ),
    "debug: as this machine, by another": (
        request("/bug/x", BROWSER, 'Forwarded: for="[::1]";host=localhost'),
        b"BUG|Traceback|ValueError",
    ),
    "debug: as this machine, by the host": (
        request("http://localhost/bug/x", BROWSER),
        b"BUG|Traceback|ValueError",
    ),
    # bodies
    "encoding: one that does not exist": (request("/", "Accept-Encoding: x\x80"), b"HTTP/1.1 5"),
    "encoding: many": (request("/", "Accept-Encoding: " + "gzip;q=0.1," * 1000), b"HTTP/1.1 5"),
    "encoding: a bomb is no body of JSON": (
        request("/json", "Content-Encoding: gzip", method="POST", body=b"\x1f\x8b" + bytes(500)),
        b"HTTP/1.1 [25]",
    ),
}


async def answer(client, sent):
    stream = client.connect()
    await stream.send_all(sent)
    received = b""
    while piece := await stream.receive_some():
        received += piece
        if received.startswith(b"HTTP/1.1 101"):
            break
    return received


@pytest.fixture(scope="module")
def app():
    return application()


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_attack_gets_through(name, app):
    sent, forbidden = ATTACKS[name]
    async with TestClient(app, client=OUTSIDE) as client:
        received = await answer(client, sent)
    assert received.startswith(b"HTTP/1.1 ")
    assert re.search(forbidden, received) is None


# each kind of attack could succeed: the same request without its trick does
ALLOWED_REQUESTS = {
    "origin": (request("/", "Origin: https://example.org"), ALLOWED),
    "wildcard": (request("/", "Origin: https://a.example.net"), ALLOWED),
    "preflight": (
        request("/", "Origin: https://example.org", PREFLIGHT, method="OPTIONS"),
        rb"HTTP/1.1 204",
    ),
    "socket": (upgrade("Origin: https://example.org"), rb"HTTP/1.1 101"),
    "host": (request(host="a.example.net:8080"), b"hello"),
    "credentials": (request("/private", login("ann:secret")), b"PRIVATE"),
    "page": (request("/gone/x", BROWSER), b"<p>gone: x</p>"),
}


@pytest.mark.parametrize("name", ALLOWED_REQUESTS)
async def test_what_is_allowed_gets_through(name, app):
    sent, wanted = ALLOWED_REQUESTS[name]
    async with TestClient(app, client=OUTSIDE) as client:
        assert re.search(wanted, await answer(client, sent))


async def test_every_answer_to_a_request_has_the_headers_of_the_guards(app):
    for target in ("/", "/nothing", "/private", "/bug/x", "/gone/x"):
        async with TestClient(app, client=OUTSIDE) as client:
            received = await answer(client, request(target, "Origin: https://example.org"))
        for name in (b"x-request-id", b"x-content-type-options", b"access-control-allow-origin"):
            assert name in received.lower(), (target, name)


def test_there_are_many():
    assert len(ATTACKS) >= 100
