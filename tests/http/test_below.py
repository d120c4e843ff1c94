"""No path leads out of the directory: bytes in, bytes out."""

import errno
import os
import socket
import string
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from finch import FileResponse, FinchApp
from finch.http import below
from finch.http.below import open_below, safe_parts
from finch.testing import TestClient
from tests.http.test_connection import talk

SECRET = b"the secret beside the directory"
HIDDEN = b"a hidden file in the directory"
PUBLIC = b"for everybody"


def plant(tmp_path):
    """A directory, and what an attacker wants: files beside it, hidden in it, behind links."""
    root = tmp_path / "public"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / ".git").mkdir()
    (root / ".well-known").mkdir()
    (tmp_path / "public-but-not").mkdir()
    (tmp_path / "public-but-not" / "secret.txt").write_bytes(SECRET)
    (tmp_path / "secret.txt").write_bytes(SECRET)
    for name in (".env", ".git/config", "sub/.htpasswd", "con.txt", "aux", "a:b", "a\\b", "end."):
        (root / name).write_bytes(HIDDEN)
    for name in (
        ".well-known/security.txt",
        "a.txt",
        "sub/b.txt",
        "sub/deep/c.txt",
        "with space.x",
    ):
        (root / name).write_bytes(PUBLIC)
    (root / "%2e%2e").mkdir()
    (root / "%2e%2e" / "odd.txt").write_bytes(PUBLIC)
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "out").symlink_to(tmp_path)
    (root / "up.txt").symlink_to("../secret.txt")
    (root / "beside").symlink_to("../public-but-not")
    (root / "hidden.txt").symlink_to(".env")
    (root / "git").symlink_to(".git")
    (root / "loop").symlink_to("loop")
    (root / "gone.txt").symlink_to("nowhere")
    (root / "in.txt").symlink_to("a.txt")
    (root / "in").symlink_to("sub")
    os.mkfifo(root / "fifo")
    with socket.socket(socket.AF_UNIX) as sock:
        here = Path.cwd()
        os.chdir(root)  # the names of sockets are short
        sock.bind("socket")
        os.chdir(here)
    return root


@pytest.fixture
def tree(tmp_path):
    return plant(tmp_path)


@pytest.fixture(scope="module")
def lasting_tree(tmp_path_factory):
    return plant(tmp_path_factory.mktemp("tree").resolve())


def app_with(root, **options):
    app = FinchApp()
    app.static("/s", root, **options)

    @app.get("/by-query")
    async def by_query(request):
        return FileResponse(request.query["name"], directory=root)

    return app


