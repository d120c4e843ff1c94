"""The request of an open WebSocket: it says what it said before, and holds nothing for that."""

import gc
import weakref

import pytest

from finch import HTTPError
from finch.http.request import Request
from finch.wire.head import RequestHead

HEADERS = [
    (b"host", b"a.example:80"),
    (b"cookie", b"user=ada"),
    (b"x-two", b"1:2"),
    (b"x-two", b""),
]


class Whatever:
    """Something that can be seen to be gone."""

    async def read_body(self):
        return b""

    def __call__(self, task):
        raise AssertionError("nothing is to be started")


def a_request(method=b"GET", **given):
    head = RequestHead(method.decode(), b"/b%C3%A4r/1?n=1", HEADERS, b"1.1".decode())
    return Request(head, **given)


def test_it_says_the_same_before_and_after():
    request, kept = a_request(), a_request()
    for used in (request, kept):
        assert (used.path, used.query["n"], used.cookies["user"]) == ("/bär/1", "1", "ada")
        used.state["seen"] = True
    kept.settle()
    for _ in range(2):
        assert kept.raw_headers == request.raw_headers == HEADERS
        assert list(kept.headers.items()) == list(request.headers.items())
        assert kept.headers.getlist("x-two") == ["1:2", ""]
        assert kept.cookies == {"user": "ada"}
        assert kept.path == "/bär/1"
        assert kept.query["n"] == "1"
        assert kept.host == "a.example:80"
        assert kept.url == request.url == "http://a.example:80/b%C3%A4r/1?n=1"
        assert kept.state == {"seen": True}
        assert (kept.method, kept.http_version) == ("GET", "1.1")


def test_what_was_computed_for_it_is_not_kept():
    request = a_request()
    headers, cookies, query, path = request.headers, request.cookies, request.query, request.path
    assert request.headers is headers
    assert request.cookies is cookies
    assert request.query is query
    assert request.path is path
    request.settle()
    assert request.headers is not headers
    assert request.cookies is not cookies
    assert request.query is not query
    assert request.path is not path


def test_the_texts_that_every_handshake_has_are_one_for_all():
    one, two = a_request(), a_request()
    assert one.method is not two.method
    one.settle()
    two.settle()
    assert one.method is two.method
    assert one.http_version is two.http_version


def test_its_connection_and_its_upgrade_are_let_go():
    body, spawn, upgrade = Whatever(), Whatever(), Whatever()
    seen = [weakref.ref(item) for item in (body, spawn, upgrade)]
    request = a_request(body=body, spawn=spawn)
    request.accepted = upgrade
    del body, spawn, upgrade
    gc.collect()
    assert all(ref() is not None for ref in seen)
    request.settle()
    gc.collect()
    assert [ref() for ref in seen] == [None, None, None]
    assert request.render_socket().status == 426


async def test_a_body_may_have_four_mebibytes_unless_told_otherwise():
    most = 4 * 1024 * 1024

    class Source:
        def __init__(self, size):
            self.size = size

        async def read_body(self):
            size, self.size = min(self.size, 100_000), max(0, self.size - 100_000)
            return b"x" * size

    assert len(await a_request(body=Source(most)).body()) == most
    for size, limit in ((most + 1, {}), (11, {"max_body": 10})):
        with pytest.raises(HTTPError) as caught:
            await a_request(body=Source(size), **limit).body()
        assert caught.value.status == 413
