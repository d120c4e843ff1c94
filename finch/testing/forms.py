"""Encodes a form as a browser does: what tests give as ``data`` and ``files``."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

FormItems = Mapping[str, Any] | Iterable[tuple[str, Any]]


def urlencoded(data: FormItems) -> bytes:
    """A form without files.

    Parameters:
        data: names and values; a list of values sends one field for each.
    """
    return urlencode(_fields(data)).encode()


def multipart(data: FormItems, files: FormItems) -> tuple[bytes, str]:
    """A form with files, and its Content-Type.

    Parameters:
        data: the fields, as for :func:`urlencoded`.
        files: names, and for each a file: bytes, text, a file object, ``(filename, content)`` or
            ``(filename, content, content_type)``; or a list of such files.

    Source: RFC 7578; WHATWG HTML, multipart form data.
    """
    boundary = f"----finch{os.urandom(12).hex()}"
    lines: list[bytes] = []
    for name, value in _fields(data):
        lines += [f"--{boundary}\r\n{_disposition(name)}\r\n\r\n".encode(), value.encode(), b"\r\n"]
    for name, given in _pairs(files):
        for file in given if isinstance(given, list) else [given]:
            filename, content, content_type = _file(name, file)
            head = f"{_disposition(name)}; filename={_quoted(filename)}"
            head += f"\r\nContent-Type: {content_type}"
            lines += [f"--{boundary}\r\n{head}\r\n\r\n".encode(), content, b"\r\n"]
    lines.append(f"--{boundary}--\r\n".encode())
    return b"".join(lines), f"multipart/form-data; boundary={boundary}"


def _pairs(given: FormItems) -> Iterable[tuple[str, Any]]:
    return given.items() if isinstance(given, Mapping) else given


def _fields(data: FormItems) -> list[tuple[str, str]]:
    fields = []
    for name, given in _pairs(data):
        for value in given if isinstance(given, list | tuple) else [given]:
            if isinstance(value, bytes) or not isinstance(value, str | int | float):
                raise TypeError(
                    f"a field of a form is text: {name!r} is {value!r}; give a file in files="
                )
            # as httpx and browsers' checkboxes in scripts: true, not True
            fields.append((name, str(value).lower() if isinstance(value, bool) else str(value)))
    return fields


def _file(name: str, file: Any) -> tuple[str, bytes, str]:
    filename, content, content_type = name, file, None
    if isinstance(file, tuple):
        filename, content, content_type = (*file, None)[:3]
    elif hasattr(file, "name"):
        filename = os.path.basename(str(file.name))
    if hasattr(content, "read"):
        content = content.read()
    if isinstance(content, str):
        content = content.encode()
    if not isinstance(content, bytes | bytearray | memoryview):
        raise TypeError(
            f"the file {name!r} is {file!r}; write bytes, or (filename, bytes), or (filename, "
            "bytes, content_type)"
        )
    guessed = mimetypes.guess_type(filename)[0] or "application/octet-stream"
    return filename, bytes(content), content_type or guessed


def _disposition(name: str) -> str:
    return f"Content-Disposition: form-data; name={_quoted(name)}"


def _quoted(text: str) -> str:
    escaped = text.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")
    return f'"{escaped}"'
