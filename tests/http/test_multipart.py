"""multipart/form-data: what is read, what is refused, and that pieces make no difference."""

import os

import hypothesis.strategies as st
import pytest
import trio
from hypothesis import example, given, settings

from finch.errors import HTTPError
from finch.http.multipart import Bounds, read_multipart
from finch.http.spool import IN_MEMORY, Spool

TYPE = "multipart/form-data; boundary=b"
BOUNDS = Bounds(parts=10, fields=2_000, uploads=5_000)


class Pieces:
    """A body that arrives in these pieces."""

    def __init__(self, *pieces):
        self.pieces = [piece for piece in pieces if piece]

    async def read_body(self):
        return self.pieces.pop(0) if self.pieces else b""


async def read(*pieces, content_type=TYPE, bounds=BOUNDS):
    """The items of a form, with files as (filename, type, content)."""
    spool = Spool()
    try:
        items = await read_multipart(Pieces(*pieces), content_type, bounds, spool)
        return [
            (name, item if isinstance(item, str) else (item.filename, await item.read()))
            for name, item in items
        ]
    finally:
        await spool.aclose()


def part(head=b'Content-Disposition: form-data; name="a"', value=b"1"):
    return b"--b\r\n" + head + b"\r\n\r\n" + value + b"\r\n"


NAMED = b'Content-Disposition: form-data; name="%s"'
FILE = b'Content-Disposition: form-data; name="f"; filename="%s"'
END = b"--b--\r\n"


GOOD = {
    "one field": (part() + END, [("a", "1")]),
    "no field": (b"--b--\r\n", []),
    "no line break at the end": (part() + b"--b--", [("a", "1")]),
    "a line break before the first boundary": (b"\r\n" + part() + END, [("a", "1")]),
    "an epilogue": (part() + END + b"anything", [("a", "1")]),
    "an empty value": (part(value=b"") + END, [("a", "")]),
    "a value of line breaks": (part(value=b"\r\n\r\n") + END, [("a", "\r\n\r\n")]),
    "a value like a boundary": (part(value=b"\r\n-- b\r\n--") + END, [("a", "\r\n-- b\r\n--")]),
    "one name several times": (part() + part(value=b"2") + END, [("a", "1"), ("a", "2")]),
    "letters": (part(value="ä€😀".encode()) + END, [("a", "ä€😀")]),
    "letters in a name": (part(NAMED % "größe".encode()) + END, [("größe", "1")]),
    "a quote in a name": (part(NAMED % b"a%22b") + END, [('a"b', "1")]),
    "a name without quotes": (part(b"content-disposition: form-data; name=a") + END, [("a", "1")]),
    "a file": (part(FILE % b"x.txt") + END, [("f", ("x.txt", b"1"))]),
    "an empty file": (part(FILE % b"x.txt", b"") + END, [("f", ("x.txt", b""))]),
    "a file input without a file": (part(FILE % b"", b"") + part() + END, [("a", "1")]),
    "a file without a name": (part(FILE % b"") + END, [("f", ("", b"1"))]),
    "8bit": (
        part(FILE % b"x" + b"\r\nContent-Transfer-Encoding: 8bit", b"\0\xff") + END,
        [("f", ("x", b"\0\xff"))],
    ),
    "a charset of one field": (
        part(NAMED % b"a" + b"\r\nContent-Type: text/plain; charset=ISO-8859-1", b"\xe4") + END,
        [("a", "ä")],
    ),
    "a charset of all fields": (
        part(value=b"\xe4") + part(NAMED % b"_charset_", b"iso-8859-1") + END,
        [("a", "ä"), ("_charset_", "iso-8859-1")],
    ),
    "an archive of a page is a file": (
        part(FILE % b"x.mht" + b"\r\nContent-Type: multipart/related; boundary=c") + END,
        [("f", ("x.mht", b"1"))],
    ),
    "filename* is not known": (
        part(NAMED % b"a" + b"; filename*=utf-8''%2e%2e%2fx") + END,
        [("a", "1")],
    ),
}


@pytest.mark.parametrize("what", GOOD)
async def test_it_is_read(what):
    body, items = GOOD[what]
    assert await read(body) == items


