"""HTTP/1.1, bytes in and bytes out."""

from __future__ import annotations

import pytest

from finch.config import Limits
from finch.errors import ProtocolError
from finch.wire.http import HTTPConnection, RequestHead

GET = b"GET /birds?n=1 HTTP/1.1\r\nHost: a.example\r\nX-Two: 1\r\nX-Two: 2\r\n\r\n"
GET_HEAD = RequestHead(
    "GET", b"/birds?n=1", [(b"host", b"a.example"), (b"x-two", b"1"), (b"x-two", b"2")], "1.1"
)
POST = b"POST /say HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = (
    b"POST /say HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"
)
UPGRADE = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


def fed(*pieces: bytes, limits: Limits | None = None) -> HTTPConnection:
    http = HTTPConnection(limits or Limits())
    for piece in pieces:
        http.receive_data(piece)
    return http


def request(http: HTTPConnection) -> RequestHead:
    head = http.read_head()
    assert head is not None
    return head


def body(http: HTTPConnection) -> bytes:
    pieces = []
    while piece := http.read_body():
        pieces.append(piece)
    assert piece == b"", "the body is not complete"
    return b"".join(pieces)


def answer(http: HTTPConnection, text: bytes = b"ok", **headers: str) -> bytes:
    raw = [(b"content-length", str(len(text)).encode())]
    raw += [(name.encode(), value.encode()) for name, value in headers.items()]
    return http.send_head(200, raw) + http.send_body(text) + http.send_end()


def read_by_pieces(pieces: list[bytes], limits: Limits | None = None) -> tuple[RequestHead, bytes]:
    """Feed piece after piece, asking after each one as a connection does."""
    http = fed(limits=limits)
    head: RequestHead | None = None
    received = b""
    ended = False
    for piece in pieces:
        http.receive_data(piece)
        if head is None:
            head = http.read_head()
        while head is not None and not ended and (data := http.read_body()) is not None:
            ended = data == b""
            received += data
    assert head is not None
    assert ended
    return head, received


def refusal(*pieces: bytes, limits: Limits | None = None) -> ProtocolError:
    with pytest.raises(ProtocolError) as caught:
        read_by_pieces(list(pieces), limits)
    return caught.value


# Heads


def test_a_whole_head_is_read_at_once():
    http = fed(GET)

    assert request(http) == GET_HEAD
    assert http.read_body() == b""


def test_an_incomplete_head_is_nothing_yet():
    http = fed(GET[:-1])

    assert http.read_head() is None
    assert not http.idle


@pytest.mark.parametrize("data", [GET, POST, CHUNKED, b"\r\n" + GET], ids=lambda data: data[:8])
def test_a_request_cut_anywhere_is_the_same_request(data):
    whole = read_by_pieces([data])

    assert read_by_pieces([data[i : i + 1] for i in range(len(data))]) == whole
    for cut in range(1, len(data)):
        assert read_by_pieces([data[:cut], data[cut:]]) == whole, f"cut at {cut}"


def test_an_empty_line_before_the_request_is_ignored():
    assert request(fed(b"\r\n" + GET)) == GET_HEAD


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET / HTTP/1.1\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_a_bare_lf_is_refused_however_it_arrives(data):
    assert refusal(data).status == 400
    assert refusal(*(data[i : i + 1] for i in range(len(data)))).status == 400


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET / a HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/x\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(data):
    assert refusal(data).status == 400


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Content-Length: 5\r\nContent-Length: 5\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5, 5\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
    ],
)
def test_a_body_that_two_servers_could_frame_differently_is_refused(lines):
    data = b"POST / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"

    assert refusal(data).status in (400, 501)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
        b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: one\r\n two\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x01b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n",
        b"GET /#fragment HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_a_head_that_h11_lets_through_against_the_rfc_is_refused(data):
    assert refusal(data).status == 400


# Limits


