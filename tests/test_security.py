"""docs/security.md says what is so: its table of limits, and what its examples do."""

import dataclasses
import re
from pathlib import Path

import pytest

from finch import Limits
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


async def _hello(request):
    return "hello"


async def _echo(socket, data):
    return data
