"""One connection to Redis: what is sent and what has come, many at a time.

Most stories have a Redis of their own: the test reads and writes its bytes.
"""

import ssl
from contextlib import asynccontextmanager

import pytest
import trio
import trustme
from coredis.exceptions import AuthenticationError, ConnectionError, RedisError, ResponseError
from coredis.parser import NotEnoughData, Parser

from finch.cluster.address import Address
from finch.cluster.connection import Connection, Place, forget_read, packed_command
from tests.cluster.server import RedisServer, free_port

HELLO = b"*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"


def message(text, channel=b"news"):
    parts = [b"message", channel, text]
    return b">3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


async def taken(stream, size):
    """So many bytes of what the connection sends."""
    data = b""
    while len(data) < size:
        more = await stream.receive_some(size - len(data))
        assert more, "the connection has ended"
        data += more
    return data


@asynccontextmanager
async def connected(heard=None, rest=None, hello=HELLO, welcome=b"+OK\r\n", **place):
    """A connection, and the other end of it."""
    [listener] = await trio.open_tcp_listeners(0, host="127.0.0.1")
    port = listener.socket.getsockname()[1]
    connection = Connection(Place("127.0.0.1", port, **place), heard, rest)
    raised = []

    async def run(task_status=trio.TASK_STATUS_IGNORED):
        try:
            await connection.run(task_status=task_status)
        except* RedisError as group:
            raised.append(group)

    async with listener, trio.open_nursery() as nursery:

        async def begin():
            await nursery.start(run)

        async with trio.open_nursery() as beginning:
            beginning.start_soon(begin)
            stream = await listener.accept()
            assert await taken(stream, len(hello)) == hello
            await stream.send_all(welcome)
        async with stream:
            yield connection, stream
        nursery.cancel_scope.cancel()


def test_a_command_is_an_array_of_bulk_strings():
    assert packed_command((b"SET", "clé", 17)) == (
        b"*3\r\n$3\r\nSET\r\n$4\r\ncl\xc3\xa9\r\n$2\r\n17\r\n"
    )
    assert packed_command((b"PUBLISH", b"")) == b"*2\r\n$7\r\nPUBLISH\r\n$0\r\n\r\n"


async def test_commands_of_one_turn_go_out_together_and_each_gets_its_own_answer():
    async with connected() as (connection, stream):
        first, second = connection.ask(b"GET", b"a"), connection.ask(b"GET", b"b")
        connection.tell(b"SUBSCRIBE", b"news")
        expected = [(b"GET", b"a"), (b"GET", b"b"), (b"SUBSCRIBE", b"news")]
        wanted = b"".join(map(packed_command, expected))
        assert connection.pending == len(wanted)
        assert await stream.receive_some() == wanted  # one piece
        await stream.send_all(
            b"$1\r\n1\r\n>3\r\n$9\r\nsubscribe\r\n$4\r\nnews\r\n:1\r\n$1\r\n2\r\n"
        )
        assert await second == b"2"
        assert await first == b"1"  # it may be awaited later
        assert connection.pending == 0


async def test_all_that_has_come_is_handled_in_one_turn_and_in_order():
    story, at, came = [], [], trio.Event()

    def heard(channel, text):
        story.append((channel, text))
        at.append(turns)
        if len(story) == 40:
            came.set()

    turns = 0

    async def others():
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with connected(heard) as (connection, stream), trio.open_nursery() as nursery:
        answer = connection.ask(b"PING")
        await taken(stream, len(packed_command((b"PING",))))
        nursery.start_soon(others)
        pushes = b"".join(message(b"%d" % number) for number in range(40))
        await stream.send_all(pushes + b"+PONG\r\n")
        await came.wait()
        assert await answer == b"PONG"
        assert story == [(b"news", b"%d" % number) for number in range(40)]
        assert at[-1] - at[0] <= 1  # the account of turns may be full in between
        nursery.cancel_scope.cancel()


