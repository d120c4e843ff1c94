"""Behind proxies: who is believed, and what the application sees then."""

import json
import logging
import socket
import ssl
import struct
from ipaddress import ip_address

import pytest
import trio
import trustme

from finch import ConfigurationError, FinchApp, Limits, ProtocolError
from finch.net.address import NOWHERE, Address
from finch.net.listeners import load_tls, open_listeners
from finch.net.proxies import Source, Trust
from tests.transports import read_until

PROXY = Source(Address("127.0.0.1", 50000), "http")


# Who is believed


@pytest.mark.parametrize(
    ("believed", "peer"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("10.0.0.0/8", "10.255.1.2"),
        (" 192.0.2.1 ,10.0.0.0/8,, ", "10.0.0.1"),
        (["192.0.2.1", "2001:db8::/32"], "2001:db8:1::1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("*", "203.0.113.9"),
        ("*", "testclient"),
        ("unix", ""),
        ("10.0.0.1,unix", ""),
        ("*", ""),
    ],
)
def test_who_is_listed_is_believed(believed, peer):
    assert Trust(believed).believes(Address(peer, 50000 if peer else 0))


@pytest.mark.parametrize(
    ("believed", "peer"),
    [
        ("", "127.0.0.1"),
        ((), ""),
        ("127.0.0.1", "127.0.0.2"),
        ("127.0.0.1", "::1"),
        ("10.0.0.0/8", "11.0.0.1"),
        ("::/0", "10.0.0.1"),
        ("10.0.0.0/8", ""),
        ("0.0.0.0/0,::/0", "testclient"),
        ("unix", "127.0.0.1"),
    ],
)
def test_nobody_else_is(believed, peer):
    assert not Trust(believed).believes(Address(peer, 50000 if peer else 0))


@pytest.mark.parametrize(
    ("believed", "says"),
    [
        ("proxy.example", "'proxy.example'; write an IP address, a network such as 10.0.0.0/8"),
        ("10.0.0.1/8", "'10.0.0.1/8'; write the network 10.0.0.0/8"),
        ("10.0.0.0/33", "'10.0.0.0/33'; write an IP address"),
        ("127.0.0.1 10.0.0.1", "'127.0.0.1 10.0.0.1'; write"),
        (["127.0.0.1:8080"], "'127.0.0.1:8080'; write"),
        ("10.0.0.01", "'10.0.0.01'"),
    ],
)
def test_a_mistake_in_the_list_says_what_to_write(believed, says):
    with pytest.raises(ConfigurationError, match="forwarded_allow_ips has") as mistake:
        Trust(believed)
    assert says in str(mistake.value)


# What is taken from whom: 127.0.0.1 and 10/8 are ours


def trace(*headers, believed="127.0.0.1,10.0.0.0/8,2001:db8:a::/48"):
    found = Trust(believed).trace([tuple(header.split(b": ", 1)) for header in headers], PROXY)
    return str(found.client), found.scheme, found.host


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ([b"x-forwarded-for: 192.0.2.1"], "192.0.2.1"),
        ([b"forwarded: for=192.0.2.1"], "192.0.2.1"),
        # through two of ours
        ([b"x-forwarded-for: 192.0.2.1, 10.0.0.1"], "192.0.2.1"),
        ([b"forwarded: for=192.0.2.1, for=10.0.0.1"], "192.0.2.1"),
        ([b"x-forwarded-for: 192.0.2.1", b"x-forwarded-for: 10.0.0.1"], "192.0.2.1"),
        ([b"forwarded: for=192.0.2.1", b"forwarded: for=10.0.0.1"], "192.0.2.1"),
        # what the client invented is behind it
        ([b"x-forwarded-for: 127.0.0.1, 192.0.2.1, 10.0.0.1"], "192.0.2.1"),
        ([b"x-forwarded-for: nonsense, 192.0.2.1"], "192.0.2.1"),
        ([b"forwarded: for=127.0.0.1", b"forwarded: for=192.0.2.1"], "192.0.2.1"),
        ([b'forwarded: for=nonsense;proto=x;host="?", for=192.0.2.1'], "192.0.2.1"),
        # all are ours: the first
        ([b"x-forwarded-for: 10.0.0.2, 10.0.0.1"], "10.0.0.2"),
        ([b"forwarded: for=10.0.0.2, for=10.0.0.1"], "10.0.0.2"),
        # with ports, IPv6
        ([b"x-forwarded-for: 192.0.2.1:5000"], "192.0.2.1:5000"),
        ([b"x-forwarded-for: 2001:db8:b::1, 2001:db8:a::1"], "2001:db8:b::1"),
        ([b'forwarded: for="[2001:db8:b::1]:80", for="[2001:db8:a::1]"'], "[2001:db8:b::1]:80"),
        ([b"x-forwarded-for: ::ffff:192.0.2.1, ::ffff:10.0.0.1"], "192.0.2.1"),
        # one that it does not name
        ([b"x-forwarded-for: unknown"], "-"),
        ([b"forwarded: for=_hidden"], "-"),
        ([b"forwarded: for=192.0.2.1, for=unknown, for=10.0.0.1"], "-"),
        # not a word of it
        ([b"forwarded: proto=https"], "127.0.0.1:50000"),
        ([b"forwarded: for=192.0.2.1, proto=https"], "127.0.0.1:50000"),
        ([b"forwarded: proto=https, for=10.0.0.1"], "10.0.0.1"),
        ([b"x-forwarded-proto: https"], "127.0.0.1:50000"),
        ([b"x-forwarded-for: "], "127.0.0.1:50000"),
        ([b"forwarded: ,"], "127.0.0.1:50000"),
        ([b"x-real-ip: 192.0.2.1"], "127.0.0.1:50000"),
        ([], "127.0.0.1:50000"),
    ],
)
def test_the_client_is_the_last_that_is_not_believed(headers, client):
    assert trace(*headers)[0] == client