def head_with_line(length: int) -> bytes:
    line = b"GET /" + b"a" * (length - len(b"GET / HTTP/1.1")) + b" HTTP/1.1"
    assert len(line) == length
    return line + b"\r\nHost: a\r\n\r\n"


def head_with_size(size: int) -> bytes:
    before, after = b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n\r\n"
    return before + b"x" * (size - len(before) - len(after)) + after


def head_with_headers(count: int) -> bytes:
    lines = b"".join(b"X-%d: 1\r\n" % number for number in range(count - 1))
    return b"GET / HTTP/1.1\r\nHost: a\r\n" + lines + b"\r\n"


LIMITS = Limits(max_request_line=60, max_head=400, max_headers=12)
AT_THE_LIMIT = [
    pytest.param(head_with_line, 60, 414, id="request line"),
    pytest.param(head_with_size, 400, 431, id="head"),
    pytest.param(head_with_headers, 12, 431, id="headers"),
]


@pytest.mark.parametrize(("make", "limit", "status"), AT_THE_LIMIT)
def test_a_head_at_its_limit_passes_and_one_past_it_fails(make, limit, status):
    read_by_pieces([make(limit - 1)], LIMITS)
    read_by_pieces([make(limit)], LIMITS)

    assert refusal(make(limit + 1), limits=LIMITS).status == status


@pytest.mark.parametrize(("make", "limit", "status"), AT_THE_LIMIT)
def test_a_limit_is_the_same_for_a_head_that_comes_cut_in_two(make, limit, status):
    good, bad = make(limit), make(limit + 1)

    for cut in range(1, len(good)):
        read_by_pieces([good[:cut], good[cut:]], LIMITS)
    for cut in range(1, len(bad)):
        assert refusal(bad[:cut], bad[cut:], limits=LIMITS).status == status, f"cut at {cut}"


@pytest.mark.parametrize(("make", "limit", "status"), AT_THE_LIMIT)
def test_a_body_in_the_same_read_counts_neither_for_nor_against_the_head(make, limit, status):
    behind = b"x" * 1000
    with_body = b"Content-Length: 1000\r\n\r\n"

    def posted(length: int) -> bytes:
        head: bytes = make(length)
        return head.removesuffix(b"\r\n") + with_body + behind

    room = {head_with_headers: 1, head_with_size: len(with_body) - 2, head_with_line: 0}[make]
    assert read_by_pieces([posted(limit - room)], LIMITS)[1] == behind
    assert refusal(posted(limit - room + 1), limits=LIMITS).status == status


@pytest.mark.parametrize(("make", "limit", "status"), AT_THE_LIMIT)
def test_a_limit_holds_for_a_pipelined_head_as_well(make, limit, status):
    http = fed(POST + make(limit) + make(limit + 1), limits=LIMITS)
    for _ in range(2):
        request(http)
        body(http)
        answer(http)
        assert http.next_cycle()

    with pytest.raises(ProtocolError) as caught:
        http.read_head()
    assert caught.value.status == status


def test_a_head_without_end_is_refused_before_its_end():
    assert refusal(b"GET /" + b"a" * 57, limits=LIMITS).status == 414
    assert refusal(b"G" * 62, limits=LIMITS).status == 501
    assert refusal(b"GET / HTTP/1.1\r\nX: " + b"x" * 400, limits=LIMITS).status == 431


def test_the_default_limits_are_those_of_the_documentation():
    read_by_pieces([head_with_line(8192)])
    read_by_pieces([head_with_size(16384)])
    read_by_pieces([head_with_headers(100)])

    assert refusal(head_with_line(8193)).status == 414
    assert refusal(head_with_size(16385)).status == 431
    assert refusal(head_with_headers(101)).status == 431


# Bodies


def test_a_body_arrives_in_pieces_and_ends():
    http = fed(POST[:-3])
    request(http)

    assert http.read_body() == b"he"
    assert http.read_body() is None
    http.receive_data(b"llo")
    assert http.read_body() == b"llo"
    assert http.read_body() == b""
    assert http.read_body() == b""


