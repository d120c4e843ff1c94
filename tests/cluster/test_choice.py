"""Which backplane an application has, and what is said of URLs that name none."""

import re
import sys
from pathlib import Path

import pytest

from finch import ConfigurationError, FinchApp, SocketManager
from finch.cluster.inprocess import InProcess
from finch.cluster.redis import Redis
from finch.testing import SocketClosed, TestClient
from tests.cluster.nodes import counts, heard, node, present
from tests.cluster.server import RedisServer, free_port


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (7, "is a URL, not"),
        ("localhost:6379", "begins with none of redis://"),
        ("http://localhost", "begins with none of redis://"),
        ("redis://localhost:nothing", "not the URL of a Redis server"),
        ("redis://localhost?prefix={x}", "no braces"),
    ],
)
def test_a_wrong_url_is_refused_at_once(url, says):
    with pytest.raises(ConfigurationError, match=says):
        FinchApp(backplane=url)


def test_passwords_are_not_in_the_message():
    with pytest.raises(ConfigurationError) as error:
        FinchApp(backplane="redis://me:secret@localhost:nothing")
    assert "secret" not in str(error.value)


def test_without_coredis_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "coredis", None)
    with pytest.raises(ConfigurationError, match=r"finch-trio\[redis\]"):
        FinchApp(backplane="redis://localhost")


def test_all_managers_have_it_also_if_it_is_chosen_late():
    app = FinchApp()
    early = app.socket_manager
    other = SocketManager(app, path="/other")
    later = SocketManager(app)
    assert {type(one.backplane) for one in (early, other, later)} == {InProcess}
    app.backplane = "redis://localhost"
    assert {type(one.backplane) for one in (early, other, later)} == {Redis}
    assert early.backplane is later.backplane is not other.backplane
    app.backplane = None
    assert {type(one.backplane) for one in (early, other, later)} == {InProcess}


async def test_an_application_that_redis_refuses_does_not_start(tmp_path):
    with RedisServer(tmp_path, "--requirepass", "secret") as server:
        for url in (server.url(), server.url().replace("//", "//:wrong@")):
            client = TestClient(FinchApp(backplane=url))
            with pytest.raises(ConfigurationError, match="refuses this application"):
                await client.__aenter__()
        async with TestClient(app := FinchApp(backplane=server.url().replace("//", "//:secret@"))):
            assert app.socket_manager.backplane.state == "connected"


async def test_an_application_may_start_before_redis():
    app = FinchApp(backplane=f"redis://127.0.0.1:{free_port()}")
    async with TestClient(app):
        assert app.socket_manager.backplane.state == "connecting"


async def test_it_is_served_once(url):
    app = FinchApp(backplane=url)
    async with TestClient(app):
        with pytest.raises(ConfigurationError, match="only once"):
            async with TestClient(app):
                pass
        with pytest.raises(ConfigurationError, match="while the application runs"):
            app.backplane = None
    async with TestClient(app):
        assert app.socket_manager.backplane.state == "connected"


async def test_it_needs_no_more_than_the_documentation_says(own_redis):
    """The rights of the user in docs/redis.md are enough, and other names are not allowed."""
    page = (Path(__file__).parents[2] / "docs" / "redis.md").read_text(encoding="utf-8")
    rule = re.search(r"ACL SETUSER shop on[^`]*", page)[0].split()
    assert own_redis.say(*rule) == b"+OK\r\n"
    url = own_redis.url("shop").replace("//", "//shop:password@")
    async with node(url) as one, node(url) as two:
        ann, bob = await one.connect("ann"), await two.connect("bob")
        for room in ("chat/a", "people/a", "plain/a"):
            await ann.join(room)
            await bob.join(room)
            await one.app.room(room).send(room, path="said")
            assert (await heard(bob, "said")).data == room
        await counts(one.app.everyone, 2)
        await present(one.app.room("people/a"), {"ann": 1, "bob": 1})
        await two.app.user("ann").close(4401)
        with pytest.raises(SocketClosed):
            await heard(ann, "nothing more")
        await counts(two.app.everyone, 1)
    other = TestClient(FinchApp(backplane=url.replace("prefix=shop", "prefix=other")))
    with pytest.raises(ConfigurationError, match="refuses this application"):
        await other.__aenter__()
