"""The strict reading of heads: it takes nothing that h11 refuses, and sees the same request."""

import h11
import hypothesis.strategies as st
import pytest
from hypothesis import example, given, settings

import finch.wire.http as wire_http
from finch.config import Limits
from finch.errors import ProtocolError
from finch.wire.head import read_head
from finch.wire.http import HTTPConnection

methods = st.sampled_from([b"GET", b"HEAD", b"POST", b"OPTIONS", b"get", b"M-SEARCH", b"G T", b""])
targets = st.one_of(
    st.sampled_from([b"/", b"*", b"/a?b=c", b"http://a/b", b"//", b"/%ff", b"a", b"/\xff", b"/#"]),
    st.binary(min_size=1, max_size=12),
)
versions = st.sampled_from([b"HTTP/1.1"] * 6 + [b"HTTP/1.0", b"HTTP/0.9", b"HTTP/11", b"http/1.1"])
names = st.one_of(
    st.sampled_from(
        [
            b"Host",
            b"host",
            b"Content-Length",
            b"Transfer-Encoding",
            b"Connection",
            b"X-A",
            b"Cookie",
        ]
    ),
    st.binary(max_size=6),
)
values = st.one_of(
    st.sampled_from([b"a", b"0", b"5", b"5, 5", b"chunked", b"gzip", b"a:80", b"", b" a ", b"\ta"]),
    st.binary(max_size=10),
)
lines = st.tuples(names, st.sampled_from([b":", b": ", b" :", b""]), values).map(b"".join)


@st.composite
def heads(draw):
    """A head that is nearly right."""
    first = b" ".join([draw(methods), draw(targets), draw(versions)])
    rest = draw(st.lists(lines, max_size=5))
    if draw(st.integers(0, 4)):
        rest.insert(0, b"Host: a")
    end = draw(st.sampled_from([b"\r\n"] * 9 + [b"\n"]))
    return end.join([first, *rest]) + end + end


def h11s_request(head):
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    return connection.next_event()


@settings(max_examples=3000, deadline=None)
@given(heads())
@example(b"GET / HTTP/1.1\r\nHost: a\r\nX: \x80\r\n\r\n")
def test_what_is_accepted_h11_accepts_and_reads_alike(head):
    try:
        request, length, _ = read_head(head)
    except ProtocolError:
        return
    theirs = h11s_request(head)
    assert isinstance(theirs, h11.Request)
    assert request.method.encode() == theirs.method
    assert request.target == theirs.target
    assert request.version.encode() == min(theirs.http_version, b"1.1")
    ours = [
        (name, value.lower() if name == b"transfer-encoding" else value)
        for name, value in request.headers
    ]
    if not request.target.startswith((b"/", b"*")):
        # a whole URL's host goes before the one of the header, which h11 leaves to its caller
        assert ours.pop(0) == (b"host", request.target.split(b"/")[2])
        assert ours == [item for item in theirs.headers if item[0] != b"host"]
    else:
        assert ours == list(theirs.headers)
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(head)
    connection.next_event()
    assert (length != 0) is (connection.next_event() is h11.NEED_DATA)


@settings(max_examples=300, deadline=None)
@given(heads(), st.data())
def test_it_matters_not_how_a_head_is_cut(head, data):
    def outcome(pieces):
        http = HTTPConnection(Limits())
        try:
            for piece in pieces:
                http.receive_data(piece)
                found = http.read_head()
                if found is not None:
                    return found
        except ProtocolError as error:
            return error.status
        return None

    places = sorted(data.draw(st.lists(st.integers(1, max(1, len(head) - 1)), max_size=4)))
    pieces = [head[a:b] for a, b in zip([0, *places], [*places, len(head)], strict=True)]
    pieces = [piece for piece in pieces if piece]
    assert outcome(pieces) == outcome([head])


@pytest.mark.parametrize("line", [b"X: " + b"x" * 4000 + b"\r\n", b"X:\r\n" * 1000])
def test_of_a_head_that_comes_byte_by_byte_nothing_is_looked_at_twice(line, monkeypatch):
    looked_at = 0

    def counting(check):
        def count(part):
            nonlocal looked_at
            looked_at += len(part)
            check(part)

        return count

    for name in ("check_beginning", "check_line_ends"):
        monkeypatch.setattr(wire_http, name, counting(getattr(wire_http, name)))
    head = b"GET /" + b"a" * 4000 + b" HTTP/1.1\r\nHost: a\r\n" + line + b"\r\n"
    http = HTTPConnection(Limits(max_headers=2000))
    for at in range(len(head)):
        assert http.read_head() is None
        http.receive_data(head[at : at + 1])
    assert http.read_head() is not None
    assert looked_at < 1.5 * len(head)


def answer(method, version, status, headers, body):
    """The response as this project writes it and as h11 does, headers in one order."""
    request = b"%b / HTTP/%b\r\nHost: a\r\n\r\n" % (method, version)
    http = HTTPConnection(Limits())
    http.receive_data(request)
    http.read_head()
    ours = http.send_head(status, headers) + b"".join(map(http.send_body, body)) + http.send_end()
    peer = h11.Connection(h11.SERVER)
    peer.receive_data(request)
    while peer.next_event() is not h11.NEED_DATA and peer.their_state is h11.SEND_BODY:
        pass
    reason = ours.split(b"\r\n")[0].partition(b" ")[2].partition(b" ")[2]
    theirs = peer.send(h11.Response(status_code=status, headers=headers, reason=reason))
    if method != b"HEAD" and status not in (204, 304):
        theirs += b"".join(peer.send(h11.Data(data=piece)) for piece in body if piece)
    theirs += peer.send(h11.EndOfMessage())
    return ours, theirs, http.next_cycle(), peer.our_state is h11.DONE


def normal(message):
    head, _, body = message.partition(b"\r\n\r\n")
    first, *rest = head.split(b"\r\n")
    return first, sorted(line.lower() for line in rest), body


@given(
    st.sampled_from([b"GET", b"HEAD", b"POST"]),
    st.sampled_from([b"1.1", b"1.0"]),
    st.sampled_from([200, 201, 204, 304, 404, 500, 299]),
    st.booleans(),
    st.booleans(),
    st.lists(st.binary(max_size=20), max_size=3),
)
def test_a_response_is_written_as_h11_writes_it(method, version, status, sized, close, body):
    headers = [(b"x-a", b"b")]
    if sized and status not in (204, 304):
        headers.append((b"content-length", b"%d" % sum(map(len, body))))
    if close:
        headers.append((b"connection", b"close"))
    ours, theirs, more, their_more = answer(method, version, status, headers, body)
    ours_normal, theirs_normal = normal(ours), normal(theirs)
    if status in (204, 304):
        # h11 announces an empty body as chunked even where there can be none
        theirs_normal[1][:] = [line for line in theirs_normal[1] if b"chunked" not in line]
    assert ours_normal == theirs_normal
    assert more is their_more