async def test_many_messages_let_the_others_have_their_turns():
    rested, story, done = [], [], trio.Event()

    def heard(channel, text):
        story.append(text)
        if len(story) == 500:
            done.set()

    async def rest():
        rested.append(len(story))

    turns = set()
    turn = 0

    async def others():
        nonlocal turn
        while True:
            await trio.lowlevel.checkpoint()
            turn += 1
            turns.add(len(story))

    async with connected(heard, rest) as (_, stream), trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await stream.send_all(b"".join(message(b"%d" % number) for number in range(500)))
        await done.wait()
        nursery.cancel_scope.cancel()
    assert story == [b"%d" % number for number in range(500)]
    assert rested == list(range(1, 501))
    # 64 units of work in each turn; of two turns, the other task may see only one
    assert len([seen for seen in turns if 0 < seen < 500]) >= 3


async def test_a_message_in_pieces_is_put_together():
    story, came = [], trio.Event()

    def heard(channel, text):
        story.append(text)
        came.set()

    async with connected(heard) as (_, stream):
        whole = message(b"a\r\nb" * 1000)
        for start in range(0, len(whole), 700):
            await stream.send_all(whole[start : start + 700])
            await trio.testing.wait_all_tasks_blocked(0.001)
        await came.wait()
        assert story == [b"a\r\nb" * 1000]


def test_the_parser_forgets_what_it_has_done_with():
    """Also if no reading ends with the end of a message."""
    texts = [b"%06d" % number * 1000 for number in range(800)]
    stream = b"".join(map(message, texts))
    parser, found, longest = Parser(), [], 0
    for start in range(0, len(stream), 4099):
        parser.feed(stream[start : start + 4099])
        while not isinstance(parsed := parser.parse(), NotEnoughData):
            found.append(parsed[1][2])
        forget_read(parser)
        longest = max(longest, len(parser.localbuffer.getvalue()))
    assert found == texts
    assert longest < 1_100_000 < len(stream)


async def test_what_redis_refuses_is_an_error_of_that_command_only():
    async with connected() as (connection, stream):
        wrong, right = connection.ask(b"GET", b"hash"), connection.ask(b"PING")
        await stream.send_all(b"-WRONGTYPE no\r\n+PONG\r\n")
        with pytest.raises(ResponseError, match="no"):
            await wrong
        assert await right == b"PONG"
        with pytest.raises(ResponseError, match="no"):
            await wrong  # and again


def confirmed(kind, channel):
    return b">3\r\n+%b\r\n$%d\r\n%b\r\n:1\r\n" % (kind, len(channel), channel)


async def test_after_a_subscription_that_is_refused_no_answer_is_taken_for_another():
    async with connected() as (connection, stream):
        before = connection.ask(b"GET", b"a")
        connection.tell(b"SUBSCRIBE", b"news", b"other")
        after = connection.ask(b"GET", b"b")
        await stream.send_all(b"+a\r\n-NOPERM not that\r\n+b\r\n")
        assert await before == b"a"
        with pytest.raises(ConnectionError):
            await after


@pytest.mark.parametrize("kind", [b"subscribe", b"unsubscribe", b"ssubscribe", b"sunsubscribe"])
async def test_subscriptions_are_confirmed_in_their_place_among_the_answers(kind):
    async with connected() as (connection, stream):
        for number in range(2):
            connection.tell(kind.upper(), b"news", b"other")
            answer = connection.ask(b"GET", b"a")
            await stream.send_all(confirmed(kind, b"other") + message(b"x"))
            await stream.send_all(confirmed(kind, b"news") + b":%d\r\n" % number)
            assert await answer == number


async def test_a_subscription_that_redis_ends_by_itself_ends_the_connection():
    """Its slot is on another node."""
    async with connected() as (connection, stream):
        connection.tell(b"SSUBSCRIBE", b"news")
        answer = connection.ask(b"GET", b"a")
        await stream.send_all(
            confirmed(b"ssubscribe", b"news") + confirmed(b"sunsubscribe", b"news")
        )
        with pytest.raises(ConnectionError):
            await answer