def test_unix_in_the_list_is_not_for_those_that_a_proxy_does_not_name():
    assert trace(b"forwarded: for=192.0.2.1, for=unknown", believed="unix")[0] == "-"
    assert trace(b"forwarded: for=192.0.2.1, for=unknown", believed="*")[0] == "-"
    assert trace(b"x-forwarded-for: 192.0.2.1, 192.0.2.2", believed="*")[0] == "192.0.2.1"


@pytest.mark.parametrize(
    ("headers", "scheme", "host"),
    [
        ([b"x-forwarded-proto: https", b"x-forwarded-host: a:81"], "https", "a:81"),
        ([b"forwarded: proto=https;host=a"], "https", "a"),
        ([b'forwarded: for=192.0.2.1;proto=https;host="[::1]:81"'], "https", "[::1]:81"),
        ([b"x-forwarded-proto: wss"], "https", None),
        ([b"x-forwarded-proto: HTTP"], "http", None),
        ([b"x-forwarded-for: 192.0.2.1"], "http", None),
        # TLS ends at the outer one of two
        ([b"forwarded: for=192.0.2.1;proto=https, for=10.0.0.1;proto=http"], "https", None),
        (
            [
                b"x-forwarded-for: 192.0.2.1, 10.0.0.1",
                b"x-forwarded-proto: https, http",
                b"x-forwarded-host: a, b",
            ],
            "https",
            "a",
        ),
        ([b"x-forwarded-for: 192.0.2.1, 10.0.0.1", b"x-forwarded-proto: https"], "https", None),
        # the client's own word, before ours
        ([b"forwarded: proto=https;host=evil, for=192.0.2.1"], "http", None),
        ([b"forwarded: for=127.0.0.1;proto=https, for=192.0.2.1;proto=http"], "http", None),
        (
            [
                b"x-forwarded-for: 127.0.0.1, 192.0.2.1",
                b"x-forwarded-proto: https, http",
                b"x-forwarded-host: evil, a",
            ],
            "http",
            "a",
        ),
    ],
)
def test_scheme_and_host_are_what_the_outermost_believed_proxy_says(headers, scheme, host):
    assert trace(*headers)[1:] == (scheme, host)


@pytest.mark.parametrize(
    "headers",
    [
        [b"x-forwarded-for: 192.0.2.1, nonsense"],
        [b"x-forwarded-for: nonsense, 10.0.0.1"],
        [b"forwarded: for=nonsense"],
        [b"forwarded: for=192.0.2.1;proto=ftp"],
        [b'forwarded: for=192.0.2.1;host="a b"'],
        [b"x-forwarded-proto: https, ftp"],
        [b"x-forwarded-host: a/b"],
        # a client's open quote would hide what the proxy adds behind it
        [b'forwarded: for="', b"forwarded: for=192.0.2.1"],
    ],
)
def test_what_cannot_be_read_is_refused(headers):
    with pytest.raises(ProtocolError) as refused:
        trace(*headers)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("headers", "result"),
    [
        (
            [b'forwarded: for="192.0.2.1:80";proto=https', b"x-forwarded-for: 192.0.2.1"],
            ("192.0.2.1:80", "https", None),
        ),
        (
            [b"forwarded: for=192.0.2.1", b"x-forwarded-proto: https", b"x-forwarded-host: a"],
            ("192.0.2.1", "https", "a"),
        ),
        (
            [b"forwarded: proto=https;host=a", b"x-forwarded-for: 192.0.2.1"],
            ("192.0.2.1", "https", "a"),
        ),
    ],
)
def test_both_kinds_of_headers_complete_each_other(headers, result):
    assert trace(*headers) == result


