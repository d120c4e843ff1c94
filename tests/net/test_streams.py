"""TLS is ended so that the peer gets everything, whatever it is sending meanwhile."""

import gc
import weakref
from functools import partial

import pytest
import trio
import trio.testing
from websockets.frames import Opcode

from finch.net.listeners import open_listeners
from finch.net.streams import LingeringStream, StreamTransport
from finch.server import Server
from tests.conftest import serving
from tests.fuzz.doors import TLSLine
from tests.transports import HANDSHAKE, app_with, certificates, masked

PATIENCE = 5


@pytest.fixture(scope="module")
def contexts(tmp_path_factory):
    """The TLS settings of the server, and of a client that trusts it."""
    return certificates(tmp_path_factory.mktemp("tls"))


def over_tls(stream, context, nursery):
    """The server's end of a connection."""
    tls = trio.SSLStream(LingeringStream(stream), context, server_side=True)
    return StreamTransport(tls, nursery.start_soon, PATIENCE)


@pytest.fixture
async def ends(contexts, nursery):
    """A transport and, at the other end of its TLS, a client that has shaken hands."""
    return await both_ends(trio.testing.memory_stream_pair(), contexts, nursery)


async def both_ends(pair, contexts, nursery):
    ours, theirs = pair
    context, trusting = contexts
    transport = over_tls(ours, context, nursery)
    client = trio.SSLStream(theirs, trusting, server_hostname="localhost")
    nursery.start_soon(client.send_all, b"hello")
    assert await transport.receive() == b"hello"
    return transport, client


async def close_at_once(transport):
    """Close, and see that nobody is waited for any more."""
    begun = trio.current_time()
    transport.close()
    assert await transport.receive() == b""
    assert trio.current_time() == begun


async def shaken_hands(running, trusting):
    line = TLSLine((await running.connect()).socket, trusting)
    await line.shake_hands()
    return line


async def hear_all(line):
    """Everything until the server's goodbye; raises where the end comes without one."""
    answer = b""
    while data := await line.receive():
        answer += data
    return answer


async def test_the_goodbye_is_said_though_much_of_the_peers_is_not_decrypted(ends):
    transport, client = ends
    await client.send_all(b"x" * 50_000)  # of which a record at a time is decrypted
    assert await transport.receive()
    transport.write(b"413")
    transport.finish()
    assert await client.receive_some() == b"413"
    assert await client.receive_some() == b""  # close_notify, or this would raise


async def test_what_still_comes_is_taken_until_the_peer_closes(ends, autojump_clock):
    transport, client = ends
    transport.finish()
    for _ in range(3):
        await client.send_all(b"x" * 50_000)
        await trio.sleep(1)
    await client.transport_stream.send_eof()
    begun = trio.current_time()
    assert await transport.receive() == b""
    assert trio.current_time() == begun


async def test_a_peer_that_does_not_close_is_left_when_patience_ends(ends, autojump_clock):
    transport, _ = ends
    begun = trio.current_time()
    transport.finish()
    assert await transport.receive() == b""
    assert trio.current_time() - begun == pytest.approx(PATIENCE)


async def test_draining_waits_for_the_goodbye_too(ends, autojump_clock):
    transport, _ = ends
    begun = trio.current_time()
    transport.finish()
    await transport.drain()
    assert trio.current_time() - begun == pytest.approx(PATIENCE)


async def test_a_goodbye_that_the_peer_does_not_take_has_an_end(ends, autojump_clock):
    transport, _ = ends
    pipe = transport._stream.transport_stream.stream
    pipe.send_stream.send_all_hook = trio.sleep_forever
    begun = trio.current_time()
    transport.finish()
    await transport.drain()
    assert trio.current_time() - begun == pytest.approx(PATIENCE)


async def test_closing_ends_the_patience_with_a_handshake_that_was_interrupted_too(
    contexts, nursery, autojump_clock
):
    ours, _theirs = trio.testing.memory_stream_pair()
    transport = over_tls(ours, contexts[0], nursery)
    nursery.start_soon(transport.receive)
    await trio.testing.wait_all_tasks_blocked()
    transport.interrupt()
    transport.finish()
    await trio.testing.wait_all_tasks_blocked()
    await close_at_once(transport)


async def test_closing_before_the_handshake_has_begun_leaves_nobody_waiting(
    contexts, autojump_clock
):
    for _ in range(20):  # tasks run in any order
        ours, _theirs = trio.testing.memory_stream_pair()
        with trio.fail_after(1):
            async with trio.open_nursery() as nursery:
                transport = over_tls(ours, contexts[0], nursery)
                nursery.start_soon(transport.receive)
                transport.close()


