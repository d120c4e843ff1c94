"""Directories of files as clients see them: caching, codings, start pages, other clients."""

import gzip
import os
import re
import subprocess
from functools import partial

import httpx
import pytest
import trio

from finch import ConfigurationError, FileResponse, FinchApp, HTTPError
from finch.http.static import HASHED
from finch.testing import TestClient
from tests.conftest import need

LONG_AGO = 1_700_000_000
LARGE = os.urandom(300_000)
SCRIPT = b"let bird = 'finch';\n" * 50


def write(path, content, modified=LONG_AGO):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (modified, modified))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "assets"
    write(root / "app.js", SCRIPT)
    write(root / "app.3f9a1c2b.js", SCRIPT)
    write(root / "logo.png", b"not really")
    write(root / "large.bin", LARGE)
    write(root / "empty.txt", b"")
    write(root / "docs" / "index.html", b"<p>start</p>")
    write(root / "docs" / "page.html", b"<p>page</p>")
    write(root / "bare" / "a.txt", b"a")
    return root


@pytest.fixture
def app(folder):
    app = FinchApp()
    app.static("/assets", folder)
    return app


def coded(folder, name, **ages):
    """Write the file compressed, in fact or in name, for each coding."""
    for extension, content in {
        "gz": gzip.compress(SCRIPT),
        "br": b"brotli",
        "zst": b"zstd",
    }.items():
        if extension in ages:
            write(folder / f"{name}.{extension}", content, ages[extension])


# Caching


async def test_a_file_is_asked_for_again_by_its_tag_or_date(app):
    async with TestClient(app) as client:
        response = await client.get("/assets/app.js")
        assert response.status == 200
        assert response.body == SCRIPT
        assert response.headers["content-type"] == "text/javascript; charset=utf-8"
        assert response.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
        assert response.headers["cache-control"] == "no-cache"
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["accept-ranges"] == "bytes"
        tag, date = response.headers["etag"], response.headers["last-modified"]
        for known in ({"if-none-match": tag}, {"if-modified-since": date}):
            response = await client.get("/assets/app.js", headers=known)
            assert (response.status, response.body) == (304, b"")
            assert response.headers["etag"] == tag
            assert response.headers["vary"] == "accept-encoding"
            assert response.headers["cache-control"] == "no-cache"
            assert "content-type" not in response.headers


async def test_a_changed_file_has_another_tag_though_length_and_time_are_the_same(app, folder):
    async with TestClient(app) as client:
        before = (await client.get("/assets/app.js")).headers["etag"]
        write(folder / "app.js", SCRIPT.swapcase())
        response = await client.get("/assets/app.js", headers={"if-none-match": before})
        assert response.status == 200
        assert response.headers["etag"] != before


async def test_a_large_file_has_a_tag_by_time_and_length(app, folder):
    async with TestClient(app) as client:
        before = (await client.get("/assets/large.bin")).headers["etag"]
        assert not before.startswith("W/")
        assert (
            await client.get("/assets/large.bin", headers={"if-none-match": before})
        ).status == 304
        write(folder / "large.bin", LARGE, LONG_AGO + 1)
        assert (
            await client.get("/assets/large.bin", headers={"if-none-match": before})
        ).status == 200


async def test_what_has_just_changed_has_no_date_and_if_large_a_weak_tag(app, folder):
    (folder / "app.js").write_bytes(SCRIPT)
    (folder / "large.bin").write_bytes(LARGE)
    async with TestClient(app) as client:
        assert "last-modified" not in (await client.get("/assets/app.js")).headers
        response = await client.get("/assets/large.bin")
        assert "last-modified" not in response.headers
        assert response.headers["etag"].startswith("W/")
        part = {"range": "bytes=0-9", "if-range": response.headers["etag"]}
        assert (await client.get("/assets/large.bin", headers=part)).status == 200


async def test_a_file_with_a_hash_in_its_name_is_kept_for_a_year(app):
    async with TestClient(app) as client:
        response = await client.get("/assets/app.3f9a1c2b.js")
        assert response.headers["cache-control"] == "max-age=31536000, immutable"


@pytest.mark.parametrize(
    "name",
    [
        *(
            "app.3f9a1c2b.js",
            "app-3f9a1c2b.css",
            "app.3f9a1c2b.js.map",
            "a.b.0123456789abcdef.woff2",
        ),
        f"app.{'0a' * 32}.js",
    ],
)
def test_names_that_have_a_hash(name):
    assert re.search(HASHED, name)


@pytest.mark.parametrize(
    "name",
    [
        *(
            "app.js",
            "app-settings.js",
            "log-20240131.txt",
            "app.3f9a1c2.js",
            "3f9a1c2b.js",
            "x.deadbeef.js",
        ),
        *(
            "a-3F9A1C2B.js",
            "avatar-550e8400-e29b-41d4-a716-4466554400ab.jpg",
            "app.3f9a1c2b",
            "v1.2.3.js",
        ),
        f"app.{'0a' * 33}.js",
    ],
)
def test_names_that_may_change(name):
    assert not re.search(HASHED, name)