@pytest.mark.parametrize(
    "headers",
    [
        [b"forwarded: for=127.0.0.1", b"x-forwarded-for: 192.0.2.1"],
        [b"forwarded: for=192.0.2.1", b"x-forwarded-for: 127.0.0.1"],
        [b"forwarded: for=unknown", b"x-forwarded-for: 192.0.2.1"],
        [b"forwarded: proto=https", b"x-forwarded-proto: http"],
        [b"forwarded: host=a", b"x-forwarded-host: b"],
    ],
)
def test_where_they_disagree_one_is_the_clients_and_the_request_is_refused(headers):
    with pytest.raises(ProtocolError, match="disagree"):
        trace(*headers)


# What the application sees


@pytest.fixture
def app():
    app = FinchApp(limits=Limits(head_timeout=5))

    @app.get("/")
    async def index(request):
        return {"client": str(request.client), "url": request.url, "host": request.host}

    @app.socket("who")
    async def who(client, data):
        return [str(client.request.client), client.request.url]

    return app


async def ask(stream, *headers, path=b"/"):
    """Status and body of a GET."""
    await stream.send_all(
        b"GET %b HTTP/1.1\r\nHost: app:8080\r\n%b\r\n"
        % (path, b"".join(b"%b\r\n" % header for header in headers))
    )
    head, _, body = (await read_until(stream, b"\r\n\r\n")).partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive_some()
    return int(head.split()[1]), body.decode()


async def shake_hands(stream, *headers):
    """The status that a WebSocket handshake gets."""
    await stream.send_all(
        b"GET /ws HTTP/1.1\r\nHost: app:8080\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%b\r\n"
        % b"".join(b"%b\r\n" % header for header in headers)
    )
    return int((await read_until(stream, b"\r\n\r\n")).split()[1])


FORWARDED = [
    b"X-Forwarded-For: 192.0.2.1",
    b"X-Forwarded-Proto: https",
    b"X-Forwarded-Host: example.org",
]
STRAIGHT = {"client": "127.0.0.1", "url": "http://app:8080/", "host": "app:8080"}
BEHIND = {"client": "192.0.2.1", "url": "https://example.org/", "host": "example.org"}


@pytest.mark.parametrize(
    ("believed", "headers", "seen"),
    [
        ("127.0.0.1", FORWARDED, BEHIND),
        ("*", [b"Forwarded: for=192.0.2.1;proto=https;host=example.org"], BEHIND),
        ("", FORWARDED, STRAIGHT),
        ("unix,192.0.2.1", FORWARDED, STRAIGHT),
        ("127.0.0.1", [], STRAIGHT),
        ("", [b"X-Forwarded-For: nonsense"], STRAIGHT),
    ],
)
async def test_a_believed_proxy_changes_client_scheme_and_host(app, serve, believed, headers, seen):
    async with serve(app, trust=Trust(believed)) as running:
        stream = await running.connect()
        port = stream.socket.getsockname()[1]
        if seen is STRAIGHT:
            seen = {**seen, "client": f"127.0.0.1:{port}"}
        status, body = await ask(stream, *headers)
        assert (status, json.loads(body)) == (200, seen)
        # each request of a connection is somebody's own
        assert json.loads((await ask(stream))[1])["client"] == f"127.0.0.1:{port}"


async def test_what_a_believed_proxy_sends_and_nobody_can_read_is_400(app, serve):
    async with serve(app, trust=Trust("127.0.0.1")) as running:
        status, body = await ask(await running.connect(), b"X-Forwarded-For: nonsense")
        assert status == 400
        assert "is not an IP address" in body


async def test_a_unix_sockets_peer_is_believed_by_that_name(app, serve, tmp_path):
    for believed, client in (("unix", "192.0.2.1"), ("127.0.0.1", "-")):
        path = str(tmp_path / "finch.sock")
        listeners = open_listeners(unix=path)
        async with serve(app, listeners=listeners, trust=Trust(believed)) as running:
            stream = await trio.open_unix_socket(path)
            running.streams.append(stream)
            assert json.loads((await ask(stream, *FORWARDED))[1])["client"] == client


