"""All guards together: on files too, and httplint finds nothing bad on what they send."""

import base64
import gzip

import pytest

from finch import Address, FileResponse, FinchApp
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
from tests.linting import findings

PAGE = "https://example.org"
LOGIN = f"Authorization: Basic {base64.b64encode(b'ann:secret').decode()}"
TEXT = "a finch is a small bird. " * 200


@pytest.fixture
def app(tmp_path):
    assets = tmp_path / "assets"
    assets.mkdir()
    (assets / "plain.css").write_text(TEXT)
    (assets / "both.css").write_text(TEXT)
    (assets / "both.css.gz").write_bytes(gzip.compress(TEXT.encode()))
    (assets / "large.css").write_text(TEXT * 200)
    app = FinchApp(debug=True)
    app.middleware(RequestID())
    app.middleware(TrustedHosts("127.0.0.1"))
    app.middleware(SecurityHeaders(csp="script-src 'nonce-{nonce}'"))
    app.middleware(CORS(PAGE, credentials=True, expose="x-total"))
    app.middleware(RateLimit(1000))
    app.middleware(Compress())
    app.static("/assets", assets)

    @app.get("/text")
    async def text(request):
        return TEXT, 200, {"etag": '"v1"'}

    @app.get("/private", auth=Basic({"ann": "secret"}))
    async def private(request):
        return {"text": TEXT}

    @app.get("/limited", middleware=[RateLimit(1, name="other", by=lambda request: "all")])
    async def limited(request):
        return "once"

    @app.get("/bug")
    async def bug(request):
        raise ValueError("a bug")

    @app.error_handler(410)
    async def page(request, error):
        return FileResponse(assets / "plain.css", 410)

    return app


def request(target, *lines, method="GET", host="127.0.0.1"):
    head = [f"{method} {target} HTTP/1.1", f"Host: {host}", "Connection: close", *lines]
    return "\r\n".join([*head, "", ""]).encode()


GZIP = "Accept-Encoding: gzip"
REQUESTS = {
    "text": (200, request("/text")),
    "text in gzip": (200, request("/text", GZIP, f"Origin: {PAGE}")),
    "head": (200, request("/text", GZIP, method="HEAD")),
    "private": (200, request("/private", GZIP, LOGIN)),
    "private to nobody": (401, request("/private")),
    "private, malformed": (400, request("/private", "Authorization: Basic x")),
    "preflight": (
        204,
        request("/text", f"Origin: {PAGE}", "Access-Control-Request-Method: PUT", method="OPTIONS"),
    ),
    "refused preflight": (
        403,
        request("/text", "Origin: null", "Access-Control-Request-Method: PUT", method="OPTIONS"),
    ),
    "other host": (421, request("/text", host="evil.example")),
    "missing": (404, request("/missing")),
    "missing, as JSON": (404, request("/missing", "Accept: application/json")),
    "missing, as a page": (404, request("/missing", "Accept: text/html")),
    "method": (405, request("/text", method="DELETE")),
    "bug": (500, request("/bug")),
    "bug, as a page": (500, request("/bug", "Accept: text/html", GZIP)),
    "bug, as JSON": (500, request("/bug", "Accept: application/json")),
    "file": (200, request("/assets/plain.css")),
    "file in gzip": (200, request("/assets/plain.css", GZIP)),
    "file with its sibling": (200, request("/assets/both.css", GZIP)),
    "large file": (200, request("/assets/large.css", GZIP)),
    "part of a file": (206, request("/assets/plain.css", "Range: bytes=0-9", GZIP)),
    "limited": (429, request("/limited")),
}


async def answer(client, sent):
    stream = client.connect()
    await stream.send_all(sent)
    received = b""
    while piece := await stream.receive_some():
        received += piece
    return received


@pytest.mark.parametrize("name", REQUESTS)
async def test_httplint_finds_nothing_bad(name, app):
    status, sent = REQUESTS[name]
    async with TestClient(app, client=Address("127.0.0.1", 5)) as client:
        if name == "limited":
            await client.get("/limited", headers={"host": "127.0.0.1"})
        received = await answer(client, sent)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    assert findings(sent, received) == []


# Files


async def ask(app, path, **headers):
    async with TestClient(app, headers={"host": "127.0.0.1", "accept-encoding": "gzip"}) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await client.get(path, headers=named)


async def test_a_small_file_without_a_sibling_is_compressed(app):
    response = await ask(app, "/assets/plain.css")
    assert gzip.decompress(response.body).decode() == TEXT
    assert response.headers["etag"].startswith('W/"')
    assert "accept-ranges" not in response.headers
    again = await ask(app, "/assets/plain.css", if_none_match=response.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert again.headers["etag"] == response.headers["etag"]


async def test_a_sibling_is_not_compressed_again(app):
    response = await ask(app, "/assets/both.css")
    assert gzip.decompress(response.body).decode() == TEXT
    assert response.headers.getlist("content-encoding") == ["gzip"]
    assert response.headers["etag"].startswith('"')


@pytest.mark.parametrize(("path", "asked"), [("plain.css", "bytes=5-9"), ("large.css", None)])
async def test_parts_and_large_files_are_sent_as_they_are(path, asked, app):
    headers = {} if asked is None else {"range": asked}
    response = await ask(app, f"/assets/{path}", **headers)
    assert "content-encoding" not in response.headers
    assert response.text == (TEXT[5:10] if asked else TEXT * 200)


async def test_files_have_the_headers_of_all_guards(app):
    response = await ask(app, "/assets/large.css", origin=PAGE)
    wanted = {"x-request-id", "x-content-type-options", "ratelimit", "access-control-allow-origin"}
    assert wanted <= set(response.headers)
    assert "Origin" in response.headers["vary"]
