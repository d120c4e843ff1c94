"""Basic and Bearer: who sends a request, as middleware and as ``auth=``."""

import base64
import inspect
import threading

import httpx
import pytest

from finch import ConfigurationError, FinchApp, HTTPError, SocketManager
from finch.guards import Basic, Bearer, credentials, same_secret
from finch.testing import HandshakeRefused, TestClient
from tests.conftest import serving

MAIN = threading.get_ident()


def basic(text, scheme="Basic"):
    data = text if isinstance(text, bytes) else text.encode()
    return f"{scheme} {base64.b64encode(data).decode()}"


def application(guard):
    app = FinchApp()
    app.middleware(guard)

    @app.get("/")
    async def index(request):
        return {"user": request.user}

    @app.socket("who")
    async def who(socket, data):
        return socket.request.user

    return app


async def ask(guard, *authorization, path="/"):
    headers = {"authorization": list(authorization)} if authorization else {}
    async with TestClient(application(guard)) as client:
        return await client.get(path, headers=headers)


async def in_thread(user, password):
    return {"name": user} if password == "pässwörd:1" else None


def blocks(user, password):
    assert threading.get_ident() != MAIN
    return password == "pässwörd:1"


PASSWORDS = {"ann": "pässwörd:1", "bob": "other"}


@pytest.mark.parametrize(
    ("check", "user"), [(PASSWORDS, "ann"), (in_thread, {"name": "ann"}), (blocks, "ann")]
)
async def test_the_right_password_is_let_through(check, user):
    for scheme in ("Basic", "basic", "BASIC"):
        response = await ask(Basic(check), basic("ann:pässwörd:1", scheme))
        assert response.json() == {"user": user}


@pytest.mark.parametrize("check", [PASSWORDS, in_thread, blocks])
@pytest.mark.parametrize("given", ["ann:wrong", "ann:", ":", "nobody:", "nobody:x", "ann:other"])
async def test_a_wrong_one_is_not(check, given):
    response = await ask(Basic(check, realm="back office"), basic(given))
    assert response.status == 401
    assert response.text == "the name or the password is wrong"
    assert response.headers["www-authenticate"] == 'Basic realm="back office", charset="UTF-8"'


@pytest.mark.parametrize("given", [[], [""], ["Bearer abc"], ["Digest x=y"], ["Basicabc"]])
async def test_without_credentials_the_client_is_told_which_are_needed(given):
    response = await ask(Basic(PASSWORDS), *given)
    assert (response.status, response.text) == (401, "this needs Basic credentials")
    response = await ask(Bearer("abc"), *[basic("ann:x") for _ in given[:1]])
    assert (response.status, response.text) == (401, "this needs Bearer credentials")
    assert response.headers["www-authenticate"] == 'Bearer realm="api"'


@pytest.mark.parametrize(
    "given",
    [
        ["Basic"],
        ["Basic ann:secret"],
        ["Basic YW5uOnBhc3M"],  # without its padding
        ["Basic YW5uOnBhc3M= x"],
        ["Basic YW5u,OnBhc3M="],
        ["Basic ===="],
        ["Basic YW=u"],
        [basic("no colon")],
        [basic(b"ann:\xff")],
        [basic("ann:a\0b")],
        [basic("ann\n:b")],
        [basic("ann:pässwörd:1"), basic("ann:pässwörd:1")],
    ],
)
async def test_malformed_credentials_are_a_bad_request(given):
    response = await ask(Basic(PASSWORDS), *given)
    assert response.status == 400
    assert response.headers["www-authenticate"].startswith("Basic ")


# Bearer


async def by_token(token):
    if token == "readonly":
        raise HTTPError(403, "this token may only read")
    return {"id": 7} if token == "abc-._~+/1==" else None


@pytest.mark.parametrize(
    ("check", "user"),
    [("abc-._~+/1==", True), ({"abc-._~+/1==": "ann", "x": "bob"}, "ann"), (by_token, {"id": 7})],
)
async def test_the_right_token_is_let_through(check, user):
    response = await ask(Bearer(check), "bearer abc-._~+/1==")
    assert response.json() == {"user": user}
    response = await ask(Bearer(check, realm="birds"), "Bearer abc")
    assert response.status == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="birds", error="invalid_token"'


@pytest.mark.parametrize("given", [["Bearer"], ["Bearer a b"], ["Bearer ="], ["Bearer é"]])
async def test_a_malformed_token_is_a_bad_request(given):
    response = await ask(Bearer(by_token), *given)
    assert response.status == 400
    assert response.headers["www-authenticate"] == 'Bearer realm="api", error="invalid_request"'


async def test_a_check_may_refuse_in_its_own_words():
    response = await ask(Bearer(by_token), "Bearer readonly")
    assert (response.status, response.text) == (403, "this token may only read")


