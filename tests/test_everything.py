"""The application that has everything, under the eyes of programs that were not written here:
httplint, curl, httpx and h2load."""

import re

import httpx
import pytest
import trio

from finch.testing import TestClient
from tests.conftest import need, serving
from tests.everything import FRIEND, make_app
from tests.linting import findings
from tests.test_attacks import (
    ANN,
    END,
    FORM,
    JSON,
    MULTIPART,
    OWN,
    UPGRADE,
    answer,
    part,
    post,
    request,
)

# One response of every kind: what is asked for, and the status.
KINDS = {
    "text": (request("/"), 200),
    "a page that sets a cookie": (request("/page/a"), 200),
    "HEAD": (request("/page/a", method="HEAD"), 200),
    "gzip": (request("/uploads/report.txt", "Accept-Encoding: gzip"), 200),
    "a file": (request("/assets/site.css"), 200),
    "a large file": (request("/assets/app-0a1b2c3d.js"), 200),
    "HEAD of a file": (request("/assets/site.css", method="HEAD"), 200),
    "a range": (request("/assets/site.css", "Range: bytes=0-9"), 206),
    "a range of nothing": (request("/assets/site.css", "Range: bytes=99999-"), 416),
    "not modified": (request("/assets/site.css", "If-None-Match: *"), 304),
    "not as expected": (request("/assets/site.css", 'If-Match: "a"'), 412),
    "a folder": (request("/assets/sub"), 307),
    "a start page": (request("/assets/sub/"), 200),
    "a download": (request("/download?name=na%C3%AFve.txt"), 200),
    "a redirect": (request("/go/tit"), 302),
    "after a form": (post("/say", b"text=a", FORM, OWN), 303),
    "a login": (post("/login", b"name=ann&password=swordfish", FORM, OWN), 303),
    "a logout": (post("/logout", b"", ANN, OWN), 200),
    "an upload": (
        post("/photos", part(b'name="photo"; filename="a.png"') + END, MULTIPART, OWN),
        200,
    ),
    "a stream": (request("/numbers"), 200),
    "a stream of events": (request("/events"), 200),
    "OpenAPI": (request("/openapi.json"), 200),
    "AsyncAPI": (request("/asyncapi.json"), 200),
    "a page that shows them": (request("/docs"), 200),
    "a POST of no stream": (
        post("/ws", b"{}", OWN, f"Finch-Stream: {'A' * 22}.{'A' * 22} 1"),
        410,
    ),
    "JSON": (post("/birds", b'{"name":"a"}', JSON, OWN), 201),
    "with CORS": (request("/search", f"Origin: {FRIEND}"), 200),
    "a preflight": (
        request(
            "/birds", f"Origin: {FRIEND}", "Access-Control-Request-Method: PUT", method="OPTIONS"
        ),
        204,
    ),
    "a preflight that is refused": (
        request("/", "Origin: null", "Access-Control-Request-Method: PUT", method="OPTIONS"),
        403,
    ),
    "OPTIONS": (request("/birds", method="OPTIONS"), 204),
    "finch.js": (request("/finch.js"), 200),
    "health": (request("/healthz"), 200),
    "malformed": (request("/%zz"), 400),
    "nobody": (request("/me"), 401),
    "another site": (post("/me", b"", FORM, ANN, "Sec-Fetch-Site: cross-site"), 403),
    "not found": (request("/nothing"), 404),
    "not found, as JSON": (request("/nothing", "Accept: application/json"), 404),
    "not found, as a page": (request("/nothing", "Accept: text/html"), 404),
    "not allowed": (request("/birds"), 405),
    "gone": (request("/error?said=moved"), 410),
    "too large": (post("/birds", b" " * 4_194_305, JSON, OWN), 413),
    "too long": (request("/" + "a" * 8_192), 414),
    "of a wrong type": (post("/birds", b"a", FORM, OWN), 415),
    "an expectation": (post("/birds", b"", JSON, OWN, "Expect: a"), 417),
    "another host": (request("/", host="other.example"), 421),
    "does not fit": (post("/birds", b"{}", JSON, OWN), 422),
    "a socket without an upgrade": (request("/ws"), 426),
    "an upgrade": (request("/ws", *UPGRADE, last=False), 101),
    "too many headers": (request("/", *["X: y"] * 101), 431),
    "an error": (request("/template/nothing"), 500),
    "an unknown method": (request("/", method="BREW"), 501),
    "HTTP/2": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
}


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    return make_app(tmp_path_factory.mktemp("everything"))