async def test_whoever_receives_when_it_is_finished_learns_of_the_end(
    ends, nursery, autojump_clock
):
    transport, client = ends
    received = []

    async def receive():
        received.append(await transport.receive())

    nursery.start_soon(receive)
    await trio.testing.wait_all_tasks_blocked()
    transport.finish()
    assert await client.receive_some() == b""
    assert received == []  # the peer has not closed yet
    await client.aclose()
    await trio.testing.wait_all_tasks_blocked()
    assert received == [b""]


async def test_closing_ends_the_patience(ends, nursery, autojump_clock):
    transport, client = ends
    transport.finish()
    await trio.testing.wait_all_tasks_blocked()
    await close_at_once(transport)
    assert await client.receive_some() == b""
    with pytest.raises(trio.BrokenResourceError):
        await client.send_all(b"too late")


async def test_a_client_that_has_said_goodbye_hears_the_answer_and_our_goodbye(serve, contexts):
    app = app_with()
    ours, trusting = contexts
    async with serve(app, tls=ours) as running:
        for _ in range(5):
            line = await shaken_hands(running, trusting)
            await line.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            await line.half_close()
            assert (await hear_all(line)).endswith(b"hello")
            line.close()


@pytest.mark.parametrize("path", [b"/raw", b"/ws"])
async def test_who_says_both_goodbyes_in_one_breath_hears_both(serve, contexts, path):
    app = app_with()
    app.socket("echo")(lambda socket, data: data)
    ours, trusting = contexts
    async with serve(app, tls=ours) as running:
        for _ in range(5):
            line = await shaken_hands(running, trusting)
            await line.send(HANDSHAKE % (path, b"") + masked(Opcode.CLOSE, b"\x03\xe8"))
            await line.half_close()
            answer = await hear_all(line)
            assert answer.startswith(b"HTTP/1.1 101 ")
            assert answer.endswith(b"\x88\x02\x03\xe8")
            line.close()


@pytest.fixture
def no_garbage_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("ending", ["finish", "close", "the peer's", "at once"])
@pytest.mark.parametrize("doing", ["nothing", "receiving", "sending"])
async def test_what_is_over_leaves_nothing_to_the_garbage_collector(
    contexts, nursery, no_garbage_collector, autojump_clock, doing, ending
):
    # where sending waits until somebody receives
    pair = trio.testing.lockstep_stream_pair()
    transport, client = await both_ends(pair, contexts, nursery)
    stream = weakref.ref(transport._stream)
    if doing == "receiving":
        nursery.start_soon(transport.receive)
    elif doing == "sending":
        transport.write(b"x")
    if ending != "at once":
        await trio.testing.wait_all_tasks_blocked()
    if ending == "finish":
        transport.finish()
        await trio.sleep(PATIENCE * 2)
    elif ending == "the peer's":
        await trio.aclose_forcefully(client)
    assert stream() is not None
    transport.close()
    await trio.testing.wait_all_tasks_blocked()
    assert stream() is None
    assert await transport.receive() == b""


async def test_a_server_that_is_cancelled_closes_even_who_is_saying_goodbye(contexts):
    ours, trusting = contexts
    listeners = open_listeners("127.0.0.1", 0)
    async with trio.open_nursery() as nursery:
        await nursery.start(partial(Server(app_with()).run, listeners, tls=ours))
        stream = await trio.open_tcp_stream(*listeners[0].getsockname())
        line = TLSLine(stream.socket, trusting)
        await line.shake_hands()
        await line.send(HANDSHAKE % (b"/raw", b"") + masked(Opcode.CLOSE, b""))
        await line.half_close()
        await hear_all(line)
        nursery.cancel_scope.cancel()
    with trio.fail_after(5):
        assert await stream.receive_some() == b""
    await stream.aclose()


@pytest.mark.parametrize(
    ("offered", "spoken"),
    [
        (["http/1.1"], "http/1.1"),
        (["h2", "http/1.1"], "http/1.1"),
        ([], None),
        (["h2"], "refused"),
        (["h2", "spdy/3"], "refused"),
    ],
)
async def test_a_client_that_wants_to_speak_something_else_is_refused(tmp_path, offered, spoken):
    tls, trusting = certificates(tmp_path)
    if offered:
        trusting.set_alpn_protocols(offered)
    async with serving(app_with(), tls=tls) as running:
        stream = trio.SSLStream(
            await running.connect(), trusting, server_hostname="localhost", https_compatible=True
        )
        if spoken == "refused":
            with pytest.raises(trio.BrokenResourceError) as raised:
                await stream.do_handshake()
            assert "NO_APPLICATION_PROTOCOL" in str(raised.value.__cause__).upper().replace(
                " ", "_"
            )
            return
        await stream.do_handshake()
        assert stream.selected_alpn_protocol() == spoken
        await stream.send_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert (await stream.receive_some()).startswith(b"HTTP/1.1 200")
