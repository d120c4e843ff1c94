"""CSRF: what pages of other sites send is refused, whatever they do; what our pages send passes."""

import pytest

from finch import ConfigurationError, FinchApp
from finch.sessions import CSRF, Sessions, csrf_token
from finch.testing import TestClient
from tests.sockets.posting import stream_of

KEY = "k" * 32
COOKIE = {"cookie": "session=x"}


def csrf_app(sessions=True, **options):
    app = FinchApp()
    if sessions:
        app.middleware(Sessions(KEY))
    app.middleware(CSRF(**options))

    @app.get("/")
    async def index(request):
        return csrf_token(request)

    @app.route("/", methods=["POST", "PUT", "PATCH", "DELETE"])
    async def change(request):
        return "changed"

    @app.post("/form")
    async def form(request):
        return [name for name, _ in (await request.form()).multi_items()]

    @app.post("/stream")
    async def stream(request):
        return [len(piece) async for piece in request.stream()]

    @app.post("/hooks/{name}")
    async def hook(request, name):
        return name

    @app.socket("echo")
    async def echo(socket, data):
        return data

    return app


def sent(**headers):
    return {name.replace("_", "-"): value for name, value in headers.items()}


# Every request below has a cookie, as a browser would send it.
ATTACKS = {
    "a page of another site": sent(sec_fetch_site="cross-site", origin="https://evil.example"),
    "without an origin": sent(sec_fetch_site="cross-site"),
    "a page of another subdomain": sent(sec_fetch_site="same-site", origin="http://a.testserver"),
    "a value nobody knows": sent(sec_fetch_site="same-origin2"),
    "another case": sent(sec_fetch_site="Same-Origin"),
    "two values": {"sec-fetch-site": ["same-origin", "cross-site"]},
    "two values in one": sent(sec_fetch_site="same-origin, cross-site"),
    "an empty value": sent(sec_fetch_site=""),
    "our origin, but their site": sent(sec_fetch_site="cross-site", origin="http://testserver"),
    "an old browser": sent(origin="https://evil.example"),
    "another port": sent(origin="http://testserver:81"),
    "a host that begins like ours": sent(origin="http://testserver.evil.example"),
    "a host that ends like ours": sent(origin="http://eviltestserver"),
    "a host before an at sign": sent(origin="http://testserver@evil.example"),
    "a host before a backslash": sent(origin="http://testserver\\@evil.example"),
    "a path in the origin": sent(origin="http://testserver/a"),
    "a space in the origin": sent(origin="http://testserver http://evil.example"),
    "two origins": {"origin": ["http://testserver", "https://evil.example"]},
    "an origin without a scheme": sent(origin="testserver"),
    "an origin of another scheme": sent(origin="ftp://testserver"),
    "an empty origin": sent(origin=""),
    "an origin that is not ASCII": sent(origin="http://testserver\xe4"),
    "a frame in a sandbox": sent(origin="null"),
    "a frame in a sandbox, and our page": sent(origin="null", referer="http://evil.example/"),
    "null in another case": sent(origin="NULL"),
    "another page": sent(referer="https://evil.example/http://testserver/"),
    "a page whose name begins like ours": sent(referer="http://testserver.evil.example/"),
    "a page before an at sign": sent(referer="http://testserver@evil.example/"),
    "a page before a backslash": sent(referer="http://testserver\\.evil.example/"),
    "a page before a question mark": sent(referer="http://evil.example?http://testserver"),
    "a page that is none": sent(referer="about:blank"),
    "two pages": {"referer": ["http://testserver/", "http://evil.example/"]},
    "nothing at all": {},
    "a cookie and a bearer token": sent(authorization="Bearer x"),
    "an empty token": sent(x_csrf_token=""),
    "any token": sent(x_csrf_token="x" * 43),
    "a token of nothing": sent(x_csrf_token="A" * 43),
    "a long token": sent(x_csrf_token="A" * 5000),
    "a token that is not ASCII": sent(x_csrf_token="\xe4" * 43),
    "another method in a header": sent(x_http_method_override="GET"),
}


@pytest.mark.parametrize("method", ["POST", "DELETE"])
@pytest.mark.parametrize("what", ATTACKS)
async def test_it_is_refused(what, method):
    async with TestClient(csrf_app()) as client:
        await client.get("/")  # a real session, with a token
        assert "session" in client.cookies
        response = await client.request(method, "/", headers=ATTACKS[what])
        assert response.status == 403