async def test_the_application_says_how_long_files_are_kept(folder):
    app = FinchApp()
    app.static("/a", folder, max_age=3600, immutable=r"^logo\.")
    app.static("/b", folder, immutable=False)
    async with TestClient(app) as client:
        assert (await client.get("/a/app.js")).headers["cache-control"] == "max-age=3600"
        assert "immutable" in (await client.get("/a/logo.png")).headers["cache-control"]
        assert (await client.get("/b/app.3f9a1c2b.js")).headers["cache-control"] == "no-cache"


# Codings


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("gzip, deflate, br, zstd", "br"),
        ("gzip, zstd", "zstd"),
        ("gzip", "gzip"),
        ("br;q=0.1, gzip;q=0.9", "gzip"),
        ("br;q=0, *", "zstd"),
        ("identity, br;q=0.5", None),
        ("deflate", None),
    ],
)
async def test_a_compressed_file_beside_is_sent_to_who_accepts_it(app, folder, accepted, coding):
    coded(folder, "app.js", br=LONG_AGO, zst=LONG_AGO, gz=LONG_AGO)
    async with TestClient(app) as client:
        headers = {} if accepted is None else {"accept-encoding": accepted}
        response = await client.get("/assets/app.js", headers=headers)
        assert response.headers.get("content-encoding") == coding
        assert response.headers["content-type"] == "text/javascript; charset=utf-8"
        assert response.headers["vary"] == "accept-encoding"
        name = {"br": "app.js.br", "zstd": "app.js.zst", "gzip": "app.js.gz", None: "app.js"}[
            coding
        ]
        assert response.body == (folder / name).read_bytes()


async def test_each_coding_has_a_tag_and_length_of_its_own(app, folder):
    coded(folder, "app.js", gz=LONG_AGO)
    async with TestClient(app) as client:
        plain = await client.request("HEAD", "/assets/app.js")
        zipped = await client.request("HEAD", "/assets/app.js", headers={"accept-encoding": "gzip"})
        assert plain.headers["etag"] != zipped.headers["etag"]
        assert int(plain.headers["content-length"]) == len(SCRIPT)
        assert int(zipped.headers["content-length"]) == (folder / "app.js.gz").stat().st_size
        known = {"if-none-match": plain.headers["etag"], "accept-encoding": "gzip"}
        assert (await client.get("/assets/app.js", headers=known)).status == 200


async def test_a_compressed_file_that_was_forgotten_is_not_sent(app, folder):
    coded(folder, "app.js", gz=LONG_AGO - 10)
    async with TestClient(app) as client:
        response = await client.get("/assets/app.js", headers={"accept-encoding": "gzip"})
        assert response.body == SCRIPT


async def test_without_its_original_a_compressed_file_is_only_itself(app, folder):
    coded(folder, "other.js", gz=LONG_AGO)
    async with TestClient(app) as client:
        accepts = {"accept-encoding": "gzip"}
        assert (await client.get("/assets/other.js", headers=accepts)).status == 404
        response = await client.get("/assets/other.js.gz", headers=accepts)
        assert response.headers["content-type"] == "application/gzip"
        assert "content-encoding" not in response.headers


async def test_a_compressed_directory_or_link_out_is_not_sent(app, folder):
    (folder / "app.js.br").mkdir()
    (folder.parent / "secret").write_bytes(b"secret")
    (folder / "app.js.gz").symlink_to("../secret")
    async with TestClient(app) as client:
        response = await client.get("/assets/app.js", headers={"accept-encoding": "br, gzip"})
        assert response.body == SCRIPT


async def test_nothing_is_looked_for_beside_an_image_or_if_the_application_says_so(folder):
    app = FinchApp()
    app.static("/a", folder)
    app.static("/b", folder, precompressed=False)
    coded(folder, "logo.png", gz=LONG_AGO)
    coded(folder, "app.js", gz=LONG_AGO)
    async with TestClient(app) as client:
        for path in ("/a/logo.png", "/b/app.js"):
            response = await client.get(path, headers={"accept-encoding": "gzip"})
            assert "content-encoding" not in response.headers
            assert "vary" not in response.headers


# Start pages


async def test_a_directory_has_its_start_page_with_a_slash_at_the_end(app):
    async with TestClient(app) as client:
        response = await client.get("/assets/docs/")
        assert (response.status, response.body) == (200, b"<p>start</p>")
        response = await client.get("/assets/docs?lang=en&x=%2F")
        assert response.status == 307
        assert response.headers["location"] == "./docs/?lang=en&x=%2F"
        for path in ("/assets", "/assets/", "/assets/bare", "/assets/bare/", "/assets/app.js/"):
            assert (await client.get(path)).status == 404


