"""SecurityHeaders: what browsers are told to refuse."""

import re

import pytest

from finch import Address, ConfigurationError, FinchApp
from finch.guards import SecurityHeaders
from finch.testing import TestClient

PROXY = Address("10.0.0.1", 5)


async def ask(guard, path="/", scheme="http"):
    app = FinchApp()
    app.middleware(guard)

    @app.get("/")
    async def index(request):
        return request.state.get("csp_nonce", "")

    @app.get("/own")
    async def own(request):
        own = {"x-frame-options": "SAMEORIGIN", "content-security-policy": "default-src *"}
        return "own", 200, own | {"Referrer-Policy": "origin"}

    @app.get("/bug")
    async def bug(request):
        raise ValueError

    @app.socket("hello")
    async def hello(socket, data):
        return "hello"

    async with TestClient(app, client=PROXY, forwarded_allow_ips="*") as client:
        if path == "/ws":
            async with client.socket() as socket:
                return socket.response
        return await client.get(path, headers={"x-forwarded-proto": scheme})


@pytest.mark.parametrize("path", ["/", "/nothing", "/bug"])
async def test_every_response_has_them(path):
    headers = (await ask(SecurityHeaders(), path)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert "content-security-policy" not in headers
    assert "strict-transport-security" not in headers  # over plain HTTP


async def test_only_https_is_told_to_stay_https():
    guard = SecurityHeaders(hsts=63072000, hsts_subdomains=True, hsts_preload=True)
    headers = (await ask(guard, scheme="https")).headers
    assert headers["strict-transport-security"] == "max-age=63072000; includeSubDomains; preload"
    assert (await ask(SecurityHeaders(), scheme="https")).headers[
        "strict-transport-security"
    ] == "max-age=31536000"
    off = (await ask(SecurityHeaders(hsts=None), scheme="https")).headers
    assert "strict-transport-security" not in off


async def test_what_a_handler_sets_stays():
    headers = (await ask(SecurityHeaders(csp="default-src 'self'"), "/own")).headers
    assert headers.getlist("x-frame-options") == ["SAMEORIGIN"]
    assert headers.getlist("content-security-policy") == ["default-src *"]
    assert headers.getlist("referrer-policy") == ["origin"]


async def test_none_leaves_a_header_out():
    guard = SecurityHeaders(frames=None, referrer=None, opener=None, permissions="camera=()")
    headers = (await ask(guard)).headers
    assert headers["permissions-policy"] == "camera=()"
    assert {"x-frame-options", "referrer-policy", "cross-origin-opener-policy"}.isdisjoint(headers)


async def test_each_request_has_a_nonce_of_its_own():
    guard = SecurityHeaders(csp="script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'")
    responses = [await ask(guard) for _ in range(2)]
    nonces = {response.text for response in responses}
    assert len(nonces) == 2
    for response in responses:
        assert re.fullmatch(r"[A-Za-z0-9_-]{22}", response.text)
        assert response.headers["content-security-policy"] == (
            f"script-src 'nonce-{response.text}'; style-src 'nonce-{response.text}'; "
            "frame-ancestors 'none'"
        )


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"csp": "default-src 'self'"}, "default-src 'self'; frame-ancestors 'none'"),
        (
            {"csp": "default-src 'self';", "frames": "sameorigin"},
            "default-src 'self'; frame-ancestors 'self'",
        ),
        ({"csp": "default-src 'self'", "frames": None}, "default-src 'self'"),
        ({"csp": "Frame-Ancestors https://a.example"}, "Frame-Ancestors https://a.example"),
        ({"csp": "img-src *; frame-ancestors 'self'"}, "img-src *; frame-ancestors 'self'"),
    ],
)
async def test_the_policy_says_who_may_show_the_page_in_a_frame(options, sent):
    assert (await ask(SecurityHeaders(**options))).headers["content-security-policy"] == sent


async def test_a_handshake_has_none_of_them():
    response = await ask(SecurityHeaders(csp="default-src 'self'"), "/ws")
    assert response.status == 101
    assert "x-frame-options" not in response.headers


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"frames": "none"}, "frames is one of deny, sameorigin, or None"),
        ({"frames": ["deny"]}, "frames is one of"),
        ({"referrer": "never"}, "referrer is one of"),
        ({"opener": "x"}, "opener is one of"),
        ({"permissions": "a\r\nb: c"}, "permissions cannot be sent"),
        ({"permissions": 5}, "permissions is ASCII text"),
        ({"csp": "default-src 'self'\r\nset-cookie: a=b"}, "csp cannot be sent"),
        ({"csp": "default-src 'ß'"}, "csp is ASCII text"),
        ({"csp": ["default-src"]}, "csp is ASCII text"),
        ({"csp": " ; "}, "csp is empty"),
        ({"csp": "script-src {nonce}"}, "with the quotation marks"),
        ({"csp": "script-src 'nonce-{nonce}' {nonce}"}, "outside of"),
        ({"hsts": True}, "whole seconds"),
        ({"hsts": -1}, "whole seconds"),
        ({"hsts": None, "hsts_subdomains": True}, "need hsts"),
        ({"hsts_preload": True}, "needs hsts_subdomains"),
        ({"hsts": 60, "hsts_subdomains": True, "hsts_preload": True}, "at least"),
        ({"hsts_subdomains": 1}, "True or False"),
    ],
)
def test_what_browsers_do_not_know_is_refused_where_it_is_written(options, says):
    with pytest.raises(ConfigurationError, match=says):
        SecurityHeaders(**options)