PASSES = {
    "our page": sent(sec_fetch_site="same-origin", origin="http://testserver"),
    "the visitor": sent(sec_fetch_site="none"),
    "our page, in an old browser": sent(origin="http://testserver"),
    "our page, with another case": sent(origin="http://TESTSERVER:80"),
    "our page, over TLS that ends before": sent(origin="https://testserver", host="testserver"),
    "our page, in a very old browser": sent(referer="http://testserver/a?b#c"),
    "our page, that hides its origin": sent(origin="null", referer="http://testserver/"),
}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("what", PASSES)
async def test_it_passes(what, method):
    async with TestClient(csrf_app()) as client:
        response = await client.request(method, "/", headers={**COOKIE, **PASSES[what]})
        assert response.text == "changed"


async def test_over_tls_a_page_without_it_is_another_one():
    async with TestClient(csrf_app(), forwarded_allow_ips="*") as client:
        headers = {**COOKIE, "x-forwarded-proto": "https", "origin": "http://testserver"}
        assert (await client.post("/", headers=headers)).status == 403
        headers["origin"] = "https://testserver"
        assert (await client.post("/", headers=headers)).status == 200


async def test_a_program_without_cookies_passes():
    async with TestClient(csrf_app()) as client:
        assert (await client.post("/")).status == 200
        assert (await client.post("/", headers={"authorization": "Bearer x"})).status == 200
        # browsers send these by themselves, as they do cookies
        for scheme in ("Basic eDp5", "Digest x=y", "negotiate YII=", "NTLM TlRM"):
            assert (await client.post("/", headers={"authorization": scheme})).status == 403


async def test_a_page_that_hides_its_origin_is_no_program():
    """It could log a visitor in, who has no cookie yet, as the attacker."""
    async with TestClient(csrf_app()) as client:
        assert (await client.post("/", headers={"origin": "null"})).status == 403
        own = {"origin": "null", "x-csrf-token": (await client.get("/")).text}
        assert (await client.post("/", headers=own)).status == 200


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
async def test_what_changes_nothing_passes(method):
    async with TestClient(csrf_app()) as client:
        headers = {**COOKIE, "sec-fetch-site": "cross-site"}
        assert (await client.request(method, "/", headers=headers)).status < 300


async def test_a_method_that_nobody_knows_does_not_pass():
    async with TestClient(csrf_app()) as client:
        headers = {**COOKIE, "sec-fetch-site": "cross-site"}
        assert (await client.request("FROB", "/", headers=headers)).status == 403


# Tokens


async def test_a_token_of_the_session_passes_in_a_header_or_a_form():
    async with TestClient(csrf_app()) as client:
        token = (await client.get("/")).text
        assert (await client.post("/", headers={"x-csrf-token": token})).status == 200
        assert (await client.delete("/", headers={"x-csrf-token": token})).status == 200
        data = {"csrf_token": token, "a": 1}
        assert (await client.post("/form", data=data)).json() == ["csrf_token", "a"]
        files = {"f": b"x"}
        answer = await client.post("/form", data=data, files=files)
        assert answer.json() == ["csrf_token", "a", "f"]
        assert (await client.post("/form", data={"a": 1})).status == 403
        assert (await client.post("/form", files={"csrf_token": token.encode()})).status == 403


async def test_a_token_is_another_text_each_time_and_all_are_good():
    async with TestClient(csrf_app()) as client:
        tokens = [(await client.get("/")).text for _ in range(3)]
        assert len(set(tokens)) == 3
        for token in tokens:
            assert (await client.post("/", headers={"x-csrf-token": token})).status == 200


async def test_a_token_of_another_session_is_none():
    app = csrf_app()
    async with TestClient(app) as client, TestClient(app) as thief:
        stolen = (await thief.get("/")).text
        token = (await client.get("/")).text
        assert (await client.post("/", headers={"x-csrf-token": stolen})).status == 403
        assert (await client.post("/", headers={"x-csrf-token": token[:-4]})).status == 403
        flipped = token[:-3] + ("A" if token[-3] != "A" else "B") + token[-2:]
        assert (await client.post("/", headers={"x-csrf-token": flipped})).status == 403
        assert (await client.post(f"/?csrf_token={token}")).status == 403  # URLs are in logs
        client.cookies.clear()
        client.cookies["session"] = "x"
        assert (await client.post("/", headers={"x-csrf-token": token})).status == 403


async def test_a_token_helps_no_page_of_another_site():
    async with TestClient(csrf_app()) as client:
        token = (await client.get("/")).text
        headers = {"x-csrf-token": token, "sec-fetch-site": "cross-site"}
        assert (await client.post("/", headers=headers)).status == 403