async def test_a_whole_site_at_the_root_and_handlers_before_it(folder):
    write(folder / "index.html", b"home")
    app = FinchApp()

    @app.get("/birds")
    async def birds(request):
        return "birds"

    app.static("/", folder)
    async with TestClient(app) as client:
        assert (await client.get("/")).body == b"home"
        assert (await client.get("/birds")).body == b"birds"
        assert (await client.get("/docs/")).body == b"<p>start</p>"
        assert (await client.get("//example.com/")).status == 404  # no redirect to another host
        assert (await client.get("//docs")).status == 404


@pytest.mark.parametrize("first", ["static", "handler"])
async def test_a_handler_of_the_same_path_takes_the_place_of_the_start_page(folder, first):
    write(folder / "index.html", b"home")
    app = FinchApp()

    async def index(request):
        return "from a handler"

    if first == "static":
        app.static("/", folder)
    app.get("/")(index)
    if first == "handler":
        app.static("/", folder)
    async with TestClient(app) as client:
        assert (await client.get("/")).text == "from a handler"
        assert (await client.get("/app.js")).body == SCRIPT


async def test_start_pages_can_be_switched_off(folder):
    app = FinchApp()
    app.static("/assets", folder, html=False)
    async with TestClient(app) as client:
        for path in ("/assets/docs", "/assets/docs/", "/assets", "/assets/"):
            assert (await client.get(path)).status == 404
        assert (await client.get("/assets/docs/index.html")).status == 200


async def test_a_start_page_gives_way_for_its_own_method_only(folder):
    write(folder / "index.html", b"home")
    app = FinchApp()
    app.static("/", folder)

    @app.post("/")
    async def sent(request):
        return "sent"

    async with TestClient(app) as client:
        assert (await client.get("/")).body == b"home"
        assert (await client.post("/")).text == "sent"


# Guards, groups and names


def no_entry(request):
    raise HTTPError(401, "who are you?")


PATHS = ["/docs/", "/docs", "/app.js", "/", "", "/none"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("level", ["app", "group", "files"])
async def test_guards_are_for_start_pages_as_well(folder, path, level):
    write(folder / "index.html", b"home")
    app = FinchApp(auth=no_entry if level == "app" else None)
    group = app.group("/team", auth=no_entry if level == "group" else None)
    group.static("/files", folder, auth=no_entry if level == "files" else None)
    async with TestClient(app) as client:
        assert (await client.get(f"/team/files{path}")).status == 401


async def test_what_a_user_gets_is_kept_by_no_cache_that_others_use(folder):
    app = FinchApp()
    app.static("/files", folder, auth=lambda request: "ann")

    @app.get("/file", auth=lambda request: "ann")
    async def file(request):
        return FileResponse(folder / "app.js", max_age=60)

    async with TestClient(app) as client:
        for path, kept in {
            "/files/app.js": "private, no-cache",
            "/files/app.3f9a1c2b.js": "private, max-age=31536000, immutable",
            "/file": "private, max-age=60",
        }.items():
            assert (await client.get(path)).headers["cache-control"] == kept


async def test_a_group_may_be_a_directory_and_have_parameters(folder):
    write(folder / "index.html", b"home")
    app = FinchApp()
    app.group("/of/{user_id:int}").static("/files", folder)
    app.group("/assets").static("", folder)
    async with TestClient(app) as client:
        assert (await client.get("/of/7/files/app.js")).body == SCRIPT
        assert (await client.get("/of/7/files/")).body == b"home"
        assert (await client.get("/of/x/files/app.js")).status == 404
        assert (await client.get("/assets/app.js")).body == SCRIPT
        assert (await client.get("/assets/")).body == b"home"


async def test_the_path_of_a_file_by_the_key_of_its_directory(folder):
    app = FinchApp()
    app.static("/assets", folder, key="assets")
    assert app.path_for("assets", path="css/my site.css") == "/assets/css/my%20site.css"


# Methods, and what may go wrong


async def test_files_are_read_only(app):
    async with TestClient(app) as client:
        response = await client.post("/assets/app.js")
        assert response.status == 405
        assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_an_empty_file(app):
    async with TestClient(app) as client:
        response = await client.get("/assets/empty.txt")
        assert (response.status, response.body) == (200, b"")
        response = await client.get("/assets/empty.txt", headers={"range": "bytes=0-"})
        assert response.status == 416
        assert response.headers["content-range"] == "bytes */0"


@pytest.mark.parametrize(
    ("number", "status"), [(13, 403), (1, 403), (24, 503), (23, 503), (5, 500), (36, 404)]
)
async def test_what_the_system_says_has_a_status(app, monkeypatch, number, status, caplog):
    def refuse(*args, **options):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr("finch.http.static.open_below", refuse)
    async with TestClient(app) as client:
        response = await client.get("/assets/app.js")
    assert response.status == status
    assert ("raised" in caplog.text) == (status == 500)


async def test_an_error_page_is_the_applications(app):
    @app.error_handler(404)
    async def missing(request, error):
        return "no such file"

    async with TestClient(app) as client:
        response = await client.get("/assets/nothing.js")
        assert (response.status, response.text) == (404, "no such file")


@pytest.mark.parametrize(
    ("arguments", "options", "said"),
    [
        (("/a", "no-such-directory"), {}, "there is no directory"),
        (("/a", __file__), {}, "there is no directory"),
        (("/a", None), {}, "is a path, not None"),
        (("/a/{b}", "."), {}, "FileResponse"),
        (("a", "."), {}, "'/a'"),
        (("/a", "."), {"max_age": "1h"}, "whole number of seconds"),
        (("/a", "."), {"max_age": -1}, "0 seconds or more"),
        (("/a", "."), {"immutable": "("}, "regular expression"),
        (("/a", "."), {"immutable": 3}, "regular expression"),
    ],
)
def test_a_mistake_is_told_when_the_files_are_declared(arguments, options, said):
    with pytest.raises(ConfigurationError, match=re.escape(said)):
        FinchApp().static(*arguments, **options)


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="listing"):
        FinchApp().static("/a", ".", listing=True)


