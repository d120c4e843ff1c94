"""What clients try where features meet: bytes in, and what is answered. Nothing gets through.

Each feature has a table of its own: paths of files in tests/http/test_below.py, guards in
tests/guards/test_attacks.py, forms in tests/http/test_multipart.py, framing in tests/wire. Here one
application has everything.
"""

import re
from unittest import mock

import pytest

from finch.sessions.codec import Codec
from finch.testing import TestClient
from tests.everything import FRIEND, HOST, KEPT, NEW, make_app

ATTACKS = {}
AGE = 14 * 24 * 3600

# what is in no answer, whatever the attack
NEVER = re.compile(
    rb"SECRET|CHANGED"  # of files and of handlers that others may not use
    rb"|\r\n(?i:x-evil:|set-cookie: evil)"  # a header that a client has written
    rb"|\r\n(?i:location): (?:[a-z]+:)?[/\\]{2,}(?!site\.example/)"  # another site
    rb"|\r\n(?i:access-control-allow-origin): (?!https://friend\.example\r)"
    rb'|Traceback|File "'
)
NEVER_IN_BODY = re.compile(rb"<script>alert|<img src=x")


def request(target="/", *lines, method="GET", host=HOST, body=b"", last=True):
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", *lines]
    if last:
        head.append("Connection: close")
    if body and not any(line.startswith("Transfer-Encoding") for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", ""]).encode("latin-1") + body


def attack(name, sent, status, forbidden=None, answers=1):
    """One row: what is sent, the status of the answer, what must not be in it."""
    assert name not in ATTACKS, name
    ATTACKS[name] = (sent, status, forbidden, answers)


def signed(values, *, secret=NEW, cookie="session", at=None):
    codec = Codec(secret, cookie, AGE)
    if at is None:
        return codec.sign(values)
    with mock.patch("itsdangerous.timed.time.time", return_value=at):
        return codec.sign(values)


OWN = "Sec-Fetch-Site: same-origin"
JSON = "Content-Type: application/json"
FORM = "Content-Type: application/x-www-form-urlencoded"
MULTIPART = "Content-Type: multipart/form-data; boundary=b"
ANN = f"Cookie: session={signed({'user_id': 'ann'})}"
ADMIN = signed({"user_id": "admin"})
EVIL = "https://evil.example"


def post(target, body, *lines, method="POST", **options):
    return request(target, *lines, method=method, body=body, **options)


def part(head, value=b"1"):
    return b"--b\r\nContent-Disposition: form-data; " + head + b"\r\n\r\n" + value + b"\r\n"


END = b"--b--\r\n"

# ways around a group's guard

for target in (
    "/admin",
    "/admin/users/ann",
    "/admin/files/plan.txt",
    "/admin/files",
    "/admin/files/",
    "/%61dmin",
    "/admin%2Fusers%2Fann",
    "/admin/files/%70lan.txt",
    f"http://{HOST}/admin",
    f"http://{HOST}/admin/users/ann?a=/me",
):
    attack(f"guard: {target}", request(target), 401)
for target in (
    "/admin/",
    "//admin",
    "/./admin",
    "/me/../admin",
    "/assets/../admin",
    "/admin;a=b",
    "/admin%20",
    "/ADMIN",
    "/admin.json",
    "/assets/..%2fadmin",
    "/admin\\users/ann",
    "/%2561dmin",
):
    attack(f"guard: {target}", request(target), (400, 404))
attack("guard: HEAD", request("/admin", method="HEAD"), 401)
attack("guard: OPTIONS", request("/admin/users/ann", method="OPTIONS"), 204)
attack("guard: in lower case", request("/admin", method="get"), 501)
attack("guard: another method", request("/admin", method="PROPFIND"), 501)
attack("guard: a range", request("/admin/files/plan.txt", "Range: bytes=0-3"), 401)
attack("guard: not modified", request("/admin/files/plan.txt", "If-None-Match: *"), 401)
for name in ("X-Original-URL", "X-Rewrite-URL", "X-Forwarded-Uri", "X-Forwarded-Prefix"):
    attack(f"guard: {name}", request("/", f"{name}: /admin"), 200)
for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
    attack(f"method: {name}", request("/unread", f"{name}: POST"), 405, b"did not look")
attack("method: in the query", request("/unread?_method=POST"), 405, b"did not look")
attack(
    "method: in the form",
    post("/search", b"_method=GET", FORM, OWN, "X-HTTP-Method-Override: GET"),
    405,
    b"page",
)
attack("method: TRACE", request("/me", ANN, method="TRACE"), 405, b"session=")
for scheme in ("X-Forwarded-User", "X-Remote-User", "Remote-User", "X-User-Id"):
    attack(f"guard: {scheme}", request("/admin", f"{scheme}: admin"), 401)

# sessions that nobody has signed

payload, _, rest = ADMIN.partition(".")
stamp, _, signature = rest.partition(".")
FORGED = {
    "empty": "",
    "dots": "..",
    "no signature": f"{payload}.{stamp}",
    "an empty signature": f"{payload}.{stamp}.",
    "a wrong signature": f"{payload}.{stamp}.{'A' * len(signature)}",
    "a part of the signature": f"{payload}.{stamp}.{signature[:-1]}",
    "another payload": f"{signed({'user_id': 'ann'}).partition('.')[0]}x.{stamp}.{signature}",
    "another time": f"{payload}.{stamp[::-1]}.{signature}",
    "no time": f"{payload}.{signature}",
    "plain JSON": '{"user_id":"admin"}',
    "quoted JSON": r'"{\"user_id\":\"admin\"}"',
    "JSON in base64": "eyJ1c2VyX2lkIjoiYWRtaW4ifQ",
    "no algorithm": "eyJhbGciOiJub25lIn0.eyJ1c2VyX2lkIjoiYWRtaW4ifQ.",
    "two years old": signed({"user_id": "admin"}, at=1_700_000_000),
    "of the future": signed({"user_id": "admin"}, at=4_000_000_000),
    "an unknown key": signed({"user_id": "admin"}, secret="x" * 40),
    "a key that was rotated out": signed({"user_id": "admin"}, secret=f"{KEPT}!"),
    "another cookie's": signed({"user_id": "admin"}, cookie="theme"),
    "compressed": f".{payload}.{stamp}.{signature}",
    "a NUL": f"{payload}%00.{stamp}.{signature}",
    "a list": signed([["user_id", "admin"]]),
    "an admin in a list": signed({"user_id": ["admin"]}),
    "an admin in a dict": signed({"user_id": {"name": "admin"}}),
    "true": signed({"user_id": True}),
    "letters beyond ASCII": "\xe4\xf6\xfc.\xff.\xfe",
    "all of a header": "A" * 8_000,
    "dots, many": "." * 8_000,
}
for name, value in FORGED.items():
    attack(f"session: {name}", request("/admin", f"Cookie: session={value}"), 401)
attack("session: of a user", request("/admin", ANN), 401)
attack("session: in the query", request(f"/admin?session={ADMIN}"), 401)
attack("session: in another header", request("/admin", f"X-Session: {ADMIN}"), 401)
attack("session: behind another", request("/admin", f"{ANN}; session={ADMIN}"), 401)
attack("session: in another line", request("/admin", ANN, f"Cookie: session={ADMIN}"), 401)
attack("session: in a name", request("/admin", f"Cookie: xsession={ADMIN}"), 401)
attack("session: in upper case", request("/admin", f"Cookie: SESSION={ADMIN}"), 401)
attack("session: in a value", request("/admin", f'Cookie: a="x; session={ADMIN[:-1]}"'), 401)
attack("cookies: many", request("/me", "Cookie: " + "session=x; " * 1_200), 401)
attack("cookies: many names", request("/me", "Cookie: " + "=;a=;" * 2_500), 401)
attack("cookies: backslashes", request("/me", f'Cookie: session="{chr(92) * 12_000}"'), 401)
attack("cookies: in many lines", request("/me", *["Cookie: a=b"] * 200), 431)
attack("headers: many", request("/", *["X: y"] * 101), 431)
attack("headers: large", request("/", "X: " + "y" * 17_000), 431)
attack("headers: no end", request("/")[:-2], None, answers=0)

# pages of other sites

SESSION = f"Cookie: session={signed({'user_id': 'ann', 'csrf': 'AAAAAAAAAAAAAAAAAAAAAA=='})}"
FOREIGN = {
    "cross-site": ["Sec-Fetch-Site: cross-site"],
    "same-site": ["Sec-Fetch-Site: same-site"],
    "an unknown word": ["Sec-Fetch-Site: same-origin2"],
    "both words": [OWN, "Sec-Fetch-Site: cross-site"],
    "another origin": [f"Origin: {EVIL}"],
    "null": ["Origin: null"],
    "null, and a referer of ours": ["Origin: null", f"Referer: {EVIL}/https://{HOST}/"],
    "an origin that ends with ours": [f"Origin: https://evil{HOST}"],
    "an origin that begins with ours": [f"Origin: https://{HOST}.evil.example"],
    "ours and another": [f"Origin: https://{HOST}", f"Origin: {EVIL}"],
    "a referer with a user": [f"Referer: https://{HOST}@evil.example/"],
    "a referer with a backslash": [f"Referer: https://{HOST}\\.evil.example/"],
    "a friend that may only read": [f"Origin: {FRIEND}"],
    "nothing": [],
    "a token of zeros": [f"X-CSRF-Token: {'A' * 42}"],
    "an empty token": ["X-CSRF-Token: "],
    "the value of the session": ["X-CSRF-Token: AAAAAAAAAAAAAAAAAAAAAA=="],
    "a method that is safe": ["X-HTTP-Method-Override: GET"],
    "as a script": ["X-Requested-With: XMLHttpRequest"],
    "as its own host": [f"X-Forwarded-Host: {HOST}", f"Origin: {EVIL}"],
}
for name, lines in FOREIGN.items():
    kept = signed({"user_id": "ann", "csrf": "c2l4dGVlbiBsZXR0ZXJzIQ=="})
    attack(f"csrf: {name}", post("/me", b"a=1", FORM, f"Cookie: session={kept}", *lines), 403)
attack(
    "csrf: a token in the query",
    post(f"/me?csrf_token={'A' * 42}", b"a=1", FORM, SESSION),
    403,
)
attack("csrf: the exempt path in dots", post("/hooks/../me", b"", ANN), 404)
attack("csrf: the exempt path, encoded", post("/hooks%2f..%2fme", b"", ANN), 404)
attack("csrf: before the exempt path", post("//hooks/me", b"", ANN), 403)
attack("csrf: plain text", post("/me", b"csrf_token=1", "Content-Type: text/plain", ANN), 403)
attack("csrf: a form without an end", post("/me", b"--b\r\n" * 9, MULTIPART, SESSION), (400, 403))
attack(
    "csrf: a login", post("/login", b"name=a&password=swordfish", FORM, *FOREIGN["null"], ANN), 403
)
for name, kind in {
    "of no type": (),
    "as text": ("Content-Type: text/plain",),
    "as text with a parameter": ("Content-Type: text/plain; application/json",),
    "as a form": (FORM,),
    "as several": ("Content-Type: application/json", "Content-Type: text/plain"),
    "as several, joined": ("Content-Type: text/plain, application/json",),
}.items():
    attack(
        f"json of another site: {name}",
        post("/birds", b'{"name":"a"}', OWN, *kind),
        (400, 415),
        b"rings",
    )

# pages that read

for name, origin in {
    "another": EVIL,
    "null": "null",
    "a star": "*",
    "ours": "https://x." + HOST,
}.items():
    for what, target in {
        "page": "/page/a",
        "file": "/assets/site.css",
        "404": "/nothing",
        "401": "/me",
        "500": "/template/nothing",
    }.items():
        status = {"404": 404, "401": 401, "500": 500}.get(what, 200)
        attack(
            f"cors: {name}, {what}",
            request(target, f"Origin: {origin}"),
            status,
            rb"(?i)access-control-allow",
        )

UPGRADE = (
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
for name, lines in {
    "another origin": [f"Origin: {EVIL}"],
    "null": ["Origin: null"],
    "two origins": [f"Origin: https://{HOST}", f"Origin: {EVIL}"],
}.items():
    attack(f"socket: {name}", request("/ws", *UPGRADE, ANN, *lines, last=False), 403)
attack("socket: nobody", request("/raw", *UPGRADE, last=False), 401)
attack("socket: a forged session", request("/raw", *UPGRADE, "Cookie: session=x", last=False), 401)
attack("socket: another host", request("/ws", *UPGRADE, host="evil.example", last=False), 421)
attack(
    "socket: with a body",
    request("/raw", *UPGRADE, ANN, "Content-Length: 5", last=False) + b"GET /",
    400,
)
attack("socket: by POST", post("/ws", b"", *UPGRADE, OWN, last=False), 405)
attack("socket: HTTP/2", request("/me", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQ", ANN), 200)
attack("socket: on a page", request("/", *UPGRADE, last=False), 200)

# sockets without WebSockets

EVENTS = "Accept: text/event-stream"
for name, lines in {
    "another origin": [f"Origin: {EVIL}"],
    "null": ["Origin: null"],
    "ours, and another": [f"Origin: http://{HOST}", f"Origin: {EVIL}"],
    "no origin, from another site": ["Sec-Fetch-Site: cross-site"],
    "no origin, from the same site": ["Sec-Fetch-Site: same-site"],
}.items():
    attack(f"stream: {name}", request("/ws", EVENTS, ANN, *lines), 403, b"event:")
    stream = f"Finch-Stream: {'A' * 22}.{'A' * 22} 1"
    attack(f"post: {name}", post("/ws", b'{"path":"say"}', stream, ANN, *lines), 403)
attack("stream: another host", request("/ws", EVENTS, host="evil.example"), 421)
attack("stream: with a body", post("/ws", b"GET /", EVENTS, ANN, method="GET"), 400)
for name, line in {
    "an unknown stream": f"Finch-Stream: {'A' * 22}.{'A' * 22} 1",
    "no secret": f"Finch-Stream: {'A' * 22} 1",
    "an empty secret": f"Finch-Stream: {'A' * 22}. 1",
    "a star": "Finch-Stream: *.* 1",
    "a number of 10,000 digits": f"Finch-Stream: {'A' * 22}.{'A' * 22} {'9' * 10_000}",
    "other digits": f"Finch-Stream: {'A' * 22}.{'A' * 22} \xb9",
    "nothing": "Finch-Stream:",
}.items():
    attack(f"post: {name}", post("/ws", b'{"path":"say"}', line, ANN, OWN), (400, 410), b"heard")
attack("post: not a stream's", post("/ws", b'{"path":"say"}', JSON, ANN, OWN), 426)

# whose host

for name, host in {
    "another": "evil.example",
    "with a user": f"{HOST}@evil.example",
    "with a port of words": f"{HOST}:80@evil.example",
    "longer": f"{HOST}.evil.example",
    "two": f"{HOST}, evil.example",
    "with a path": f"{HOST}/evil.example",
    "with markup": f'{HOST}"><script>alert(1)</script>',
    "a slash": "evil.example/" + HOST,
}.items():
    attack(f"host: {name}", request("/where", host=host), (400, 421), b"evil|<script")
for line in (
    "X-Forwarded-Host: evil.example",
    "X-Host: evil.example",
    "X-Forwarded-Server: evil.example",
    "X-Original-Host: evil.example",
    "Forwarded: host=evil.example;proto=https",
    "X-Forwarded-Proto: https",
    "X-Forwarded-For: 192.0.2.66",
    "X-Real-IP: 192.0.2.66",
    "X-Forwarded-Port: 8443",
    "X-Forwarded-Scheme: javascript",
):
    attack(f"url_for: {line}", request("/where", line), 200, rb"evil|https|192\.0|8443|javascript")
attack("url_for: a whole URL", request("http://evil.example/go/a"), 421)
attack("url_for: a whole URL, and our host", request("http://evil.example/go/a", host=HOST), 421)

# where redirects lead: to this site, whatever is in the path

ELSEWHERE = rb"(?im)^location: (?!http://site\.example/(?!/))"
for name, text in {
    "slashes": "%2F%2Fevil.example",
    "a backslash": "%5C%5Cevil.example",
    "one of each": "%2F%5Cevil.example",
    "dots": "..%2F..%2F%2Fevil.example",
    "a URL": "https:%2F%2Fevil.example",
}.items():
    attack(f"redirect: {name}", request(f"/go/{text}"), (302, 404, 500), ELSEWHERE)
    attack(f"redirect to a file: {name}", request(f"/asset?path={text}"), (302, 500), ELSEWHERE)
for name, text in {
    "a line break": "a%0d%0aX-Evil:%20b",
    "a line feed": "a%0aX-Evil:%20b",
    "a user": "@evil.example",
    "a script": "javascript:alert(1)",
    "a tab": "%09%2Fevil.example",
}.items():
    attack(f"redirect: {name}", request(f"/go/{text}"), (302, 404, 500), ELSEWHERE)
    attack(
        f"redirect of the handler's: {name}",
        request(f"/to?where={text}"),
        302,
        rb"(?im)^location: (?!/page/)",
    )
attack(
    "redirect of a folder",
    request("/assets/sub?next=//evil.example"),
    307,
    rb"(?im)^location: (?!\./sub/\?next=//evil\.example\r)",
)
attack("redirect of a folder elsewhere", request("//evil.example/assets/sub"), 404)
attack("redirect of a folder, dots", request("/assets//evil.example/..%2fsub"), 404)

# what handlers set from data

for name, text in {
    "CRLF": "a%0d%0aX-Evil:%20b",
    "LF": "a%0aX-Evil:%20b",
    "CR": "a%0dX-Evil:%20b",
    "two lines": "a%0d%0a%0d%0a%3Cscript%3Ealert(1)%3C/script%3E",
    "NUL": "a%00%0d%0aX-Evil:%20b",
    "a letter with LF in it": "a%C4%8AX-Evil:%20b",  # U+010A: its lower byte is a line feed
    "a letter with CRLF in it": "a%E5%98%8D%E5%98%8AX-Evil:%20b",  # U+560D, U+560A
    "a line separator": "a%E2%80%A8X-Evil:%20b",
    "a next line": "a%C2%85X-Evil:%20b",
    "a vertical tab": "a%0bX-Evil:%20b",
    "encoded twice": "a%250d%250aX-Evil:%20b",
}.items():
    ok = (200, 500) if name in ("encoded twice", "a next line") else 500
    attack(f"header: {name}", request(f"/header?value={text}"), ok)
    attack(f"name of a header: {name}", request(f"/header-name?name=x-b{text}"), 500)
    attack(f"type: {name}", request(f"/type?value=text/plain;{text}"), ok, b"text/html")
    attack(f"headers of an error: {name}", request(f"/error?said={text}"), (410, 500))
    attack(f"cookie: {name}", request(f"/cookie?value={text}"), 200)
    attack(f"name of a cookie: {name}", request(f"/cookie?name=said{text}"), 500)
    attack(f"path of a cookie: {name}", request(f"/cookie?path=/{text}"), (200, 500))
    attack(f"name of a download: {name}", request(f"/download?name={text}"), 200)
attack(
    "cookie: more attributes",
    request("/cookie?value=a;%20Domain=evil.example;%20Secure"),
    200,
    rb"(?i)set-cookie: [^\r]*; (?:domain|secure)",
)
attack("cookie: another one", request("/cookie?value=a,%20evil=b"), 200, rb"(?i), evil=")
attack("path of a cookie: more", request("/cookie?path=/;%20Domain=evil.example"), 500)
attack("cookie: a name with a prefix", request("/cookie?name=__Host-a"), 500)
attack(
    "name of a download: more",
    request("/download?name=a.txt%22;%20filename=%22evil.html"),
    200,
    rb'filename="evil|filename="[^"]*"[^;\r]',
)
attack("framing: a length", request("/header-name?name=content-length"), 200, b"length: 1")
attack("framing: an encoding", request("/header-name?name=transfer-encoding"), 200, b"encoding: 1")

# data in templates

for name, text in {
    "braces": "%7B%7B7*191191191%7D%7D",
    "a statement": "%7B%25%20include%20'secret.html'%20%25%7D",
    "an attribute": "%7B%7Brequest.app.__class__%7D%7D",
    "dollar": "$%7B7*191191191%7D",
    "percent": "%3C%25=7*191191191%25%3E",
    "hash": "%23%7B7*191191191%7D",
    "a format": "%7B0.__class__%7D%25(a)s",
    "a script": "%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "the end of a script": "%3C%2Fscript%3E%3Cscript%3Ealert(1)%3C%2Fscript%3E",
    "a quote": "'%20onmouseover='alert(1)",
    "quotes": "%22%20onmouseover=%22alert(1)",
    "a comment": "%3C!--%3Cscript%3E",
    "an image": "%3Cimg%20src=x%20onerror=alert(1)%3E",
}.items():
    bad = rb"1338338337|<class|<script>alert|' onmouseover|[^\\]\" onmouseover|<!--<"
    status = 404 if "%2F" in text else 200
    attack(f"template: {name}", request(f"/page/{text}"), status, bad)
    plain = f"text={text}&category={text}".encode()
    attack(f"flash: {name}", post("/say", plain, FORM, OWN), 303, bad)
for name in ("..%2f..%2fsecret.txt%00", "%2e%2e/secret", "/etc/passwd", "page.html%00", "nothing"):
    attack(f"template's name: {name}", request(f"/template/{name}"), (400, 404, 500))
for name in ("..%2fsecret.txt", "../secret.txt", "%2Fetc%2Fpasswd", "%2e%2e%5csecret.txt"):
    attack(f"file of a handler: {name}", request(f"/uploads/{name}"), (400, 404))

# what typed handlers take

for name, body in {
    "deep": b'{"name":' * 200_000,
    "deep lists": b'{"name":"a","rings":' + b"[" * 500_000,
    "a deep field that nobody wants": b'{"name":"a","x":' + b"[" * 500_000,
    "a long number": b'{"name":"a","weight":' + b"9" * 500_000 + b"}",
    "a large exponent": b'{"name":"a","weight":1e999999999}',
    "many large exponents": b'{"name":"a","x":[' + b"1e-300," * 300_000 + b"1]}",
    "no number": b'{"name":"a","weight":NaN}',
    "infinite": b'{"name":"a","weight":Infinity}',
    "two values": b'{"name":"a"}{"name":"b"}',
    "a NUL": b'{"name":"a"}\x00',
    "half a letter": b'{"name":"\xff"}',
    "half a pair": b'{"name":"\\ud800"}',
    "a BOM": b'\xef\xbb\xbf{"name":"a"}',
    "UTF-16": '{"name":"a"}'.encode("utf-16"),
    "UTF-7": b"+AHsAIg-name+ACI:+ACI-a+ACIAfQ-",
    "a comment": b'{"name":"a"/*"*/}',
    "single quotes": b"{'name':'a'}",
    "a wrong type": b'{"name":["a"]}',
    "numbers with one hash": b'{"name":"a","rings":['
    + b",".join(b"%d" % (n * (2**61 - 1)) for n in range(4))  # those that fit 64 bits
    + b",1.5]}",
}.items():
    attack(
        f"json: {name}",
        post("/birds", body, JSON, OWN),
        (400, 413, 422),
        rb'"rings":',
    )
many = b",".join(b"%d" % (n * (2**31 - 1)) for n in range(150_000))
attack("json: a large set", post("/birds", b'{"name":"a","rings":[' + many + b"]}", JSON, OWN), 422)
attack(
    "json: deep, for any dict",
    post("/anything", b'{"a":' * 200_000, JSON, OWN, method="PUT"),
    400,
)
attack(
    "json: compressed",
    post("/birds", b"\x1f\x8b\x08" + bytes(500), JSON, OWN, "Content-Encoding: gzip"),
    400,
)
attack("query: a long number", request(f"/search?page={'9' * 7_000}"), 422)
attack("query: other digits", request("/search?page=%EF%BC%91"), 422)
attack("query: underscores", request("/search?page=1_000"), 422)
attack("query: no number", request("/search?page=nan"), 422)
attack("query: spaces", request("/search?page=%201"), 422)
attack("query: many values", request("/search?" + "ids=1&" * 1_300), 200, b'"ids":[^1]')
attack(
    "query: one hash",
    request("/search?" + "".join(f"ids={n * (2**61 - 1)}&" for n in range(4))),
    200,
)
attack("query: wrong UTF-8", request("/search?page=%ff%fe"), 422)
attack("header: typed, twice", request("/search", "X-Number: 1", "X-Number: x"), 200, b"x,")
attack("header: typed, wrong", request("/search", "X-Number: 0x10"), 422)
attack(
    "form: fields that nobody asked for",
    post("/accounts", b"name=a&admin=true&__class__=b&age=7&user_id=admin", FORM, OWN),
    200,
    b"admin|__class__",
)
attack(
    "form: a file for a field",
    post("/accounts", part(b'name="name"; filename="a"') + END, MULTIPART, OWN),
    422,
)
attack(
    "form: a field for a file", post("/photos", part(b'name="photo"') + END, MULTIPART, OWN), 422
)
attack("form: too many fields", post("/numbers", b"ids=1&" * 1_001, FORM, OWN), 413)
attack("form: a long number", post("/numbers", b"ids=" + b"9" * 1_000_000, FORM, OWN), 422)
attack("form: percent, percent", post("/accounts", b"name=" + b"%" * 200_000, FORM, OWN), 200)
attack(
    "form: an unknown charset", post("/accounts", b"_charset_=utf-7&name=%2BADw-", FORM, OWN), 415
)
attack("form: a costly charset", post("/accounts", b"_charset_=idna&name=a", FORM, OWN), 415)
attack(
    "form: a charset that hides markup",
    post(
        "/photos",
        part(b'name="photo"; filename="+ADw-script+AD4-alert(1).png"') + END,
        MULTIPART,
        OWN,
    ),
    200,
    b"<script",
)
for name, filename in {
    "a path": "../../secret.txt",
    "a Windows path": "..\\..\\secret.txt",
    "markup": "<script>alert(1)</script>.png",
    "an image": "<img src=x onerror=alert(1)>.png",
    "a NUL, encoded": "a.php%00.png",
    "another direction": "a\u202egnp.exe",
}.items():
    head = f'name="photo"; filename="{filename}"'.encode()
    attack(
        f"upload: {name}",
        post("/photos", part(head) + END, MULTIPART, OWN),
        200,
        rb"\.\./|\\|\x00|\xe2\x80\xae",
    )
for name, sent in {
    "no end": part(b'name="photo"; filename="a"'),
    "nothing": b"",
    "only boundaries": b"--b\r\n" * 10_000,
    "too many parts": part(b'name="x"') * 1_001 + END,
    "a header of a megabyte": b"--b\r\nX: " + b"y" * 1_000_000,
    "many headers": b"--b\r\n" + b"X: y\r\n" * 10_000,
    "a form in the form": part(
        b'name="photo"; filename="a"\r\nContent-Type: multipart/mixed; boundary=c', b"--c--"
    ),
    "a field in the file's name": part(b'name="photo"; filename="a"; name="other"') + END,
    "text behind the name": part(b'name="photo"x; filename="a"') + END,
    "a long name": part(b'name="' + b"x" * 2_000 + b'"') + END,
    "a message in its middle": part(b'name="photo"; filename="a"')[:-2] + b"\r\n--b-\r\n" + END,
}.items():
    attack(f"multipart: {name}", post("/photos", sent, MULTIPART, OWN), (400, 413, 415, 422))

# where one request ends

HIDDEN = request("/admin", f"Cookie: session={ADMIN}", last=False)
for name, target, lines in (
    ("refused by CSRF", "/me", [ANN, FORM]),
    ("refused by its type", "/birds", [OWN, "Content-Type: text/plain"]),
    ("refused by its query", "/search?page=x", [OWN]),
    ("not found", "/nothing", [OWN]),
    ("not looked at", "/unread", [OWN]),
    ("not allowed", "/", [OWN]),
    ("without a login", "/me", [OWN]),
    ("with a range", "/assets/site.css", [OWN, "Range: bytes=0-1"]),
    ("of no stream", "/ws", [OWN, "Finch-Stream: a"]),
    ("of a foreign page's stream", "/ws", [f"Origin: {EVIL}", stream]),
):
    attack(
        f"smuggling: a body that is {name}",
        post(target, HIDDEN, *lines, last=False),
        (400, 403, 404, 405, 415, 401, 200),
    )
attack("smuggling: the body of a GET", post("/", HIDDEN, method="GET", last=False), 200)
attack("smuggling: the body of a HEAD", post("/", HIDDEN, method="HEAD", last=False), 200)
attack(
    "smuggling: the body of a file", post("/assets/site.css", HIDDEN, method="GET", last=False), 200
)
attack(
    "smuggling: the body of a preflight",
    post(
        "/",
        HIDDEN,
        f"Origin: {FRIEND}",
        "Access-Control-Request-Method: PUT",
        method="OPTIONS",
        last=False,
    ),
    204,
)
attack(
    "smuggling: the body for another host",
    post("/birds", HIDDEN, JSON, host="evil.example", last=False),
    421,
)
chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (len(HIDDEN), HIDDEN)
attack(
    "smuggling: chunks that nobody reads",
    post("/unread", chunked, OWN, "Transfer-Encoding: chunked", last=False),
    200,
)
for name, lines in {
    "both": ["Content-Length: 4", "Transfer-Encoding: chunked"],
    "both, the other way": ["Transfer-Encoding: chunked", "Content-Length: 4"],
    "two lengths": ["Content-Length: 2", "Content-Length: 12"],
    "a list of lengths": ["Content-Length: 12, 12"],
    "a sign": ["Content-Length: +12"],
    "hexadecimal": ["Content-Length: 0xc"],
    "a space in it": ["Content-Length: 1 2"],
    "an underscore": ["Content-Length: 1_2"],
    "a space before the colon": ["Content-Length : 12"],
    "a folded line": ["X: y", " Content-Length: 12"],
    "a coding that is unknown": ["Transfer-Encoding: xchunked"],
    "chunked twice": ["Transfer-Encoding: chunked, chunked"],
    "chunked, and more": ["Transfer-Encoding: chunked, identity"],
    "a tab": ["Transfer-Encoding: \tchunked\t", "Content-Length: 12"],
    "a quoted one": ['Transfer-Encoding: "chunked"'],
    "a vertical tab": ["Transfer-Encoding: \x0bchunked"],
}.items():
    attack(
        f"smuggling, lengths: {name}",
        request("/birds", *lines, JSON, OWN, method="POST", last=False) + b'{"name":"a"}' + HIDDEN,
        (400, 501),
    )
for name, body in {
    "a size with a sign": b"+5\r\nhello\r\n0\r\n\r\n",
    "a size with 0x": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a negative size": b"-5\r\nhello\r\n0\r\n\r\n",
    "a huge size": b"FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n",
    "line feeds": b"5\nhello\n0\n\n",
    "no line end": b"5\r\nhello0\r\n\r\n",
    "a length as a trailer": b"5\r\nhello\r\n0\r\nContent-Length: 5\r\n\r\n",
}.items():
    attack(
        f"smuggling, chunks: {name}",
        post("/birds", body + HIDDEN, JSON, OWN, "Transfer-Encoding: chunked", last=False),
        400,
    )

# ranges

FLOODS = {
    "many": "bytes=" + ",".join(f"{n}-{n}" for n in range(1_500)),
    "overlapping": "bytes=" + "0-," * 3_000 + "0-",
    "backwards": "bytes=5-1",
    "signs": "bytes=+0-+5",
    "negative": "bytes=--5",
    "long numbers": f"bytes=0-{'9' * 5_000}",
    "another unit": "lines=0-5",
    "with a comma": "bytes=0-0,",
    "spaces": "bytes = 0 - 5",
}
for name, value in FLOODS.items():
    for target in ("/assets/app-0a1b2c3d.js", "/download?name=a"):
        attack(
            f"range of {target}: {name}",
            request(target, f"Range: {value}"),
            (200, 206, 416),
            rb"multipart/byteranges",
        )
attack("range: beyond", request("/assets/site.css", "Range: bytes=99999999-"), 416)
attack("range: nothing at the end", request("/assets/site.css", "Range: bytes=-0"), 416)
attack("range: two lines", request("/assets/site.css", *["Range: bytes=0-1"] * 50), (200, 206))
attack("range: of a page", request("/page/a", "Range: bytes=0-0"), 200)
attack("etags: many", request("/assets/site.css", "If-None-Match: " + '"a",' * 3_000), 200)
attack("etags: odd", request("/assets/site.css", 'If-None-Match: "' + "\\" * 9_000), 200)
attack("dates: odd", request("/assets/site.css", "If-Modified-Since: 99999999999"), 200)
attack(
    "encodings: many", request("/assets/site.css", "Accept-Encoding: " + "gzip;q=0.1," * 900), 200
)
attack("languages: many", request("/", "Accept-Language: " + "a-b;q=0.1," * 1_000), 200)
attack("types: many", request("/nothing", "Accept: " + "a/b;q=0.1," * 1_000), 404)


async def answer(client, sent):
    """All that comes back, until the server has nothing more to say."""
    stream = client.connect()
    await stream.send_all(sent)
    await stream.send_eof()
    received = b""
    while piece := await stream.receive_some():
        received += piece
    return received


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return make_app(tmp_path_factory.mktemp("everything"))


@pytest.mark.parametrize("name", ATTACKS)
async def test_no_attack_gets_through(name, app, caplog):
    sent, status, forbidden, answers = ATTACKS[name]
    async with TestClient(app) as client:
        received = await answer(client, sent)
    assert NEVER.search(received) is None
    assert NEVER_IN_BODY.search(received.partition(b"\r\n\r\n")[2]) is None
    assert forbidden is None or re.search(forbidden, received) is None
    statuses = [int(one) for one in re.findall(rb"HTTP/1\.1 (\d{3})", received)]
    assert len(statuses) == answers
    allowed = status if isinstance(status, tuple) else (status,)
    assert all(one in allowed for one in statuses)


def test_there_are_many():
    assert len(ATTACKS) >= 100


# Behind a proxy that is believed, and passes on what its clients write

FORWARDED = {
    "another host": ("X-Forwarded-Host: evil.example", 421),
    "a list of hosts": (f"X-Forwarded-Host: {HOST}, evil.example", 421),
    "another host, in the standard's way": ("Forwarded: host=evil.example", 421),
    "a host in quotes": (f'Forwarded: host="{HOST}:80@evil.example"', 400),
    "a host with a path": (f"X-Forwarded-Host: evil.example/{HOST}", 400),
    "a host with markup": ('X-Forwarded-Host: a"><script>', 400),
    "another scheme": ("X-Forwarded-Proto: javascript", 400),
    "a scheme and more": ("X-Forwarded-Proto: https://evil.example/?", 400),
    "no address": ("X-Forwarded-For: <script>", 400),
    "an address, and a header": ("Forwarded: for=192.0.2.1\tX-Evil: a", 400),
    "many hops": ("X-Forwarded-For: " + "192.0.2.1," * 1_200, 200),
    "quotes without an end": ('Forwarded: host="evil.example', 400),
}


@pytest.mark.parametrize("name", FORWARDED)
async def test_a_proxy_that_passes_on_anything_opens_no_door(name, app):
    line, status = FORWARDED[name]
    async with TestClient(app, forwarded_allow_ips="*") as client:
        received = await answer(client, request("/go/a", line))
    assert received.startswith(b"HTTP/1.1 %d " % (302 if status == 200 else status))
    assert NEVER.search(received) is None
    assert b"evil" not in received


async def test_two_proxies_that_disagree_are_not_believed(app):
    lines = (f"X-Forwarded-Host: {HOST}", "Forwarded: host=evil.example")
    async with TestClient(app, forwarded_allow_ips="*") as client:
        received = await answer(client, request("/go/a", *lines))
    assert received.startswith(b"HTTP/1.1 400 ")


# What takes several requests


async def entered(client, name):
    """Log in; the cookie."""
    response = await client.post(
        "/login", data={"name": name, "password": "swordfish"}, headers={"host": HOST, **SAME}
    )
    assert response.status == 303
    return client.cookies["session"]


SAME = {"sec-fetch-site": "same-origin"}


async def test_a_session_that_an_attacker_has_put_there_is_gone_after_a_login(app):
    planted = signed({"user_id": "eve", "csrf": "c2l4dGVlbiBsZXR0ZXJzIQ==", "cart": [1]})
    async with TestClient(app) as client:
        client.cookies["session"] = planted
        kept = Codec(NEW, "session", AGE).read(await entered(client, "ann")).values
    assert kept == {"user_id": "ann"}


async def test_a_token_of_another_session_is_worth_nothing(app):
    async with TestClient(app) as client:
        page = await client.get("/page/a", headers={"host": HOST})
        token = re.search(r'value="(.*?)"', page.text)[1]
        own = {"host": HOST, "x-csrf-token": token}
        assert (await client.post("/unread", headers=own)).status == 200
        await entered(client, "ann")
        assert (await client.post("/unread", headers=own)).status == 403
        assert (await client.post("/me", headers={"host": HOST, **SAME})).text == "CHANGED ann"


async def test_a_cookie_is_replayed_only_as_long_as_its_key_is_known(tmp_path):
    old = signed({"user_id": "ann"}, secret=KEPT)
    async with TestClient(make_app(tmp_path)) as client:
        renewed = await client.get("/me", headers={"host": HOST, "cookie": f"session={old}"})
        assert renewed.text == "you are ann"
        assert client.cookies["session"] != old  # signed with the new key
    with mock.patch("tests.everything.KEPT", "x" * 32):
        app = make_app(tmp_path)
    async with TestClient(app) as client:
        for cookie, status in ((old, 401), (signed({"user_id": "ann"}), 200)):
            headers = {"host": HOST, "cookie": f"session={cookie}"}
            assert (await client.get("/me", headers=headers)).status == status


async def test_guesses_are_limited_whatever_address_a_client_claims(tmp_path):
    async with TestClient(make_app(tmp_path)) as client:
        statuses = []
        for number in range(7):
            headers = {"host": HOST, "x-forwarded-for": f"192.0.2.{number}", **SAME}
            headers |= {"forwarded": f"for=192.0.2.{number}", "x-real-ip": f"192.0.2.{number}"}
            data = {"name": "admin", "password": "guess"}
            statuses.append((await client.post("/login", data=data, headers=headers)).status)
    assert statuses == [401] * 5 + [429] * 2


async def test_a_page_of_a_visitor_is_kept_by_no_cache(app):
    headers = {"host": HOST, "cookie": f"session={signed({'user_id': 'ann'})}"}
    async with TestClient(app) as client:
        for target in ("/me", "/page/a"):
            response = await client.get(target, headers=headers)
            assert "cookie" in ",".join(response.headers.getlist("vary")).lower()
        assert response.headers["cache-control"] == "no-store"  # it sets the cookie


# Each kind of attack could succeed: the same request without its trick does.

ALLOWED = {
    "guard": (request("/admin", f"Cookie: session={ADMIN}"), b"SECRET"),
    "guard of a file": (request("/admin/files/plan.txt", f"Cookie: session={ADMIN}"), b"SECRET"),
    "method": (request("/unread", OWN, method="POST"), b"did not look"),
    "session": (request("/me", ANN), b"you are ann"),
    "csrf, by the browser": (post("/me", b"a=1", FORM, ANN, OWN), b"CHANGED ann"),
    "csrf, by the origin": (
        post("/me", b"a=1", FORM, ANN, f"Origin: http://{HOST}"),
        b"CHANGED ann",
    ),
    "csrf, exempt": (post("/hooks/a", b"", ANN), b"hooked"),
    "cors": (
        request("/page/a", f"Origin: {FRIEND}"),
        b"access-control-allow-origin: https://friend",
    ),
    "socket": (request("/raw", *UPGRADE, ANN, last=False), b"HTTP/1.1 101 "),
    "redirect": (request("/go/tit"), b"location: http://site.example/page/tit"),
    "header": (request("/header?value=a"), b"x-said: a\r\n"),
    "cookie": (request("/cookie?value=a"), b"set-cookie: said=a;"),
    "download": (request("/download?name=a.txt"), b'filename="a.txt"'),
    "template": (request("/page/tit"), b"<h1>tit</h1>"),
    "upload": (
        post("/photos", part(b'name="photo"; filename="a.png"') + END, MULTIPART, OWN),
        b"saved a.png",
    ),
    "json": (
        post("/birds", b'{"name":"a","rings":[1,2]}', JSON, OWN),
        b'{"name":"a","rings":2}',
    ),
    "form": (post("/accounts", b"name=a&age=7", FORM, OWN), b'{"name":"a","age":7}'),
    "query": (request("/search?ids=1&ids=2&page=3"), b'{"page":3,"ids":2'),
    "range": (request("/assets/site.css", "Range: bytes=0-2"), b"HTTP/1.1 206 "),
    "the next request": (
        post("/unread", b"x" * 100, OWN, last=False)
        + request("/admin", f"Cookie: session={ADMIN}"),
        b"SECRET",
    ),
}


@pytest.mark.parametrize("name", ALLOWED)
async def test_what_is_allowed_gets_through(name, app):
    sent, wanted = ALLOWED[name]
    async with TestClient(app) as client:
        assert wanted in await answer(client, sent)