ATTACKS = [
    # dots
    b"/s/../secret.txt",
    b"/s/sub/../../secret.txt",
    b"/s/..",
    b"/s/../",
    b"/s/.",
    b"/s/./a.txt",
    b"/s/sub/./b.txt",
    b"/s/sub/../a.txt",  # inside, but nobody needs it
    b"/s/.../secret.txt",
    b"/s/....//secret.txt",
    b"/s/../public-but-not/secret.txt",
    b"/s/sub/deep/../../../../../../../../../../etc/passwd",
    # encoded
    b"/s/%2e%2e/secret.txt",
    b"/s/%2E%2E/secret.txt",
    b"/s/.%2e/secret.txt",
    b"/s/%2e./secret.txt",
    b"/s/..%2fsecret.txt",
    b"/s/..%2Fsecret.txt",
    b"/s/%2e%2e%2fsecret.txt",
    b"/s%2f..%2fsecret.txt",
    b"/s/sub%2fb.txt",
    b"/s/..%5csecret.txt",
    b"/s/%2e%2e%5csecret.txt",
    b"/s/..\\secret.txt",
    b"/s/sub\\..\\..\\secret.txt",
    # twice
    b"/s/%252e%252e/secret.txt",
    b"/s/..%252fsecret.txt",
    b"/s/..%255csecret.txt",
    b"/s/%25252e%25252e/secret.txt",
    # overlong and other UTF-8
    b"/s/%c0%ae%c0%ae/secret.txt",
    b"/s/..%c0%afsecret.txt",
    b"/s/%e0%80%ae%e0%80%ae/secret.txt",
    b"/s/..%ef%bc%8fsecret.txt",
    b"/s/%ef%bc%8e%ef%bc%8e/secret.txt",
    b"/s/%u002e%u002e/secret.txt",
    b"/s/..%ff/secret.txt",
    # absolute
    b"/s//etc/passwd",
    b"/s///etc/passwd",
    b"/s/%2fetc%2fpasswd",
    b"//s/a.txt",
    b"/s/sub//b.txt",
    b"/s/file:///etc/passwd",
    b"/s/~root/.profile",
    b"/s/proc/self/environ",
    # NUL and control characters
    b"/s/a.txt%00",
    b"/s/a.txt%00.png",
    b"/s/..%00/secret.txt",
    b"/s/%00",
    b"/s/a.txt%0a",
    b"/s/a.txt%0d%0aset-cookie:x=1",
    b"/s/a.txt%7f",
    # Windows
    b"/s/C:/windows/win.ini",
    b"/s/c:secret.txt",
    b"/s/%43%3a%5cwindows%5cwin.ini",
    b"/s/%5c%5cserver%5cshare",
    b"/s/con.txt",
    b"/s/CON",
    b"/s/aux",
    b"/s/nul.txt",
    b"/s/COM1",
    b"/s/lpt9.x.y",
    b"/s/COM%c2%b9",
    b"/s/a:b",
    b"/s/a%5cb",
    b"/s/a.txt::$DATA",
    b"/s/a.txt.",
    b"/s/a.txt%20",
    b"/s/end.",
    b"/s/sub./b.txt",
    b"/s/...%20/secret.txt",
    # hidden
    b"/s/.env",
    b"/s/%2eenv",
    b"/s/.git/config",
    b"/s/.git/",
    b"/s/sub/.htpasswd",
    b"/s/sub/.well-known/x",
    b"/s/.well-known/../.env",
    b"/s/.WELL-KNOWN/security.txt",
    # links
    b"/s/out.txt",
    b"/s/out/secret.txt",
    b"/s/out/public/../secret.txt",
    b"/s/up.txt",
    b"/s/beside/secret.txt",
    b"/s/hidden.txt",
    b"/s/git/config",
    b"/s/loop",
    b"/s/loop/a.txt",
    b"/s/gone.txt",
    # what is no file
    b"/s/fifo",
    b"/s/socket",
    b"/s/sub",
    b"/s/sub/",
    b"/s/a.txt/",
    b"/s/a.txt/b",
    b"/s/",
    # long and deep
    b"/s/" + b"x" * 300,
    b"/s/" + b"x" * 4500,
    b"/s/" + b"x/" * 2500,
    b"/s/" + b"../" * 2000 + b"etc/passwd",
    # the path of a FileResponse
    b"/by-query?name=../secret.txt",
    b"/by-query?name=/etc/passwd",
    b"/by-query?name=..%2fsecret.txt",
    b"/by-query?name=sub%2f..%2f..%2fsecret.txt",
    b"/by-query?name=.env",
    b"/by-query?name=out.txt",
    b"/by-query?name=beside%2fsecret.txt",
    b"/by-query?name=a.txt%00",
    b"/by-query?name=",
    b"/by-query?name=.",
    b"/by-query?name=sub",
    b"/by-query?name=fifo",
    b"/by-query?name=%ff",
]


def test_there_are_many_attacks():
    assert len(ATTACKS) == len(set(ATTACKS)) >= 40


