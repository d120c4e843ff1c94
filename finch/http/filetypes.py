"""Media types of files, by the extensions of their names.

The types that the web needs are in a table, because what ``mimetypes`` says depends on the files of
the machine: some give ``.js`` as ``text/plain``, which browsers refuse for a module. Other
extensions are looked up there, so ``mimetypes.add_type`` adds to them.
"""

from __future__ import annotations

from typing import Final

BYTES: Final = "application/octet-stream"

_TYPES: Final = {
    "aac": "audio/aac",
    "apng": "image/apng",
    "avif": "image/avif",
    "bin": BYTES,
    "bmp": "image/bmp",
    "br": BYTES,
    "bz2": "application/x-bzip2",
    "cjs": "text/javascript",
    "css": "text/css",
    "csv": "text/csv",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "eot": "application/vnd.ms-fontobject",
    "epub": "application/epub+zip",
    "exe": BYTES,
    "flac": "audio/flac",
    "gif": "image/gif",
    "glb": "model/gltf-binary",
    "gltf": "model/gltf+json",
    "gz": "application/gzip",
    "htm": "text/html",
    "html": "text/html",
    "ico": "image/vnd.microsoft.icon",
    "ics": "text/calendar",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "js": "text/javascript",
    "json": "application/json",
    "jsonld": "application/ld+json",
    "jxl": "image/jxl",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "m4v": "video/mp4",
    "map": "application/json",
    "md": "text/markdown",
    "mjs": "text/javascript",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "otf": "font/otf",
    "pdf": "application/pdf",
    "png": "image/png",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "rss": "application/rss+xml",
    "rtf": "application/rtf",
    "svg": "image/svg+xml",
    "tar": "application/x-tar",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "ts": "video/mp2t",
    "ttf": "font/ttf",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "wasm": "application/wasm",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "webmanifest": "application/manifest+json",
    "webp": "image/webp",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "xhtml": "application/xhtml+xml",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "xml": "application/xml",
    "xz": "application/x-xz",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "zip": "application/zip",
    "zst": "application/zstd",
}


def file_type(name: str) -> str:
    """The media type of a file with this name; ``application/octet-stream`` if it is unknown. Text
    has ``charset=utf-8``.

    It may read the machine's tables of types, so call it in a thread.

    Example::

        file_type("app.mjs")  # "text/javascript; charset=utf-8"
    """
    _, dot, extension = name.rpartition(".")
    found = _TYPES.get(extension.lower()) if dot else None
    if found is None:
        found = _looked_up(name)
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def _looked_up(name: str) -> str:
    import mimetypes  # slow to import, and slow when first used

    found, coding = mimetypes.guess_type(f"./{name}")
    # With a coding (.Z), the type is that of the content inside: a browser would unpack nothing.
    return found if found and not coding else BYTES
