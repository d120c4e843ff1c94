"""docs/security.md says what is so: its table of limits, and what its examples do."""

import dataclasses
import re
from pathlib import Path

import pytest

from finch import FinchApp, Limits
from finch.testing import HandshakeRefused, TestClient

PAGE = (Path(__file__).parent.parent / "docs" / "security.md").read_text(encoding="utf-8")
UNITS = {"KiB": 1024, "MiB": 1024 * 1024, "s": 1, "": 1}


def value(text):
    """A default as it is written there: ``8 KiB``, ``10 s``, ``131,072``, ``none``."""
    if text == "none":
        return None
    number, _, unit = text.replace(",", "").partition(" ")
    return float(number) * UNITS[unit]


def test_the_table_has_every_limit_with_its_default():
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|", PAGE, re.MULTILINE)
    written = {name: value(default) for name, default in rows}
    assert len(written) == len(rows)
    assert written == {field.name: field.default for field in dataclasses.fields(Limits)}


def example(word):
    """The application of the one example that has this word in it."""
    (code,) = [code for code in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if word in code]
    namespace = {}
    exec(code, namespace)
    return namespace["app"]


async def test_a_session_cookie_is_the_browser_s_to_keep():
    async with TestClient(example("set_cookie")) as client:
        response = await client.post("/login")
    assert response.headers["set-cookie"] == (
        "__Host-session=...; HttpOnly; Max-Age=86400; Path=/; SameSite=Lax; Secure"
    )


async def test_a_client_that_says_too_much_is_told(autojump_clock):
    async with TestClient(example("def spend")) as client, client.socket("/ws") as socket:
        for _ in range(21):
            await socket.send("say", "hi")
        said = [await socket.receive() for _ in range(21)]
    assert [message.status for message in said] == [200] * 20 + [429]


async def test_only_our_hosts_are_served():
    app = example("HOSTS")
    app.get("/")(_hello)
    app.socket("echo")(_echo)
    async with TestClient(app) as client:
        assert (await client.get("/")).status == 421
        assert (await client.get("/", headers={"host": "Example.org"})).status == 200
        with pytest.raises(HandshakeRefused):
            async with client.socket("/ws", headers={"host": "evil.example"}):
                pass


async def test_every_response_carries_the_protections():
    app = example("content-security-policy")
    app.get("/")(_hello)
    async with TestClient(app) as client:
        for path in ("/", "/nowhere"):
            headers = (await client.get(path)).headers
            assert headers["x-content-type-options"] == "nosniff"
            assert "server" not in headers


@pytest.mark.parametrize(
    ("listed", "sent"),
    [
        ("capacitor://localhost", "capacitor://localhost"),
        ("chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"),
        ("file://", "file://"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("https://example.org/", "https://example.org"),
        ("null", "null"),
    ],
)
async def test_origins_of_apps_and_of_names_in_unicode_can_be_allowed(listed, sent):
    app = FinchApp(allowed_origins=[listed])
    app.socket("echo")(_echo)
    async with TestClient(app) as client:
        async with client.socket("/ws", headers={"origin": sent}):
            pass
        with pytest.raises(HandshakeRefused):
            async with client.socket("/ws", headers={"origin": "https://evil.example"}):
                pass


@pytest.mark.parametrize("sent", ["*", "https://a.example, x", "NULL", "a.example"])
async def test_what_is_no_origin_is_refused_whatever_is_listed(sent):
    app = FinchApp(allowed_origins=["https://a.example", "null"])
    app.socket("echo")(_echo)
    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused):
            async with client.socket("/ws", headers={"origin": sent}):
                pass


async def test_numbers_chosen_to_meet_in_a_set_are_refused_over_http_and_sockets():
    app = FinchApp()

    @app.post("/ids")
    async def ids(request):
        return str(len(await request.json(set[int])))

    @app.socket("ids")
    async def named(socket, data: dict[int, None]):
        return len(data)

    chosen = [number * (2**61 - 1) for number in range(20, 20_000)]
    async with TestClient(app) as client, client.socket("/ws") as socket:
        response = await client.post("/ids", json=chosen)
        assert (response.status, "at most 512" in response.text) == (422, True)
        await socket.send("ids", dict.fromkeys(chosen))
        answer = await socket.receive()
        assert (answer.status, "at most 512" in answer.data["message"]) == (422, True)


async def _refused(app, origin, path="/ws"):
    async with TestClient(app) as client:
        for _ in range(3):
            with pytest.raises(HandshakeRefused) as refused:
                async with client.socket(path, headers={"origin": origin}):
                    pass
    assert refused.value.response.status == 403


async def test_a_refused_origin_is_logged_once_with_the_option_that_allows_it(caplog):
    app = FinchApp()
    app.socket("echo")(_echo)
    await _refused(app, "https://friend.example:8443")

    [record] = caplog.records
    assert record.levelname == "WARNING"
    said = record.getMessage()
    assert "https://friend.example:8443" in said
    assert "/ws" in said
    assert "http://testserver" in said
    [option] = re.findall(r"allowed_origins=\[.*\]", said)
    app = eval(f"FinchApp({option})")
    app.socket("echo")(_echo)
    async with TestClient(app) as client:
        async with client.socket("/ws", headers={"origin": "https://friend.example:8443"}):
            pass


@pytest.mark.parametrize("origin", ["https://a, https://b", "evil", "https://a\tb", "x" * 5000])
async def test_what_is_no_origin_gets_no_such_advice_and_writes_no_line_of_its_own(caplog, origin):
    app = FinchApp()
    app.websocket("/raw")(_raw)
    await _refused(app, origin, "/raw")

    [record] = caplog.records
    assert "allowed_origins" not in record.getMessage()
    assert record.getMessage().isascii()
    assert len(record.getMessage()) < 1000


async def test_each_path_has_its_say(caplog):
    app = FinchApp()
    app.socket("echo")(_echo)
    app.websocket("/raw")(_raw)
    await _refused(app, "https://a.example")
    await _refused(app, "https://a.example", "/raw")
    assert [record.args[0] for record in caplog.records] == ["/ws", "/raw"]


async def _hello(request):
    return "hello"


async def _echo(socket, data):
    return data


async def _raw(ws):
    await ws.receive()