@pytest.mark.parametrize("target", ATTACKS, ids=lambda target: target.decode()[:60])
async def test_an_attack_gets_nothing(tree, target):
    answer = await talk(app_with(tree), b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
    assert answer[:12] in (b"HTTP/1.1 404", b"HTTP/1.1 400")
    assert SECRET not in answer
    assert HIDDEN not in answer
    assert b"root:" not in answer
    assert b"set-cookie" not in answer.lower()


HARMLESS = [
    b"/s/a.txt",
    b"/s/%61.txt",
    b"/%73/a.txt",
    b"/s/sub/b.txt",
    b"/s/sub/deep/c.txt",
    b"/s/with%20space.x",
    b"/s/.well-known/security.txt",
    b"/s/%252e%252e/odd.txt",  # decoded once, it is a name, if an odd one
    b"/s/in.txt",
    b"/s/in/b.txt",
    b"/s/in/deep/c.txt",
    b"/by-query?name=a.txt",
    b"/by-query?name=sub%2fb.txt",
]


@pytest.mark.parametrize("target", HARMLESS, ids=lambda target: target.decode())
async def test_what_is_public_is_served(tree, target):
    answer = await talk(app_with(tree), b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % target)
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(PUBLIC)


async def test_links_out_of_the_directory_are_followed_if_the_application_says_so(tree):
    async with TestClient(app_with(tree, follow_symlinks=True)) as client:
        assert (await client.get("/s/out.txt")).body == SECRET
        assert (await client.get("/s/beside/secret.txt")).body == SECRET
        assert (await client.get("/s/in/b.txt")).body == PUBLIC
        for path in ("/s/../secret.txt", "/s/out/../secret.txt", "/s/.env", "/s/fifo", "/s/loop"):
            assert (await client.get(path)).status == 404


async def test_the_directory_may_be_a_link_itself_which_is_changed(tree, tmp_path):
    """As a deployment does that makes a new directory and then moves a link to it."""
    current = tmp_path / "current"
    current.symlink_to(tree)
    async with TestClient(app_with(current)) as client:
        assert (await client.get("/s/a.txt")).body == PUBLIC
        assert (await client.get("/s/in.txt")).body == PUBLIC
        (tmp_path / "next").mkdir()
        (tmp_path / "next" / "a.txt").write_bytes(b"new")
        current.unlink()
        current.symlink_to(tmp_path / "next")
        assert (await client.get("/s/a.txt")).body == b"new"


def content(root, parts, **options):
    number = open_below(str(root), parts, **options)
    try:
        return os.read(number, 100)
    finally:
        os.close(number)


def test_a_directory_that_becomes_a_link_between_check_and_open_is_refused(tree, monkeypatch):
    """The race that a check of the path alone loses."""
    real_open = os.open

    def open_late(path, flags, *args, **options):
        if path == "deep" and not (tree / "sub" / "deep").is_symlink():
            (tree / "sub" / "deep").rename(tree / "sub" / "before")
            (tree / "sub" / "deep").symlink_to(tree.parent)
        return real_open(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", open_late)
    with pytest.raises(FileNotFoundError):
        content(tree, ("sub", "deep", "secret.txt"))


def test_a_link_that_changes_after_it_was_resolved_is_refused(tree, monkeypatch):
    real_path = os.path.realpath

    def resolve(path, **options):
        found = real_path(path, **options)
        if found.endswith("a.txt"):
            (tree / "a.txt").unlink()
            (tree / "a.txt").symlink_to("../secret.txt")
        return found

    monkeypatch.setattr(os.path, "realpath", resolve)
    with pytest.raises(OSError) as caught:
        content(tree, ("in.txt",))
    assert caught.value.errno == errno.ELOOP


def test_it_works_where_nothing_is_opened_by_descriptor(tree, monkeypatch):
    monkeypatch.setattr(below, "_BY_DESCRIPTOR", False)
    assert content(tree, ("sub", "b.txt")) == PUBLIC
    assert content(tree, ("in.txt",)) == PUBLIC
    for parts in (("out.txt",), ("beside", "secret.txt"), ("hidden.txt",), ("git", "config")):
        with pytest.raises(FileNotFoundError):
            content(tree, parts)
    assert content(tree, ("out.txt",), follow=True) == SECRET


def test_no_descriptor_is_left_open(tree):
    def count():
        return len(os.listdir("/proc/self/fd"))

    before = count()
    for parts in (("a.txt",), ("sub", "deep", "c.txt"), ("in", "deep", "c.txt")):
        content(tree, parts)
    for parts in (("no",), ("sub", "no"), ("sub", "deep", "no", "no"), ("out", "secret.txt")):
        with pytest.raises(OSError):
            content(tree, parts)
    assert count() == before


PIECES = st.sampled_from(
    [
        *("..", ".", "/", "\\", "%2e", "%2f", "%5c", "%00", "%25", "%252e", "%252f", ":", "~", " "),
        *("a.txt", "sub", "deep", "b.txt", "out", "in", "up.txt", "beside", "secret.txt", "public"),
        *(".env", ".git", "hidden.txt", "etc", "passwd", "con", "%c0%ae", "\u2025", "\uff0e"),
    ]
)


@settings(max_examples=300)
@given(pieces=st.lists(PIECES, max_size=12))
def test_whatever_the_path_nothing_outside_is_opened(lasting_tree, pieces):
    root = lasting_tree
    for path in ("".join(pieces), "/".join(pieces)):
        parts = safe_parts(path)
        if parts is None:
            continue
        try:
            number = open_below(str(root), parts)
        except (OSError, ValueError):
            continue
        opened = os.path.realpath(f"/proc/self/fd/{number}")
        os.close(number)
        assert opened == str(root) or opened.startswith(f"{root}/")
        assert not {".env", ".git"} & set(opened.removeprefix(f"{root}/").split("/"))


@given(st.text(string.ascii_letters + string.digits + "./\\:%~ \0\u00e9\U0001f426", max_size=40))
def test_names_that_are_safe_are_names_only(path):
    parts = safe_parts(path)
    if parts is not None:
        assert "/".join(parts) == path
        for part in parts:
            assert part.strip(". ")
            assert not set(part) & set("/\\:\0")
