"""Accept-Encoding, read once for all who compress."""

import pytest

from finch.http.encodings import compressible, ranked, weights


@pytest.mark.parametrize(
    ("header", "best_first"),
    [
        ("", []),
        ("gzip", ["gzip"]),
        ("gzip, deflate, br, zstd", ["br", "zstd", "gzip"]),  # a browser
        ("br;q=0.5, gzip", ["gzip", "br"]),
        ("br;q=0.5, gzip;q=0.5", ["br", "gzip"]),
        ("GZIP ; Q=0.1", ["gzip"]),
        ("x-gzip", ["gzip"]),
        ("gzip;q=0", []),
        ("gzip;q=0.000, br", ["br"]),
        ("*", ["br", "zstd", "gzip"]),
        ("*, br;q=0", ["zstd", "gzip"]),
        ("*;q=0, gzip", ["gzip"]),
        ("identity", []),
        ("identity, gzip;q=0.5", []),
        ("identity;q=0.5, gzip", ["gzip"]),
        ("identity;q=0", []),
        ("deflate", []),
        ("gzip;q=2", []),
        ("gzip;q=0.1234", []),
        ("gzip;q=-1, br", ["br"]),
        ("gzip;level=9", []),
        ("gzip gzip", []),
        (",,gzip,,", ["gzip"]),
        ("gzip;q=0, gzip", []),
        ("gzipped, brotli", []),
    ],
)
def test_the_codings_that_a_client_would_rather_have(header, best_first):
    assert ranked(header) == best_first


def test_only_what_is_available_is_offered():
    assert ranked("br, gzip", ("gzip",)) == ["gzip"]


def test_a_long_header_is_not_read_to_its_end():
    assert weights("x," * 10_000 + "gzip") == {"x": 1.0}


@pytest.mark.parametrize(
    "content_type",
    [
        *("text/html; charset=utf-8", "TEXT/CSS", "application/json", "image/svg+xml", "font/ttf"),
        *("application/wasm", "application/problem+json", "application/rss+xml"),
    ],
)
def test_text_and_its_like_are_worth_compressing(content_type):
    assert compressible(content_type)


@pytest.mark.parametrize(
    "content_type",
    [
        *("image/png", "video/mp4", "font/woff2", "application/zip", "text/event-stream", ""),
        *("application/octet-stream", "text/event-stream; charset=utf-8"),
    ],
)
def test_what_is_compressed_already_is_not_nor_is_a_stream_of_events(content_type):
    assert not compressible(content_type)