async def test_a_check_that_raises_is_a_500_and_lets_nobody_through():
    async def broken(token):
        raise KeyError(token)

    assert (await ask(Bearer(broken), "Bearer abc")).status == 500


@pytest.mark.parametrize("nobody", [None, False])
async def test_nobody_is_nobody(nobody):
    async def check(*_):
        return nobody

    assert (await ask(Bearer(check), "Bearer abc")).status == 401
    assert (await ask(Basic(check), basic("a:b"))).status == 401


@pytest.mark.parametrize("user", [0, "", [], {}])
async def test_a_user_may_be_a_value_that_counts_as_false(user):
    async def check(*_):
        return user

    assert (await ask(Bearer(check), "Bearer abc")).json() == {"user": user}


async def test_sockets_are_guarded_by_the_same():
    async with TestClient(application(Bearer({"abc": "ann"}))) as client:
        async with client.socket(headers={"authorization": "Bearer abc"}) as socket:
            await socket.send("who")
            assert (await socket.receive()).data == "ann"
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket():
                pass
    assert refused.value.response.status == 401


@pytest.mark.parametrize("kind", ["route", "group", "app", "manager"])
async def test_it_is_a_function_for_auth_too(kind):
    guard = Basic(PASSWORDS)
    app = FinchApp(auth=guard if kind == "app" else None)
    group = app.group("/in", auth=guard if kind == "group" else None)
    manager = SocketManager(app, path="/ws2", auth=guard if kind == "manager" else None)

    @manager.socket("who")
    async def who(socket, data):
        return socket.request.user

    @group.get("/me", auth=guard if kind == "route" else None)
    async def index(request):
        return request.user

    async with TestClient(app) as client:
        headers = {"authorization": basic("bob:other")}
        if kind == "manager":
            async with client.socket("/ws2", headers=headers) as socket:
                await socket.send("who")
                assert (await socket.receive()).data == "bob"
            with pytest.raises(HandshakeRefused) as refused:
                async with client.socket("/ws2"):
                    pass
            response = refused.value.response
        else:
            assert (await client.get("/in/me", headers=headers)).text == "bob"
            response = await client.get("/in/me")
    assert response.status == 401
    assert response.headers["www-authenticate"] == 'Basic realm="login", charset="UTF-8"'


async def test_httpx_logs_in():
    async with serving(application(Basic(PASSWORDS))) as server:
        async with httpx.AsyncClient(auth=("ann", "pässwörd:1")) as client:
            assert (await client.get(server.http)).json() == {"user": "ann"}
        async with httpx.AsyncClient() as client:
            assert (await client.get(server.http)).status_code == 401


# Secrets


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("a", "a", True),
        ("a", b"a", True),
        ("ß", "ß", True),
        ("", "", True),
        ("a", "b", False),
        ("a", "aa", False),
        ("a", "", False),
        ("\ud800", "?", False),
    ],
)
def test_secrets_are_compared_whole(one, other, same):
    assert same_secret(one, other) is same
    assert same_secret(other, one) is same


def test_no_secret_is_compared_with_an_operator():
    """Every comparison of secrets is that of hmac, of digests: there is no == in the module that
    compares one."""
    source = inspect.getsource(credentials)
    assert source.count("hmac.compare_digest(") == 3
    for line in source.splitlines():
        if "==" in line:
            assert line.strip().startswith("``==``")


def test_a_guard_does_not_show_its_secrets():
    assert "secret" not in repr(Basic({"ann": "secret"})) + str(Bearer("secret"))


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: Basic(5), "a function that takes \\(user, password\\)"),
        (lambda: Basic("ann:secret"), "not a str"),
        (lambda: Basic(lambda token: None), "is called with \\(user, password\\)"),
        (lambda: Basic({"ann": ""}), "not empty"),
        (lambda: Basic({"ann": 5}), "as texts"),
        (lambda: Basic({"ann": None}), "as texts"),
        (lambda: Basic({"a:b": "x"}), "has a colon"),
        (lambda: Basic(PASSWORDS, realm='a"b'), "realm is"),
        (lambda: Basic(PASSWORDS, realm="a\r\nb"), "realm is"),
        (lambda: Basic(PASSWORDS, realm=""), "realm is"),
        (lambda: Bearer(""), "not empty"),
        (lambda: Bearer("a b"), "token_urlsafe"),
        (lambda: Bearer({"abc": None}), "a user is not None"),
        (lambda: Bearer(lambda a, b: None), "is called with \\(token\\)"),
        (lambda: Bearer(None), "not None"),
    ],
)
def test_what_makes_no_sense_is_refused_where_it_is_written(make, says):
    with pytest.raises(ConfigurationError, match=says):
        make()


def test_a_check_that_yields_is_refused():
    async def check(user, password):
        yield user

    with pytest.raises(ConfigurationError, match="yields"):
        Basic(check)