def test_a_chunked_body_is_put_together():
    http = fed(CHUNKED)
    request(http)

    assert body(http) == b"hello, world"


@pytest.mark.parametrize("size", [b"xyz", b"-5", b"+5", b"0x5", b"5_0", b"", b"5" * 21])
def test_a_chunk_size_that_is_no_hexadecimal_number_is_refused(size):
    data = CHUNKED.replace(b"5\r\nhello", size + b"\r\nhello")

    assert refusal(data).status == 400


def test_a_chunk_longer_than_it_says_is_refused():
    assert refusal(CHUNKED.replace(b"5\r\nhello", b"4\r\nhello")).status == 400


@pytest.mark.parametrize("cut", [1, 3, len(CHUNKED) - CHUNKED.index(b"5\r\n")])
def test_a_peer_that_closes_within_a_chunked_body_breaks_the_framing(cut):
    http = fed(CHUNKED[:-cut], b"")
    request(http)

    with pytest.raises(ProtocolError) as caught:
        body(http)
    assert caught.value.status == 400


def test_a_peer_that_closes_within_a_body_of_known_length_breaks_the_framing():
    http = fed(POST[:-1])
    request(http)
    assert http.read_body() == b"hell"
    http.receive_data(b"")

    assert http.closed
    with pytest.raises(ProtocolError):
        http.read_body()


def test_a_peer_that_closes_within_a_head_leaves_an_incomplete_head():
    http = fed(GET[:-2], b"")

    assert http.closed
    assert http.read_head() is None
    assert not http.idle


def test_a_peer_that_closes_behind_its_request_is_still_answered():
    http = fed(POST, b"")
    request(http)

    assert body(http) == b"hello"
    assert answer(http).endswith(b"\r\n\r\nok")
    http.next_cycle()
    assert http.read_head() is None


# Cycles


def test_a_connection_is_kept_alive_for_one_request_after_another():
    http = fed()
    assert http.idle
    for _ in range(3):
        http.receive_data(POST)
        assert request(http).method == "POST"
        assert body(http) == b"hello"
        assert answer(http).startswith(b"HTTP/1.1 200 OK\r\n")
        assert http.next_cycle()
        assert http.idle
        assert http.read_head() is None


@pytest.mark.parametrize("first", [GET, POST, CHUNKED], ids=["no body", "length", "chunked"])
@pytest.mark.parametrize("second", [GET, POST, CHUNKED], ids=["no body", "length", "chunked"])
def test_pipelined_requests_are_read_in_order_wherever_the_bytes_are_cut(first, second):
    data = first + second + GET

    def story(pieces: list[bytes]) -> list[tuple[RequestHead, bytes]]:
        http = fed()
        seen: list[tuple[RequestHead, bytes]] = []
        head, text = None, b""
        for piece in pieces:
            http.receive_data(piece)
            while True:
                if head is None:
                    head, text = http.read_head(), b""
                    if head is None:
                        break
                while data := http.read_body():
                    text += data
                if data is None:
                    break
                answer(http)
                seen.append((head, text))
                head = None
                assert http.next_cycle()
        return seen

    whole = story([data])
    assert [head.target for head, _ in whole][-1] == b"/birds?n=1"
    assert len(whole) == 3
    assert story([data[i : i + 1] for i in range(len(data))]) == whole
    for cut in range(1, len(data)):
        assert story([data[:cut], data[cut:]]) == whole, f"cut at {cut}"


def test_a_pipelined_request_that_the_peer_closes_behind_is_answered_too():
    http = fed(POST + GET, b"")
    request(http)
    assert body(http) == b"hello"
    answer(http)
    assert http.next_cycle()

    assert request(http) == GET_HEAD
    assert body(http) == b""
    assert answer(http).endswith(b"ok")