BAD = {
    # what it is: the body, the status, and what the error says
    "nothing": (b"", 400, "does not begin with its boundary"),
    "no boundary in the body": (b"hello" * 100, 400, "does not begin with its boundary"),
    "a preamble": (b"hello\r\n" + part() + END, 400, "does not begin with its boundary"),
    "another boundary": (part().replace(b"--b", b"--c") + END, 400, "does not begin with"),
    "a longer boundary": (b"--bb\r\n" + part()[5:] + END, 400, "Unexpected byte"),
    "no end": (part(), 400, "has no end"),
    "half an end": (part() + b"--b-", 400, "has no end"),
    "no end, and much": (part(value=b"x" * 1000)[:-2], 400, "has no end"),
    "an end without a line break before": (part()[:-2] + END, 400, "has no end"),
    "line feeds only": ((part() + END).replace(b"\r\n", b"\n"), 400, "Invalid line break"),
    "carriage returns only": ((part() + END).replace(b"\r\n", b"\r"), 400, "Unexpected byte"),
    "a line feed in a header": (part(NAMED % b"a\nx: y") + END, 400, "control character"),
    "a NUL in a header": (part(NAMED % b"a\0") + END, 400, "control character"),
    "a return in a header": (part(NAMED % b"a\rb") + END, 400, "control character"),
    "a header without a colon": (part(NAMED % b"a" + b"\r\nhello") + END, 400, "Malformed"),
    "a header with spaces": (part(b"a b: c\r\n" + NAMED % b"a") + END, 400, "header name"),
    "a header of odd bytes": (part(NAMED % b"\xff\xfe") + END, 400, "decode"),
    "no headers": (b"--b\r\n\r\nx\r\n" + END, 400, "Missing Content-Disposition"),
    "no disposition": (part(b"Content-Type: text/plain") + END, 400, "Content-Disposition"),
    "another disposition": (part(b"Content-Disposition: file; name=a") + END, 400, "Wrong type"),
    "text after a quoted name": (
        part(NAMED % b'a"x; filename="b') + END,
        400,
        "Content-Disposition of a part of the form is malformed",
    ),
    "a quote without an end": (part(NAMED.rstrip(b'"') % b"a") + END, 400, "is malformed"),
    "a name twice": (part(NAMED % b"a" + b"; NAME=b") + END, 400, "parameter twice"),
    "a filename twice": (part(FILE % b"a.png" + b"; filename=b.php") + END, 400, "parameter twice"),
    "no name": (part(b"Content-Disposition: form-data") + END, 400, "no name"),
    "an empty name": (part(NAMED % b"") + END, 400, "no name"),
    "two dispositions": (part(NAMED % b"a" + b"\r\n" + NAMED % b"b") + END, 400, "twice"),
    "two types": (
        part(NAMED % b"a" + b"\r\nContent-Type: a/b\r\ncontent-type: c/d") + END,
        400,
        "twice",
    ),
    "a wrong length": (part(NAMED % b"a" + b"\r\nContent-Length: 5") + END, 400, "Length"),
    "a length that is no number": (
        part(NAMED % b"a" + b"\r\nContent-Length: -1") + END,
        400,
        "Content-Length",
    ),
    "a length of a thousand digits": (
        part(NAMED % b"a" + b"\r\nContent-Length: " + b"9" * 4000) + END,
        400,
        "Length",
    ),
    "base64": (
        part(NAMED % b"a" + b"\r\nContent-Transfer-Encoding: BASE64", b"MQ==") + END,
        415,
        "encoded with 'base64'",
    ),
    "quoted-printable": (
        part(NAMED % b"a" + b"\r\nContent-Transfer-Encoding: quoted-printable") + END,
        415,
        "encoded with",
    ),
    "a form in a form": (
        part(NAMED % b"a" + b"\r\nContent-Type: multipart/mixed; boundary=c", b"--c--") + END,
        415,
        "has parts itself",
    ),
    "an unknown charset": (
        part(NAMED % b"a" + b"\r\nContent-Type: text/plain; charset=idna") + END,
        415,
        "unknown charset",
    ),
    "an unknown charset of all fields": (
        part(NAMED % b"_charset_", b"unicode_escape") + END,
        415,
        "unknown charset",
    ),
    "text that is not UTF-8": (part(value=b"\xff") + END, 400, "'a' is not utf-8"),
    "half of a character": (part(value=b"\xed\xa0\x80") + END, 400, "'a' is not utf-8"),
    "many parts": (part() * 11 + END, 413, "more than 10 fields and files"),
    "many files": (part(FILE % b"x", b"") * 11 + END, 413, "more than 10 fields and files"),
    "much text": (part(value=b"x" * 2_001) + END, 413, "longer than 2000 bytes"),
    "much text in many fields": (part(value=b"x" * 201) * 10 + END, 413, "longer than 2000 bytes"),
    "large files": (part(FILE % b"x", b"x" * 5_001) + END, 413, "larger than 5000 bytes"),
    "several large files": (part(FILE % b"x", b"x" * 2_501) * 2 + END, 413, "than 5000 bytes"),
    "an endless epilogue": (part() + END + b"x" * 7_000, 413, "longer than 7000 bytes"),
    "a long name": (part(NAMED % (b"x" * 257)) + END, 413, "longer than 256 characters"),
    "a long filename": (part(FILE % (b"x" * 257)) + END, 413, "longer than 256 characters"),
    "a long header": (part(NAMED % (b"x" * 4_097)) + END, 413, "header length"),
    "a header without an end": (b"--b\r\n" + b"x" * 5_000, 413, "header length"),
    "many headers": (part(NAMED % b"a" + b"\r\nX: y" * 8) + END, 413, "header count"),
    "a folded header": (part(NAMED % b"a;\r\n\0 name=b") + END, 400, "header"),
}