async def test_a_peer_of_ipv4_is_one_on_a_socket_for_both(app, serve):
    listener = socket.socket(socket.AF_INET6)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind(("::ffff:127.0.0.1", 0))
    listener.listen()
    async with serve(app, listeners=[listener], trust=Trust("127.0.0.1")) as running:
        stream = await running.connect()
        assert json.loads((await ask(stream))[1])["client"].startswith("127.0.0.1:")
        assert json.loads((await ask(stream, *FORWARDED))[1])["client"] == "192.0.2.1"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([b"Origin: https://example.org"], 101),
        ([b"Origin: https://example.org:443"], 101),
        ([], 101),
        ([b"Origin: https://example.com"], 403),
        ([b"Origin: https://example.org:8443"], 403),
        ([b"Origin: http://app:8080"], 403),
        # not the page that was loaded over TLS
        ([b"Origin: http://example.org"], 403),
        ([b"Origin: http://example.org:443"], 403),
    ],
)
async def test_an_origin_is_compared_with_what_the_browser_connects_to(app, serve, headers, status):
    async with serve(app, trust=Trust("127.0.0.1")) as running:
        stream = await running.connect()
        assert await shake_hands(stream, *FORWARDED, *headers) == status


async def test_without_trust_an_origin_is_compared_with_the_host(app, serve):
    async with serve(app) as running:
        for origin, status in (
            (b"http://app:8080", 101),
            (b"https://app:8080", 101),  # TLS may end before us
            (b"https://example.org", 403),
        ):
            stream = await running.connect()
            assert await shake_hands(stream, *FORWARDED, b"Origin: " + origin) == status


async def test_the_access_log_names_the_client(app, serve, caplog):
    caplog.set_level(logging.INFO, "finch.access")
    async with serve(app, access_log=True, trust=Trust("127.0.0.1")) as running:
        stream = await running.connect()
        await ask(stream, *FORWARDED)
        await ask(stream, b"X-Forwarded-For: 192.0.2.1:81, 127.0.0.1")
        await ask(stream, b"Forwarded: for=unknown")
    assert [record.getMessage() for record in caplog.records] == [
        '192.0.2.1 "GET / HTTP/1.1" 200',
        '192.0.2.1:81 "GET / HTTP/1.1" 200',
        '- "GET / HTTP/1.1" 200',
    ]


# The PROXY protocol

V1 = b"PROXY TCP4 192.0.2.1 127.0.0.1 5000 80\r\n"


def v2(command=0x21, rest=b"", client="192.0.2.1"):
    packed = ip_address(client).packed
    rest = packed + bytes(len(packed)) + struct.pack("!HH", 5000, 80) + rest
    family = 0x11 if len(packed) == 4 else 0x21
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, family, len(rest)) + rest


OVER_TLS = b"\x20\0\x05\x01\0\0\0\0"


@pytest.mark.parametrize(
    ("header", "client", "scheme"),
    [
        (V1, "192.0.2.1:5000", "http"),
        (v2(), "192.0.2.1:5000", "http"),
        (v2(client="2001:db8::1"), "[2001:db8::1]:5000", "http"),
        (v2(rest=OVER_TLS), "192.0.2.1:5000", "https"),
        (v2(0x20, OVER_TLS), "the peer", "http"),
        (b"PROXY UNKNOWN\r\n", "the peer", "http"),
    ],
)
async def test_a_proxy_header_says_who_connects(app, serve, header, client, scheme):
    async with serve(app, proxy_protocol=True) as running:
        for pieces in ([header], [header[:7], header[7:]], [bytes([byte]) for byte in header]):
            stream = await running.connect()
            stream.setsockopt(trio.socket.IPPROTO_TCP, trio.socket.TCP_NODELAY, True)
            for piece in pieces:
                await stream.send_all(piece)
                await trio.sleep(0)
            seen = json.loads((await ask(stream))[1])
            peer = f"127.0.0.1:{stream.socket.getsockname()[1]}"
            assert seen["client"] == (peer if client == "the peer" else client)
            assert seen["url"] == f"{scheme}://app:8080/"


async def test_a_socket_behind_a_proxy_header_and_all_in_one_piece(app, serve):
    text = b'{"path": "who"}'
    frame = b"\x81" + bytes([0x80 | len(text)]) + b"\0\0\0\0" + text
    async with serve(app, proxy_protocol=True) as running:
        stream = await running.connect()
        await stream.send_all(
            V1 + b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            + frame
        )
        assert b'["192.0.2.1:5000","http://a/ws"]' in await read_until(stream, b"]")


