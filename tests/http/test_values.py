"""Headers, query, cookies, language and body: what a request gives to its handler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, TypedDict

import hypothesis.strategies as st
import msgspec
import pytest
from hypothesis import example, given

from finch.errors import Disconnected, HTTPError
from finch.headers import Headers, QueryParams
from finch.http.language import choose_language
from finch.http.request import Request
from finch.http.response import Response
from finch.net.address import Address
from finch.wire.http import RequestHead


class Body:
    """A body in pieces; one that is cut off raises as a connection does."""

    def __init__(self, *pieces: bytes, cut_off: bool = False) -> None:
        self.pieces = list(pieces)
        self.cut_off = cut_off

    async def read_body(self) -> bytes:
        if self.pieces:
            return self.pieces.pop(0)
        if self.cut_off:
            raise Disconnected("the client left")
        return b""


def request(
    target: str = "/",
    *pieces: bytes,
    headers: dict[str, str] | Sequence[tuple[str, str]] = (),
    languages: tuple[str, ...] = ("en",),
    **options,
) -> Request:
    items = headers.items() if isinstance(headers, dict) else headers
    raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in items]
    head = RequestHead("POST", target.encode(), raw, "1.1")
    options.setdefault("body", Body(*pieces))
    return Request(head, app=SimpleNamespace(languages=languages), **options)


async def refused(awaitable) -> HTTPError:
    with pytest.raises(HTTPError) as caught:
        await awaitable
    return caught.value


# Headers


def test_headers_ignore_case():
    headers = Headers([("Content-Type", "text/html"), ("X-A", "1"), ("x-a", "2")])

    assert headers["content-type"] == headers["CONTENT-TYPE"] == "text/html"
    assert "Content-type" in headers
    assert headers.get("X-NONE") is None
    assert headers.get("X-NONE", "d") == "d"


def test_a_repeated_header_keeps_every_value():
    headers = Headers([("Via", "one"), ("x", "y"), ("VIA", "two")])

    assert headers["via"] == "one"
    assert headers.getlist("Via") == ["one", "two"]
    assert headers.getlist("none") == []
    assert headers.multi_items() == [("via", "one"), ("x", "y"), ("via", "two")]
    assert (list(headers), len(headers)) == (["via", "x"], 2)
    assert dict(headers) == {"via": "one", "x": "y"}


def test_a_missing_header_is_a_key_error_with_the_name_that_was_asked_for():
    with pytest.raises(KeyError, match="X-None"):
        Headers()["X-None"]
    number: object = 5
    assert number not in Headers([("5", "a")])


def test_headers_are_latin_1():
    assert Headers.from_raw([(b"X-Name", b"Andr\xe9")])["x-name"] == "André"


def test_headers_with_the_same_items_are_equal():
    one, two = Headers([("A", "1")]), Headers([("a", "1")])

    assert one == two
    assert hash(one) == hash(two)
    assert one != Headers([("a", "2")])
    assert one != "a"
    assert repr(one) == "Headers([('a', '1')])"


# Target and query


@pytest.mark.parametrize(
    ("target", "raw_path", "path", "query"),
    [
        ("/", "/", "/", ""),
        ("/a/b?c=d", "/a/b", "/a/b", "c=d"),
        ("/a?b?c", "/a", "/a", "b?c"),
        ("/?", "/", "/", ""),
        ("/gr%C3%BC%C3%9Fe", "/gr%C3%BC%C3%9Fe", "/grüße", ""),
        ("/a%2Fb", "/a%2Fb", "/a/b", ""),
        ("/a+b%20c", "/a+b%20c", "/a+b c", ""),
        ("/%zz%", "/%zz%", "/%zz%", ""),
        ("//evil.com/a", "//evil.com/a", "//evil.com/a", ""),
        ("http://a.example/b?c", "/b", "/b", "c"),
        ("http://a.example", "/", "/", ""),
        ("http://a.example?c", "/", "/", "c"),
        ("*", "*", "*", ""),
    ],
)
def test_a_target_is_path_and_query(target, raw_path, path, query):
    asked = request(target)

    assert (asked.raw_path, asked.path, asked.query_string) == (raw_path, path, query)


def test_a_path_that_is_no_utf8_is_a_bad_request():
    with pytest.raises(HTTPError) as caught:
        _ = request("/%ff").path
    assert caught.value.status == 400


def test_query_parameters_are_decoded():
    query = request("/?page=2&tag=a&tag=b+c&blank=&n%C3%A4me=gr%C3%BC%C3%9Fe&bare").query

    assert isinstance(query, QueryParams)
    assert query["page"] == "2"
    assert query["tag"] == "a"
    assert query.getlist("tag") == ["a", "b c"]
    assert (query["blank"], query["bare"]) == ("", "")
    assert query["näme"] == "grüße"
    assert "PAGE" not in query


def test_a_query_that_is_no_utf8_does_no_harm():
    assert request("/?a=%ff&b=%zz").query.multi_items() == [("a", "\ufffd"), ("b", "%zz")]


def test_a_request_knows_where_it_came_to_and_from():
    asked = request(
        "/a?b=c", headers={"Host": "a.example:8000"}, scheme="https", client=Address("::1", 5)
    )

    assert asked.host == "a.example:8000"
    assert asked.url == "https://a.example:8000/a?b=c"
    assert str(asked.client) == "[::1]:5"
    assert str(Address("127.0.0.1", 80)) == "127.0.0.1:80"
    assert repr(asked) == "<Request POST /a>"


def test_state_is_each_requests_own():
    one, two = request(), request()
    one.state["user"] = "ann"

    assert (one.state, two.state) == ({"user": "ann"}, {})


# Cookies


@pytest.mark.parametrize(
    ("header", "cookies"),
    [
        ("a=1", {"a": "1"}),
        ("a=1; b=2", {"a": "1", "b": "2"}),
        ("a=1;b=2 ;  c = 3", {"a": "1", "b": "2", "c": "3"}),
        ("a=b=c==", {"a": "b=c=="}),
        ("a=", {"a": ""}),
        ("a=1; a=2", {"a": "1"}),
        ("A=1; a=2", {"A": "1", "a": "2"}),
        ('a="quoted"', {"a": "quoted"}),
        (r'a="say \"hi\"\073 \\ \303"', {"a": 'say "hi"; \\ \xc3'}),
        ('a="', {"a": '"'}),
        ('a="half', {"a": '"half'}),
        ('a={"json":1}', {"a": '{"json":1}'}),
        ("novalue; b=2", {"b": "2"}),
        ("", {}),
        (";;;", {}),
        ("path=/; expires=never", {"path": "/", "expires": "never"}),
        ("a[1]=x; __Host-id=y", {"a[1]": "x", "__Host-id": "y"}),
    ],
)
def test_cookies_are_read(header, cookies):
    assert request(headers={"Cookie": header}).cookies == cookies


def test_a_quoted_cookie_is_unquoted_in_linear_time():
    # a million escapes would take hours otherwise, and no test would end
    cookie = 'a="' + "\\\\" * 1_000_000 + '"'
    assert request(headers={"Cookie": cookie}).cookies == {"a": "\\" * 1_000_000}


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("grüße à", "grüße à"),
        ('"grüße à"', "grüße à"),
        (r'"gr\303\274\303\237e \303\240"', "grüße à"),
        ("gr%C3%BC%C3%9Fe", "gr%C3%BC%C3%9Fe"),
        ('"gr%C3%BC%C3%9Fe"', "gr%C3%BC%C3%9Fe"),
        ("a+b", "a+b"),
        ('""', ""),
        ('" a "', " a "),
    ],
)
def test_a_cookie_is_decoded_by_one_rule_whoever_wrote_it(written, value):
    sent = written.encode().decode("latin-1")  # as browsers send what a page has set
    assert request(headers={"Cookie": f"a={sent}; b=1"}).cookies == {"a": value, "b": "1"}
    assert request(headers={"Cookie": f"b=1;\ta={sent}\t"}).cookies == {"a": value, "b": "1"}


def test_a_cookie_that_is_no_utf8_is_latin_1_quoted_or_not():
    assert request(headers={"Cookie": 'a=\xfc; b="\xfc"; c="\\374"'}).cookies == {
        "a": "ü",
        "b": "ü",
        "c": "ü",
    }


def test_the_name_of_a_cookie_is_decoded_as_its_value_is():
    assert request(headers={"Cookie": "n\xc3\xa4me=1"}).cookies == {"näme": "1"}


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"])))
@example('"quoted"')
@example("a;b,c\\d e")
@example("Ã¼ is not ü")
@example("%41\xa0")
def test_what_set_cookie_writes_comes_back_the_same(text):
    response = Response()
    response.set_cookie("a", text)
    pair, _, _ = response.headers["set-cookie"].partition("; ")
    assert request(headers={"Cookie": f"b=1; {pair}; c=2"}).cookies == {
        "a": text,
        "b": "1",
        "c": "2",
    }


def test_cookies_may_come_in_several_headers():
    assert request(headers=[("cookie", "a=1"), ("cookie", "b=2; a=3")]).cookies == {
        "a": "1",
        "b": "2",
    }
    assert request().cookies == {}


# Language


@pytest.mark.parametrize(
    ("wanted", "chosen"),
    [
        # RFC 4647, section 3.4: the range is cut from its end until something matches
        ("zh-Hant-CN-x-private1-private2", "zh-Hant-CN"),
        ("zh-Hant-TW", "zh-Hant"),
        ("zh-x-private1", "zh"),
        ("zh-CN", "zh"),
        ("ZH-HANT", "zh-Hant"),
        ("de", "en"),  # "de-CH" is more than was asked for
        ("de-ch", "de-CH"),
        ("de-CH-1996", "de-CH"),
        ("fr", "fr"),
        ("fr-FR;q=0.5, de-CH;q=0.9", "de-CH"),
        ("fr;q=0.5, de-CH;q=0.5", "fr"),
        ("de-CH, fr", "de-CH"),
        ("ja, ko, fr;q=0.1", "fr"),
        ("fr;q=0", "en"),
        ("fr;q=0.000, zh;q=0.001", "zh"),
        ("fr ; q=0.3 , zh ; Q=0.4", "zh"),
        ("*", "en"),
        ("*, fr;q=0.5", "fr"),
        ("fr;q=2, zh;q=0.1", "zh"),
        ("fr;q=x, zh;q=0.1", "zh"),
        ("fr;level=1, zh;q=0.1", "zh"),
        ("f\u00e4, toolonglanguage, -, a--b, zh", "zh"),
        (",,,", "en"),
        ("", "en"),
    ],
)
def test_accept_language_is_looked_up(wanted, chosen):
    languages = ("en", "zh", "zh-Hant", "zh-Hant-CN", "de-CH", "fr")

    assert choose_language(languages, None, wanted) == chosen
    assert request(headers={"Accept-Language": wanted}, languages=languages).language == chosen


def test_a_cookie_comes_before_the_header():
    headers = {"Cookie": "language=de-AT", "Accept-Language": "fr"}

    assert request(headers=headers, languages=("en", "de", "fr")).language == "de"
    assert request(headers=headers, languages=("en", "fr")).language == "fr"
    assert request(headers=headers, languages=("en", "ja")).language == "en"


@pytest.mark.parametrize("cookie", ["", "*", "-", "a-", "--x-", "\u00ff", "x" * 1000, "-" * 1000])
def test_a_cookie_that_is_no_language_is_passed_over(cookie):
    assert choose_language(("en", "fr"), cookie, "fr") == "fr"


def test_a_language_range_of_many_subtags_is_not_looked_up():
    assert choose_language(("en", "fr"), "fr" + "-a" * 40, None) == "fr"
    assert choose_language(("en", "fr"), "fr" + "-a" * 50, None) == "en"


def test_a_single_letter_of_a_range_goes_with_what_stood_behind_it():
    assert choose_language(("en", "zh-x", "zh"), None, "zh-x-private1") == "zh"


def test_without_any_wish_the_first_language_is_spoken():
    assert choose_language(("en", "fr"), None, None) == "en"
    assert request(languages=("ja",), headers={"Accept-Language": "fr"}).language == "ja"


# Body


async def test_a_body_is_read_once_and_kept():
    asked = request("/", b"hel", b"lo")

    assert await asked.body() == b"hello"
    assert await asked.body() == b"hello"
    assert [piece async for piece in asked.stream()] == [b"hello"]
    assert await asked.text() == "hello"


async def test_a_body_that_is_not_there_is_empty():
    asked = request()

    assert await asked.body() == b""
    assert [piece async for piece in asked.stream()] == []


async def test_a_streamed_body_comes_in_its_pieces_and_only_once():
    asked = request("/", b"hel", b"lo")

    assert [piece async for piece in asked.stream()] == [b"hel", b"lo"]
    with pytest.raises(RuntimeError, match="already streamed"):
        await asked.body()
    with pytest.raises(RuntimeError, match="already streamed"):
        async for _ in asked.stream():
            pass


async def test_a_streamed_body_has_no_limit():
    asked = request("/", b"x" * 10, b"x" * 10, max_body=10)

    assert sum([len(piece) async for piece in asked.stream()]) == 20


async def test_a_body_at_its_limit_passes_and_one_past_it_is_413():
    assert await request("/", b"x" * 6, b"x" * 4, max_body=10).body() == b"x" * 10

    error = await refused(request("/", b"x" * 6, b"x" * 5, max_body=10).body())
    assert error.status == 413
    assert "10 bytes" in error.message


async def test_a_body_is_refused_for_its_declared_length_before_it_is_read():
    source = Body(b"x")
    for length in ("11", "1" + "0" * 5000):
        asked = request(headers={"Content-Length": length}, body=source, max_body=10)
        assert (await refused(asked.body())).status == 413
    assert source.pieces == [b"x"]

    asked = request("/", b"x" * 10, headers={"Content-Length": "10"}, max_body=10)
    assert await asked.body() == b"x" * 10


async def test_a_client_that_leaves_within_its_body_is_noticed():
    for read in (Request.body, Request.text, Request.json):
        with pytest.raises(Disconnected):
            await read(request(body=Body(b"x", cut_off=True)))


@pytest.mark.parametrize(
    ("content_type", "body", "text"),
    [
        ("text/plain", "grüße".encode(), "grüße"),
        ("", "grüße".encode(), "grüße"),
        ("text/plain; charset=utf-8", "grüße".encode(), "grüße"),
        ("text/plain; format=flowed; Charset=ISO-8859-1", "grüße".encode("latin-1"), "grüße"),
        ('text/plain; charset="utf-16"', "grüße".encode("utf-16"), "grüße"),
    ],
)
async def test_text_is_decoded_by_its_charset(content_type, body, text):
    assert await request("/", body, headers={"Content-Type": content_type}).text() == text


@pytest.mark.parametrize(
    ("charset", "body", "status"),
    [
        ("utf-8", b"\xff", 400),
        ("ascii", b"\xff", 400),
        ("utf-16", b"a", 400),
        ("klingon", b"a", 415),
        ("", b"a", 415),
        ("hex", b"61", 415),
        ("rot13", b"a", 415),
    ],
)
async def test_text_that_cannot_be_decoded_is_refused(charset, body, status):
    headers = {"Content-Type": f"text/plain; charset={charset}"}

    assert (await refused(request("/", body, headers=headers).text())).status == status


@pytest.mark.parametrize("charset", ["undefined", "idna", "punycode", "a\xffb", "x" * 5000])
async def test_no_charset_whatever_is_the_servers_fault(charset):
    headers = {"Content-Type": f"text/plain; charset={charset}"}
    error = await refused(request("/", b"xn--\xff..", headers=headers).text())

    assert error.status in (400, 415)


class Bird(msgspec.Struct):
    name: str
    age: int = 1


@dataclass
class Nest:
    eggs: int


class Tree(TypedDict):
    height: float


async def test_json_is_parsed():
    assert await request("/", b'{"a": [1, ', b"null]}").json() == {"a": [1, None]}


@pytest.mark.parametrize(
    ("type_", "body", "value"),
    [
        (Bird, b'{"name": "finch"}', Bird("finch", 1)),
        (Nest, b'{"eggs": 3}', Nest(3)),
        (Tree, b'{"height": 2.5}', {"height": 2.5}),
        (list[int], b"[1, 2]", [1, 2]),
        (list[Bird], b'[{"name": "a", "age": 2}]', [Bird("a", 2)]),
        (int | None, b"null", None),
    ],
)
async def test_json_is_converted(type_, body, value):
    assert await request("/", body).json(type_) == value


@pytest.mark.parametrize(
    ("type_", "body", "field"),
    [
        (Bird, b'{"name": 5}', "$.name"),
        (Bird, b"{}", "`name`"),
        (Bird, b"[]", "object"),
        (Nest, b'{"eggs": "3"}', "$.eggs"),
        (list[int], b'[1, "2"]', "$[1]"),
    ],
)
async def test_json_that_does_not_fit_is_422_and_says_where(type_, body, field):
    error = await refused(request("/", body).json(type_))

    assert error.status == 422
    assert field in error.message


@pytest.mark.parametrize("type_", [None, Bird, list[int]])
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"hello",
        b"{'a': 1}",
        b'{"a": NaN}',
        pytest.param(b"[" * 100_000, id="deep"),
        pytest.param(b'{"name":' * 100_000, id="deep objects"),
    ],
)
async def test_what_is_no_json_is_400(type_, body):
    asked = request("/", body)
    error = await refused(asked.json() if type_ is None else asked.json(type_))

    assert error.status in ((400,) if type_ is None else (400, 422))


@pytest.mark.parametrize("body", [b'"\xff"', b'{"name": "\xff"}', b'["\xed\xa0\x80"]', b"\xff"])
@pytest.mark.parametrize("type_", [object, Bird, list[str]])
async def test_json_that_is_no_utf8_is_refused(type_, body):
    asked = request("/", body)
    error = await refused(asked.json() if type_ is object else asked.json(type_))

    assert error.status in (400, 422)


async def test_json_with_too_much_to_hash_is_422_and_says_how_much_is_allowed():
    collisions = b"[" + b",".join([b"%d" % (n * (2**61 - 1)) for n in range(20, 20_000)]) + b"]"
    error = await refused(request("/", collisions).json(set[int]))

    assert error.status == 422
    assert "at most 512" in error.message
    assert await request("/", b"[1, 1, 2]").json(set[int]) == {1, 2}


async def test_a_type_of_json_may_be_unhashable_itself():
    type_ = Annotated[set[int], {"not": "hashable"}]

    assert await request("/", b"[1, 1, 2]").json(type_) == {1, 2}


async def test_json_past_the_limit_is_413():
    assert (await refused(request("/", b"[1, 2, 3]", max_body=8).json())).status == 413


# Sockets


def test_a_plain_request_is_told_that_a_socket_is_requested():
    response = request().render_socket()

    assert (response.status, response.body) == (426, b"Socket is requested!")
    assert response.headers["upgrade"] == "websocket"
    assert response.headers["connection"] == "upgrade"
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