@pytest.mark.parametrize("what", BAD)
async def test_it_is_refused(what):
    body, status, says = BAD[what]
    with pytest.raises(HTTPError) as caught:
        await read(body)
    assert caught.value.status == status
    assert says in caught.value.message
    assert len(caught.value.message) < 200


BOUNDARIES = {
    "multipart/form-data": "no boundary",
    "multipart/form-data; boundary": "malformed",
    "multipart/form-data; boundary=": "malformed",
    'multipart/form-data; boundary=""': "malformed",
    "multipart/form-data; boundary=b; boundary=c": "several boundaries",
    "multipart/form-data; boundary=b; BOUNDARY=c": "several boundaries",
    "multipart/form-data; boundary=" + "b" * 71: "malformed",
    "multipart/form-data; boundary=b\\r": "malformed",
    "multipart/form-data; boundary=b\xe4": "malformed",
    'multipart/form-data; boundary="b "': "malformed",
    "multipart/form-data; boundary=b<": "malformed",
    'multipart/form-data; boundary="b': "malformed",
    'multipart/form-data; boundary=b"': "malformed",
    'multipart/form-data; boundary="b;c"': "malformed",
    'multipart/form-data; boundary="b"c': "malformed",
    "multipart/form-data; boundary =b": "malformed",
    "multipart/form-data; boundary=b, text/plain": "malformed",
    'multipart/form-data; x="; boundary=b"': "no boundary",
    "multipart/form-data; boundary*0=c; boundary=b": "several boundaries",
}


@pytest.mark.parametrize("content_type", BOUNDARIES)
async def test_a_boundary_that_is_not_one_is_refused(content_type):
    with pytest.raises(HTTPError) as caught:
        await read(part() + END, content_type=content_type)
    assert caught.value.status == 400
    assert BOUNDARIES[content_type] in caught.value.message


@pytest.mark.parametrize("boundary", ["b", '"b"', "b; charset=utf-8"])
async def test_a_boundary_may_be_quoted(boundary):
    body = part() + END
    assert (
        await read(body, content_type=f"Multipart/Form-Data; boundary={boundary}")
        == GOOD["one field"][1]
    )


# In any pieces

ALL = [body for body, *_ in (*GOOD.values(), *BAD.values())]
FRAGMENTS = [
    b"--b", b"\r\n", b"\r", b"\n", b"--", b"b", NAMED % b"a", FILE % b"x", b": ", b"x", b"\0",
    part(), END, b"Content-Length: 1", b" ", b"\xff", b"_charset_", b"-",
]  # fmt: skip