@pytest.mark.parametrize("end", ["redis", "we"])
async def test_the_end_fails_what_was_not_answered_and_all_that_follows(end):
    async with connected() as (connection, stream):
        answer = connection.ask(b"PING")
        if end == "redis":
            await stream.aclose()
        else:
            connection.end("it is slow")
        why = "the connection was lost" if end == "redis" else "it is slow"
        with pytest.raises(ConnectionError, match=why):
            await answer
        with pytest.raises(ConnectionError, match=why):
            connection.ask(b"PING")
        with pytest.raises(ConnectionError, match=why):
            connection.tell(b"SUBSCRIBE", b"news")


@pytest.mark.parametrize("bytes_", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"$many\r\n"])
async def test_bytes_that_are_no_answer_end_it(bytes_):
    async with connected() as (connection, stream):
        answer = connection.ask(b"PING")
        await stream.send_all(bytes_)
        with pytest.raises(ConnectionError):
            await answer


async def test_while_what_has_come_is_handled_nothing_more_is_read():
    """So what Redis sends too fast waits in Redis, which has a limit for it."""
    go_on, story = trio.Event(), []

    async def rest():
        await go_on.wait()

    async with connected(lambda _, text: story.append(text), rest) as (_, stream):
        one = message(bytes(60_000))
        sent = 0
        with trio.move_on_after(5):  # ends as soon as the buffers of both sockets are full
            async with trio.open_nursery() as nursery:

                async def send():
                    nonlocal sent
                    for _ in range(1000):
                        await stream.send_all(one)
                        sent += 1

                nursery.start_soon(send)
                await trio.testing.wait_all_tasks_blocked(0.05)
                nursery.cancel_scope.cancel()
        assert sent < 1000
        assert len(story) <= 1


async def test_it_logs_in_with_what_the_url_says():
    hello = packed_command((b"HELLO", 3, b"AUTH", "shop", "secret", b"SETNAME", "finch"))
    async with connected(hello=hello, user="shop", password="secret", name="finch") as (
        connection,
        stream,
    ):
        answer = connection.ask(b"PING")
        await stream.send_all(b"+PONG\r\n")
        assert await answer == b"PONG"


def test_a_url_says_where_and_how():
    place = Address("redis://shop:p%40w@example.org:7000/3?client_name=web").place
    assert place == Place("example.org", 7000, None, None, "shop", "p@w", 3, "web")
    place = Address("unix://:secret@/run/redis.sock?db=2").place
    assert place == Place(path="/run/redis.sock", password="secret", db=2)
    place = Address("rediss://example.org").place
    assert isinstance(place.tls, ssl.SSLContext)


async def asked(url):
    """The answer to PING, over a connection of its own."""
    connection = Connection(Address(url).place)
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(connection.run)
            answer = await connection.ask(b"PING")
            nursery.cancel_scope.cancel()
    return answer


async def test_over_a_unix_socket(tmp_path):
    path = tmp_path / "redis.sock"
    with RedisServer(tmp_path, "--unixsocket", str(path)):
        assert await asked(f"unix://{path}") == b"PONG"


async def test_over_tls(tmp_path):
    authority = trustme.CA()
    port, files = free_port(), {name: tmp_path / f"{name}.pem" for name in ("ca", "cert", "key")}
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(files["ca"])
    certificate.cert_chain_pems[0].write_to_path(files["cert"])
    certificate.private_key_pem.write_to_path(files["key"])
    options = [f"--tls-port {port}", f"--tls-cert-file {files['cert']}", "--tls-auth-clients no"]
    options += [f"--tls-key-file {files['key']}", f"--tls-ca-cert-file {files['ca']}"]
    with RedisServer(tmp_path, *" ".join(options).split()):
        assert await asked(f"rediss://127.0.0.1:{port}/?ssl_ca_certs={files['ca']}") == b"PONG"


async def test_a_wrong_password_is_refused(tmp_path):
    with RedisServer(tmp_path, "--requirepass", "secret") as server:
        assert await asked(f"redis://:secret@127.0.0.1:{server.port}") == b"PONG"
        refused = []
        try:
            await asked(f"redis://:guess@127.0.0.1:{server.port}")
        except* AuthenticationError as group:
            refused.append(group)
        assert refused