@pytest.mark.parametrize("kind", KINDS)
async def test_httplint_finds_nothing_bad(kind, app):
    sent, status = KINDS[kind]
    async with TestClient(app) as client:
        received = await answer(client, sent)
    assert received.startswith(b"HTTP/1.1 %d " % status)
    if status in (101, 505):  # after it nothing is HTTP; of a request that h11 cannot write
        return
    found = findings(sent, received)
    if status == 414:  # httplint calls each one bad; 8,000 bytes are enough (RFC 9110, 4.1)
        assert found == ["GENERAL: The server won't accept a URI this long (8193 characters)."]
        return
    assert found == []


async def test_httplint_finds_nothing_bad_if_there_is_too_much(tmp_path):
    async with TestClient(make_app(tmp_path)) as client:
        sent = post("/login", b"name=a&password=b", FORM, OWN)
        received = [await answer(client, sent) for _ in range(6)]
    assert [int(one.split()[1]) for one in received] == [401] * 5 + [429]
    assert findings(sent, received[-1]) == []


# curl and httpx


@pytest.fixture
def local(tmp_path):
    return make_app(tmp_path, hosts=["127.0.0.1"])


async def test_a_visit_with_curl(local, tmp_path):
    curl = need("curl", "apt-get install curl")
    (tmp_path / "photo.png").write_bytes(b"\x89PNG" + bytes(100_000))

    async def run(*arguments):
        command = [curl, "-sS", "-b", tmp_path / "jar", "-c", tmp_path / "jar", *arguments]
        done = await trio.run_process(command, capture_stdout=True)
        return done.stdout.decode()

    own = ["-H", OWN]
    async with serving(local) as running:
        url = running.http
        form = ["-d", "name=ann", "--data-urlencode", "password=swordfish"]
        assert await run("-L", *own, *form, f"{url}/login") == "you are ann"
        assert await run(f"{url}/me") == "you are ann"
        upload = ["-F", f"photo=@{tmp_path}/photo.png;type=image/png"]
        assert await run(*own, *upload, f"{url}/photos") == "saved photo.png"
        data = ["--json", '{"name":"tit","rings":[1]}']
        assert await run(*own, *data, f"{url}/birds") == '{"name":"tit","rings":1}'
        assert await run("-r", "2-6", f"{url}/assets/site.css") == "{ col"
        assert await run("--compressed", f"{url}/uploads/report.txt") == "the report\n" * 100
        assert await run("-d", "", f"{url}/me") == (
            "nothing says which page has sent this: reload the page, and send it again"
        )
        token = re.search('value="(.*?)"', await run(f"{url}/page/a"))[1]
        assert await run("-H", f"X-CSRF-Token: {token}", "-d", "", f"{url}/me") == "CHANGED ann"
        assert await run(*own, "-X", "POST", f"{url}/logout") == "bye"
        assert "401" in await run("-o", tmp_path / "out", "-w", "%{http_code}", f"{url}/me")


async def test_a_visit_with_httpx(local):
    async with serving(local) as running:
        async with httpx.AsyncClient(
            base_url=running.http, headers={"sec-fetch-site": "none"}
        ) as http:
            form = {"name": "ann", "password": "swordfish"}
            entered = await http.post("/login", data=form, follow_redirects=True)
            assert entered.text == "you are ann"
            files = {"photo": ("a.png", b"png", "image/png")}
            assert (await http.post("/photos", files=files)).text == "saved a.png"
            added = await http.post("/birds", json={"name": "tit"})
            assert (added.status_code, added.json()) == (201, {"name": "tit", "rings": 0})
            wrong = await http.post("/birds", json={"rings": 1})
            assert wrong.headers["content-type"] == "application/problem+json"
            assert wrong.json()["status"] == 422
            assert (await http.get("/search", params={"ids": [1, 2]})).json()["ids"] == 2
            style = await http.get("/assets/site.css")
            known = {"if-none-match": style.headers["etag"]}
            assert (await http.get("/assets/site.css", headers=known)).status_code == 304
            said = await http.post("/say", data={"text": "<b>"}, follow_redirects=True)
            assert "&lt;b&gt;" in said.text


async def test_h2load_has_no_failed_request(local):
    """All kinds of pages in turn, over connections that are kept open."""
    h2load = need("h2load", "apt-get install nghttp2-client")
    targets = ("/", "/page/tit", "/assets/site.css", "/assets/app-0a1b2c3d.js", "/search?ids=1")
    async with serving(local) as running:
        urls = [running.http + target for target in targets]
        command = [h2load, "--h1", "-n", "1000", "-c", "10", "-t", "1", *urls]
        with trio.fail_after(20):
            done = await trio.run_process(
                command, capture_stdout=True, capture_stderr=True, check=False
            )
    said = done.stdout.decode()
    assert done.returncode == 0
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in said
    assert "status codes: 1000 2xx, 0 3xx, 0 4xx, 0 5xx" in said
