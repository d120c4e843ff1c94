"""TrustedHosts: the names under which an application is served."""

import pytest

from finch import Address, ConfigurationError, FinchApp
from finch.guards import TrustedHosts
from finch.testing import HandshakeRefused, TestClient


@pytest.mark.parametrize(
    ("listed", "host", "trusted"),
    [
        ("example.org", "example.org", True),
        ("example.org", "EXAMPLE.org", True),
        ("example.org", "example.org.", True),
        ("example.org", "example.org:8443", True),
        ("example.org", "example.org:", True),
        ("Example.Org.", "example.org", True),
        ("münchen.example", "xn--mnchen-3ya.example", True),
        ("example.org", "", False),
        ("example.org", "www.example.org", False),
        ("example.org", "example.org.evil.example", False),
        ("example.org", "evil-example.org", False),
        ("example.org", "example.org..", False),
        ("example.org", "example.org:80:80", False),
        ("example.org", "example.org:evil.example", False),
        ("example.org", "user@example.org", False),
        ("example.org", "example.org@evil.example", False),
        ("example.org", "example%2eorg", False),
        ("example.org", "example.org/", False),
        ("example.org", "example.org,evil.example", False),
        ("example.org", "[example.org]", False),
        ("example.org:8443", "example.org:8443", True),
        ("example.org:8443", "example.org", False),
        ("example.org:80", "example.org", True),
        ("*.example.org", "a.example.org", True),
        ("*.example.org", "a.b.example.org:8080", True),
        ("*.example.org", "A.EXAMPLE.ORG.", True),
        ("*.example.org", "example.org", False),
        ("*.example.org", ".example.org", False),
        ("*.example.org", "evilexample.org", False),
        ("*.example.org:8443", "a.example.org:8443", True),
        ("*.example.org:8443", "a.example.org", False),
        ("[::1]", "[0:0:0:0:0:0:0:1]:8080", True),
        ("[::1]:80", "[::1]", True),
        ("[::1]", "[::2]", False),
        ("[::1]", "::1", False),
        ("127.0.0.1", "127.0.0.1:8080", True),
        ("127.0.0.1", "127.1", False),
        ("127.0.0.1", "0x7f000001", False),
    ],
)
def test_a_host_is_trusted_if_it_is_listed(listed, host, trusted):
    assert TrustedHosts(listed).trusts(host) is trusted


def test_a_port_that_is_left_out_is_that_of_the_scheme():
    guard = TrustedHosts(["example.org:443"])
    assert guard.trusts("example.org", "https")
    assert not guard.trusts("example.org", "http")


@pytest.mark.parametrize(
    ("listed", "says"),
    [
        ([], "nobody"),
        ("*", "leave TrustedHosts out"),
        ("https://example.org", "write 'example.org'"),
        ("https://example.org/app", "write 'example.org'"),
        ("example.org/app", "write 'example.org'"),
        ("::1", r"write '\[::1\]'"),
        ("a b", "is not a host"),
        ("*.*.example.org", "is not a host"),
        ("a.*", "is not a host"),
        ("", "is not a host"),
        ("-a.example", "is not a host"),
        ("[::g]", "is not a host"),
        (b"example.org", "write hosts="),
        ([7], "hosts has 7"),
        (7, "hosts is 7"),
    ],
)
def test_what_is_no_host_is_refused_where_it_is_written(listed, says):
    with pytest.raises(ConfigurationError, match=says):
        TrustedHosts(listed)


def application():
    app = FinchApp()
    app.middleware(TrustedHosts(["example.org", "testserver"]))

    @app.get("/")
    async def index(request):
        return request.url

    @app.socket("hello")
    async def hello(socket, data):
        return "hello"

    return app


async def test_a_request_for_another_host_is_misdirected(caplog):
    async with TestClient(application()) as client:
        assert (await client.get("/", headers={"host": "example.org"})).status == 200
        response = await client.get("/", headers={"host": "evil.example"})
        assert (response.status, response.text) == (
            421,
            "this server does not answer for that host",
        )
        assert "'evil.example'" in caplog.text
        for _ in range(10):
            await client.get("/", headers={"host": "evil.example"})
    assert caplog.text.count("was refused") == 1  # a client cannot fill the log


async def test_upgrades_are_refused_too():
    async with TestClient(application()) as client:
        async with client.socket(headers={"host": "example.org"}):
            pass
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket(headers={"host": "evil.example"}):
                pass
    assert refused.value.response.status == 421


PROXY = Address("10.0.0.1", 5)


async def test_behind_a_proxy_its_host_counts_if_it_is_believed():
    forged = {"host": "example.org", "x-forwarded-host": "evil.example"}
    told = {"host": "inside", "x-forwarded-host": "example.org"}
    async with TestClient(application(), client=PROXY, forwarded_allow_ips="10.0.0.1") as client:
        assert (await client.get("/", headers=forged)).status == 421
        assert (await client.get("/", headers=told)).status == 200
    async with TestClient(application(), client=PROXY) as client:
        assert (await client.get("/", headers=forged)).text == "http://example.org/"
        assert (await client.get("/", headers=told)).status == 421


async def test_the_host_of_a_whole_url_counts():
    async with TestClient(application()) as client:
        stream = client.connect()
        await stream.send_all(
            b"GET http://evil.example/ HTTP/1.1\r\nHost: example.org\r\nConnection: close\r\n\r\n"
        )
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 421 ")


async def test_a_request_without_a_host_is_refused():
    async with TestClient(application()) as client:
        stream = client.connect()
        await stream.send_all(b"GET / HTTP/1.0\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 421 ")