async def test_a_stream_is_left_to_its_handler():
    async with TestClient(csrf_app()) as client:
        own = {**COOKIE, "sec-fetch-site": "same-origin"}
        assert (await client.post("/stream", files={"f": b"x"}, headers=own)).status == 200
        token = {"x-csrf-token": (await client.get("/")).text}
        assert (await client.post("/stream", files={"f": b"x"}, headers=token)).status == 200
        answer = await client.post("/stream", content=b"abc", headers=token)
        assert answer.json() == [3]


async def test_a_form_that_cannot_be_read_says_so():
    async with TestClient(csrf_app()) as client:
        await client.get("/")
        headers = {"content-type": "multipart/form-data"}
        assert (await client.post("/", content=b"x", headers=headers)).status == 400


# Options


async def test_trusted_origins_may_send():
    app = csrf_app(trusted_origins=["https://admin.example.org"])
    async with TestClient(app) as client:
        for site in ({}, {"sec-fetch-site": "cross-site"}):
            headers = {**COOKIE, **site, "origin": "https://admin.example.org"}
            assert (await client.post("/", headers=headers)).status == 200
            for other in ("http://admin.example.org", "https://admin.example.org.evil.example"):
                assert (await client.post("/", headers={**headers, "origin": other})).status == 403


async def test_exempt_paths_take_everything():
    cross = {**COOKIE, "sec-fetch-site": "cross-site"}
    async with TestClient(csrf_app(exempt=["/hooks/pay"])) as client:
        assert (await client.post("/hooks/pay", headers=cross)).text == "pay"
        for path in ("/hooks/other", "/hooks/pay/", "/HOOKS/pay", "/", "/hooks/../"):
            assert (await client.post(path, headers=cross)).status == 403
    async with TestClient(csrf_app(exempt=["/hooks/*"])) as client:
        assert (await client.post("/hooks/other", headers=cross)).text == "other"
        for path in ("/hooks", "/hooksother", "/"):
            assert (await client.post(path, headers=cross)).status == 403


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"exempt": "/a"}, r"write \['/a'\]"),
        ({"exempt": ["a"]}, "begins with a slash"),
        ({"exempt": [None]}, "begins with a slash"),
        ({"trusted_origins": "https://a.example"}, "is a list"),
        ({"trusted_origins": ["a.example"]}, "needs a scheme"),
        ({"trusted_origins": ["*"]}, "not an origin"),
    ],
)
def test_what_is_no_option_is_refused(options, says):
    with pytest.raises(ConfigurationError, match=says):
        CSRF(**options)


async def test_without_sessions_browsers_are_told_apart_all_the_same(caplog):
    async with TestClient(csrf_app(sessions=False)) as client:
        assert (await client.post("/")).status == 200
        own = {**COOKIE, "sec-fetch-site": "same-origin"}
        assert (await client.post("/", headers=own)).status == 200
        assert (await client.post("/", headers=COOKIE)).status == 403
    assert "there are no Sessions" in caplog.text


async def test_the_log_says_which_option_allows_it_and_holds_nothing_of_a_peers_making(caplog):
    async with TestClient(csrf_app()) as client:
        origin = "https://evil.example" + "x" * 5000
        await client.post("/", headers={**COOKIE, "origin": origin})
        await client.post("/", headers=COOKIE)
    assert "trusted_origins=[...]" in caplog.text
    assert "{{ csrf_field() }}" in caplog.text
    assert "x" * 200 not in caplog.text


async def test_a_handshake_is_not_its_business():
    async with TestClient(csrf_app()) as client, client.socket("/ws") as socket:
        await socket.send("echo", 1)
        assert (await socket.receive()).data == 1


ALLOWED = {"origin": "https://pages.example", "sec-fetch-site": "cross-site", **COOKIE}


async def test_what_a_socket_without_a_websocket_says_has_a_check_of_its_own():
    """The origins that may open sockets need not be trusted with everything else."""
    app = FinchApp(allowed_origins=[ALLOWED["origin"]])
    app.middleware(Sessions(KEY))
    app.middleware(CSRF())
    app.socket("echo")(lambda socket, data: data)
    app.post("/change")(lambda request: "changed")
    async with TestClient(app) as client:
        stream = await stream_of(client, more=f"Origin: {ALLOWED['origin']}\r\n")
        say = stream.belongs()

        async def status(path, method="POST", **headers):
            content = b'{"path": "echo", "data": 7}'
            sent = {**ALLOWED, **headers}
            return (await client.request(method, path, headers=sent, content=content)).status

        assert await status("/ws", **say, origin="https://evil.example") == 403
        assert await status("/ws") == 403  # not a POST of a stream
        assert await status("/change", **say) == 403
        assert await status("/ws", method="PUT", **say) == 403
        assert await status("/ws", **say) == 204
        assert (await stream.receive())["data"] == 7
        await stream.cut()