@pytest.mark.parametrize("header", [V1, v2()])
async def test_a_proxy_header_comes_before_tls(app, serve, header, tmp_path):
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(tmp_path / "pem")
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with serve(app, tls=load_tls(str(tmp_path / "pem")), proxy_protocol=True) as running:
        stream = await running.connect()
        await stream.send_all(header)
        secure = trio.SSLStream(
            stream, trusting, server_hostname="localhost", https_compatible=True
        )
        seen = json.loads((await ask(secure))[1])
        assert seen["client"] == "192.0.2.1:5000"
        assert seen["url"] == "https://app:8080/"


async def test_a_proxy_header_on_a_unix_socket(app, serve, tmp_path):
    path = str(tmp_path / "finch.sock")
    async with serve(app, listeners=open_listeners(unix=path), proxy_protocol=True) as running:
        stream = await trio.open_unix_socket(path)
        running.streams.append(stream)
        await stream.send_all(v2())
        assert json.loads((await ask(stream))[1])["client"] == "192.0.2.1:5000"


async def test_headers_are_believed_from_whom_the_proxy_header_names(app, serve):
    async with serve(app, trust=Trust("10.0.0.0/8"), proxy_protocol=True) as running:
        for peer, client in ((b"10.0.0.1", "192.0.2.9"), (b"192.0.2.1", "192.0.2.1:5000")):
            stream = await running.connect()
            await stream.send_all(V1.replace(b"192.0.2.1", peer))
            seen = json.loads((await ask(stream, b"X-Forwarded-For: 192.0.2.9"))[1])
            assert seen["client"] == client


async def test_a_connection_without_its_proxy_header_is_closed_without_a_word(
    app, serve, caplog, autojump_clock
):
    autojump_clock.autojump_threshold = 0.02
    async with serve(app, proxy_protocol=True) as running:
        for data in (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\x02\0", V1[:-2] + b"\n"):
            stream = await running.connect()
            await stream.send_all(data)
            with trio.fail_after(1):
                assert await closing(stream) == b""
        # one that says nothing, or only the beginning, has as long as a head has
        begun = trio.current_time()
        streams = [await running.connect(), await running.connect()]
        await streams[1].send_all(V1[:-2])
        for stream in streams:
            with trio.fail_after(10):
                assert await closing(stream) == b""
            assert 5 <= trio.current_time() - begun <= 6
        # a look whether the port is open, as load balancers have it, is not worth a line
        for data in (b"", V1[:9]):
            stream = await running.connect()
            if data:
                await stream.send_all(data)
            await stream.aclose()
        stream = await running.connect()
        await stream.send_all(V1[:9])
        await trio.sleep(0.1)
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        await stream.aclose()
        stream = await running.connect()
        await stream.send_all(V1)
        assert (await ask(stream))[0] == 200
    # once a minute each
    wrong, late = (message.split(" ", 1)[1] for message in caplog.messages)
    assert wrong == "is closed: wrong PROXY header: the connection does not begin with one"
    assert late == "sent no PROXY header within 5 s and is closed"


async def closing(stream):
    try:
        return await stream.receive_some()
    except trio.BrokenResourceError:  # a reset: what it sent was not read
        return b""


async def test_connections_without_their_proxy_header_are_counted(serve):
    app = FinchApp(limits=Limits(max_connections=2))
    async with serve(app, proxy_protocol=True) as running:
        for _ in range(4):
            stream = await running.connect()
            await stream.send_all(V1 + b"GET / HTTP/1.0\r\nHost: a\r\n\r\n")
            assert b" 404 " in await read_until(stream, b"\r\n\r\n")
            await stream.aclose()
        await trio.testing.wait_all_tasks_blocked(0.02)
        streams = [await running.connect() for _ in range(4)]
        with trio.fail_after(5):
            assert await closing(streams[3]) == b""  # one more than would be told that it is full
        for stream, status in zip(streams, (404, 404, 503), strict=False):
            await stream.send_all(V1)
            assert (await ask(stream))[0] == status


async def test_without_the_option_a_proxy_header_is_no_request(app, serve):
    async with serve(app) as running:
        for header in (V1, v2()):
            stream = await running.connect()
            await stream.send_all(header + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert (await read_until(stream, b"\r\n\r\n")).startswith(b"HTTP/1.1 400")


async def test_a_server_that_stops_does_not_wait_for_proxy_headers(app, serve):
    with trio.fail_after(5):
        async with serve(app, proxy_protocol=True) as running:
            silent = await running.connect()
            await trio.testing.wait_all_tasks_blocked(0.02)
            running.server.stop()
            assert await closing(silent) == b""


def test_an_unnamed_client_is_written_as_a_dash():
    assert str(NOWHERE) == "-"
    assert str(Address("::1", 0)) == "::1"