def test_two_directories_at_one_path_are_refused(folder):
    app = FinchApp()
    app.static("/a", folder)
    with pytest.raises(ConfigurationError, match="already has a handler"):
        app.static("/a", folder)


# Clients that were not written here


async def test_httpx_reads_revalidates_and_resumes(app, serve):
    async with serve(app) as running, httpx.AsyncClient(base_url=running.http) as client:
        response = await client.get("/assets/large.bin")
        assert response.content == LARGE
        known = {"if-none-match": response.headers["etag"]}
        assert (await client.get("/assets/large.bin", headers=known)).status_code == 304
        part = {"range": "bytes=100000-", "if-range": response.headers["etag"]}
        rest = await client.get("/assets/large.bin", headers=part)
        assert (rest.status_code, rest.content) == (206, LARGE[100_000:])
        assert rest.headers["content-range"] == "bytes 100000-299999/300000"
        head = await client.head("/assets/large.bin")
        assert (head.headers["content-length"], head.content) == ("300000", b"")
        write_gzip = await client.get("/assets/docs", follow_redirects=True)
        assert write_gzip.text == "<p>start</p>"


async def test_httpx_unpacks_what_is_compressed(app, folder, serve):
    coded(folder, "app.js", gz=LONG_AGO)
    async with serve(app) as running, httpx.AsyncClient(base_url=running.http) as client:
        response = await client.get("/assets/app.js", headers={"accept-encoding": "gzip"})
        assert response.headers["content-encoding"] == "gzip"
        assert response.content == SCRIPT


async def curl(*arguments):
    done = await trio.run_process(
        [need("curl", "apt-get install curl"), "-sS", *map(str, arguments)],
        capture_stdout=True,
        stderr=subprocess.STDOUT,
    )
    return done.stdout


async def test_curl_resumes_asks_by_date_and_asks_for_the_head(app, folder, tmp_path, serve):
    out = tmp_path / "out.bin"
    async with serve(app) as running:
        url = f"{running.http}/assets/large.bin"
        out.write_bytes(LARGE[:123_456])
        await curl("-C", "-", "-o", out, url)
        assert out.read_bytes() == LARGE
        assert await curl("-r", "0-9", url) == LARGE[:10]
        assert await curl("-r", "-10", url) == LARGE[-10:]
        status = partial(curl, "-o", "/dev/null", "-w", "%{http_code} %{size_download}")
        newer = tmp_path / "newer"
        write(newer, b"", LONG_AGO + 100)
        assert await status("-z", newer, url) == b"304 0"
        write(newer, b"", LONG_AGO - 100)
        assert await status("-z", newer, url) == b"200 300000"
        assert await status("-I", url) == b"200 0"
        assert await status("-r", "300000-", url) == b"416 21"
        etags = tmp_path / "etags"
        await curl("--etag-save", etags, "-o", out, url)
        assert await status("--etag-compare", etags, url) == b"304 0"
        assert await status("--path-as-is", f"{running.http}/assets/../assets.py") == b"404 9"
        assert await status("-0", url) == b"200 300000"


async def test_a_folder_of_the_application_is_served_at_its_name(tmp_path):
    (tmp_path / "assets").mkdir()
    (tmp_path / "assets" / "site.css").write_text("p {}")

    async with TestClient(FinchApp(static=tmp_path / "assets")) as client:
        assert (await client.get("/assets/site.css")).text == "p {}"