async def outcome(pieces):
    try:
        return await read(*pieces)
    except HTTPError as error:
        return error.status, error.message


def cut(body, places):
    ends = sorted({min(place, len(body)) for place in places})
    return [body[a:b] for a, b in zip([0, *ends], [*ends, len(body)], strict=True)]


@settings(max_examples=300, deadline=None)
@given(
    body=st.one_of(
        st.sampled_from(ALL),
        st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(b"".join),
        st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(lambda all: part() + b"".join(all)),
    ),
    places=st.lists(st.integers(0, 400), max_size=8),
)
@example(body=b"hello world\r\n" + part() + END, places=[11])
@example(body=part(NAMED % b"a\nx: y") + END, places=[46])
def test_any_pieces_give_the_same_result(body, places):
    async def both():
        assert await outcome(cut(body, places)) == await outcome([body])

    trio.run(both)


@pytest.mark.parametrize("what", [*GOOD, *BAD])
async def test_byte_by_byte_gives_the_same_result(what):
    body, *_ = (GOOD | BAD)[what]
    assert await outcome([bytes([one]) for one in body]) == await outcome([body])


@settings(max_examples=100, deadline=None)
@given(
    items=st.lists(
        st.tuples(
            st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), min_size=1)
            .map(lambda name: name[:50])
            .filter(
                lambda name: name != "_charset_" and '\\"' not in f'{name}"' and "%" not in name
            ),
            st.text(max_size=60).filter(lambda text: "b" not in text) | st.binary(max_size=200),
        ),
        max_size=5,
    ),
)
def test_what_our_own_test_client_sends_comes_back(items):
    from finch.testing.forms import multipart

    fields = [item for item in items if isinstance(item[1], str)]
    files = [(name, ("n.bin", data)) for name, data in items if isinstance(data, bytes)]
    try:
        for _, text in fields:
            text.encode()
    except UnicodeEncodeError:
        return
    body, content_type = multipart(fields, files)

    async def there_and_back():
        assert await read(body, content_type=content_type) == fields + files

    trio.run(there_and_back)


# Much of it


async def test_files_go_to_disk_and_come_back():
    data = os.urandom(IN_MEMORY // 2)
    bounds = Bounds(100, 1000, 10 * IN_MEMORY)
    body = b"".join(part(FILE % b"%d.bin" % one, data + b"%d" % one) for one in range(7)) + END
    items = await read(*cut(body, range(0, len(body), 30_000)), bounds=bounds)
    assert items == [("f", (f"{one}.bin", data + b"%d" % one)) for one in range(7)]


async def test_a_form_of_many_files_costs_one_descriptor():
    bounds = Bounds(1000, 1000, 4 * IN_MEMORY)
    body = part(FILE % b"x", b"x" * 1000) * 900 + END
    spool = Spool()
    before = len(os.listdir("/proc/self/fd"))
    items = await read_multipart(Pieces(body), TYPE, bounds, spool)
    assert len(items) == 900
    assert spool.blocks
    assert len(os.listdir("/proc/self/fd")) == before + 1
    await spool.aclose()
    await spool.aclose()
    assert len(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ValueError, match="already answered"):
        await items[0][1].read()


async def test_a_large_form_lets_others_have_their_turns():
    turns = []

    async def others():
        while True:
            turns.append(None)
            await trio.lowlevel.checkpoint()

    body = part(FILE % b"x", b"x" * 3_000_000) + END
    async with trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await read(body, bounds=Bounds(10, 1000, 4_000_000))
        nursery.cancel_scope.cancel()
    assert len(turns) > 10


@pytest.mark.parametrize("name", ["a\\", "\\"])
async def test_a_name_that_ends_with_a_backslash_could_end_elsewhere_for_another_program(name):
    head = f'Content-Disposition: form-data; name="{name}"'
    body = f"--x\r\n{head}\r\n\r\nvalue\r\n--x--\r\n".encode()

    with pytest.raises(HTTPError, match="the Content-Disposition of a part of the form is malf"):
        await read(body, content_type="multipart/form-data; boundary=x")