def test_a_bare_lf_is_refused_in_a_pipelined_request():
    http = fed(GET + GET.replace(b"\r\n", b"\n"))
    request(http)
    body(http)
    answer(http)
    assert http.next_cycle()

    with pytest.raises(ProtocolError):
        http.read_head()


def test_no_request_follows_where_the_peer_wants_to_close():
    http = fed(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
    request(http)
    body(http)

    assert b"connection: close" in answer(http).lower()
    assert not http.next_cycle()


def test_no_request_follows_where_the_server_says_that_it_closes():
    http = fed(GET)
    request(http)
    body(http)
    answer(http, connection="close")

    assert not http.next_cycle()


def test_no_request_follows_a_body_that_was_not_read():
    http = fed(POST)
    request(http)
    answer(http)

    assert not http.next_cycle()


def test_no_request_follows_an_answer_that_has_not_ended():
    http = fed(GET)
    request(http)
    body(http)
    http.send_head(200, [(b"content-length", b"2")])

    assert not http.next_cycle()


# Answers


def test_an_answer_is_status_line_headers_and_body():
    http = fed(GET)
    request(http)
    body(http)

    assert http.send_head(404, [(b"content-length", b"4")]) == (
        b"HTTP/1.1 404 Not Found\r\ncontent-length: 4\r\n\r\n"
    )
    assert http.send_body(b"no b") == b"no b"
    assert http.send_end() == b""


def test_an_answer_without_a_length_is_chunked():
    http = fed(GET)
    request(http)
    body(http)

    assert b"transfer-encoding: chunked" in http.send_head(200, []).lower()
    assert http.send_body(b"hello") == b"5\r\nhello\r\n"
    assert http.send_end() == b"0\r\n\r\n"
    assert http.next_cycle()


def test_head_is_answered_with_the_headers_of_get_and_no_body():
    http = fed(GET.replace(b"GET", b"HEAD", 1))
    assert request(http).method == "HEAD"
    body(http)

    assert answer(http, b"hello") == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    assert http.next_cycle()


def test_head_is_answered_without_chunks():
    http = fed(GET.replace(b"GET", b"HEAD", 1))
    request(http)
    body(http)
    http.send_head(200, [])

    assert http.send_body(b"hello") == b""
    assert http.send_end() == b""
    assert http.next_cycle()


def test_no_content_has_neither_length_nor_chunks():
    http = fed(GET)
    request(http)
    body(http)

    assert http.send_head(204, []) + http.send_end() == b"HTTP/1.1 204 No Content\r\n\r\n"
    assert http.next_cycle()


def test_a_status_without_a_phrase_is_sent_without_one():
    http = fed(GET)
    request(http)
    body(http)

    assert http.send_head(299, [(b"content-length", b"0")]).startswith(b"HTTP/1.1 299 \r\n")


def test_an_answer_may_begin_until_it_has_begun():
    http = fed(GET)
    assert http.can_respond
    request(http)
    body(http)
    assert http.can_respond
    http.send_head(200, [])
    may_begin_again = http.can_respond
    assert not may_begin_again


def test_a_refused_head_can_still_be_answered():
    http = fed(b"nonsense\r\n\r\n")
    with pytest.raises(ProtocolError):
        http.read_head()

    assert http.can_respond
    assert http.send_head(400, [(b"content-length", b"0")]).startswith(b"HTTP/1.1 400 Bad Request")
    http.send_end()
    assert not http.next_cycle()


# Expect: 100-continue

EXPECTING = POST.removesuffix(b"hello").replace(b"\r\n\r\n", b"\r\nExpect: 100-continue\r\n\r\n")


def test_a_peer_that_waits_is_told_to_continue():
    http = fed(EXPECTING)
    request(http)

    waits = [http.expects_continue]
    assert http.send_continue() == b"HTTP/1.1 100 Continue\r\n\r\n"
    waits.append(http.expects_continue)
    assert waits == [True, False]
    assert http.read_body() is None
    http.receive_data(b"hello")
    assert body(http) == b"hello"
    assert answer(http).startswith(b"HTTP/1.1 200")
    assert http.next_cycle()


def test_a_peer_that_did_not_wait_after_all_needs_no_continue():
    http = fed(EXPECTING + b"hello")
    request(http)
    assert body(http) == b"hello"

    assert not http.expects_continue


def test_a_peer_that_asks_for_nothing_is_told_nothing():
    http = fed(POST)
    request(http)

    assert not http.expects_continue


def test_a_peer_that_is_refused_without_a_continue_sends_no_body_and_no_further_request():
    http = fed(EXPECTING)
    request(http)
    http.send_head(413, [(b"content-length", b"0")])
    http.send_end()

    assert not http.next_cycle()


# HTTP/1.0


def test_an_old_peer_is_answered_and_left():
    http = fed(b"GET / HTTP/1.0\r\n\r\n")
    assert request(http) == RequestHead("GET", b"/", [], "1.0")
    body(http)

    assert answer(http).startswith(b"HTTP/1.1 200 OK\r\n")
    assert not http.next_cycle()


def test_a_body_of_unknown_length_is_not_chunked_for_an_old_peer():
    http = fed(b"GET / HTTP/1.0\r\n\r\n")
    request(http)
    body(http)

    assert b"chunked" not in http.send_head(200, []).lower()
    assert http.send_body(b"hello") == b"hello"
    assert http.send_end() == b""
    assert not http.next_cycle()


# Upgrades


def test_an_upgrade_hands_over_what_came_behind_it():
    http = fed(UPGRADE + b"\x81\x85frames")
    assert (b"upgrade", b"websocket") in request(http).headers
    assert body(http) == b""

    assert http.send_upgrade([(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]) == (
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
    )
    assert http.trailing_data == b"\x81\x85frames"


def test_an_upgrade_with_nothing_behind_it_hands_over_nothing():
    http = fed(UPGRADE)
    request(http)
    body(http)
    http.send_upgrade([(b"upgrade", b"websocket"), (b"connection", b"Upgrade")])

    assert http.trailing_data == b""


def test_what_comes_while_an_upgrade_is_decided_on_is_handed_over():
    http = fed(UPGRADE)
    request(http)
    body(http)
    http.receive_data(b"early")
    http.receive_data(b" bytes")
    http.send_upgrade([(b"upgrade", b"websocket"), (b"connection", b"Upgrade")])

    assert http.trailing_data == b"early bytes"


def test_an_upgrade_that_is_declined_is_an_ordinary_request():
    http = fed(UPGRADE + GET)
    request(http)
    body(http)
    answer(http)

    assert http.next_cycle()
    assert request(http) == GET_HEAD


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"GET http://[ HTTP/1.1", 400),
        (b"GET http://[::1/a HTTP/1.1", 400),
        (b"GET http:/// HTTP/1.1", 400),
        (b"GET a HTTP/1.1", 400),
        (b"GET * HTTP/1.1", 400),
        (b"CONNECT a:443 HTTP/1.1", 501),
        (b"GET / HTTP/2.0", 505),
    ],
)
def test_a_request_line_that_asks_for_nothing_here_is_refused(line, status):
    http = HTTPConnection(Limits())
    http.receive_data(line + b"\r\nHost: a\r\n\r\n")
    with pytest.raises(ProtocolError) as error:
        http.read_head()
    assert error.value.status == status


@pytest.mark.parametrize(
    "line",
    [
        b"GET http://a/b?c HTTP/1.1",
        b"GET HTTPS://[::1]:443 HTTP/1.1",
        b"OPTIONS * HTTP/1.1",
        b"GET //double HTTP/1.1",
    ],
)
def test_every_form_of_a_target_that_a_server_must_take_is_taken(line):
    http = HTTPConnection(Limits())
    http.receive_data(line + b"\r\nHost: a\r\n\r\n")
    assert http.read_head() is not None
