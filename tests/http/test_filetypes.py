"""Media types of files: those of the web do not depend on the machine."""

import mimetypes

import pytest

from finch.http.filetypes import file_type


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("page.html", "text/html; charset=utf-8"),
        ("app.js", "text/javascript; charset=utf-8"),
        ("app.mjs", "text/javascript; charset=utf-8"),
        ("APP.JS", "text/javascript; charset=utf-8"),
        ("app.js.map", "application/json"),
        ("app.css", "text/css; charset=utf-8"),
        ("app.wasm", "application/wasm"),
        ("font.woff2", "font/woff2"),
        ("a.webp", "image/webp"),
        ("a.avif", "image/avif"),
        ("a.svg", "image/svg+xml"),
        ("site.webmanifest", "application/manifest+json"),
        ("data.json", "application/json"),
        ("archive.tar.gz", "application/gzip"),
        ("archive.tar.Z", "application/octet-stream"),
        ("unknown.xyzzy", "application/octet-stream"),
        ("README", "application/octet-stream"),
        ("js", "application/octet-stream"),
        ("data:text/html,x", "application/octet-stream"),
    ],
)
def test_the_type_of_a_name(name, found):
    assert file_type(name) == found


def test_what_the_machine_says_of_scripts_does_not_count(monkeypatch):
    monkeypatch.setattr(mimetypes, "guess_type", lambda name: ("text/plain", None))
    assert file_type("app.js") == "text/javascript; charset=utf-8"


def test_an_application_may_add_types():
    mimetypes.add_type("application/x-finch", ".finch")
    assert file_type("bird.finch") == "application/x-finch"
