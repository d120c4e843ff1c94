"""Upload: a file that a client has sent in a form, and the name that it may have here."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import AsyncIterator
from io import BufferedReader
from pathlib import Path
from typing import Final

from finch.explain import kind
from finch.http.spool import PIECE, Region, Spool, in_thread

_EXISTS: Final = "{} exists already; choose another name, or write overwrite=True"
_LONGEST: Final = (
    200  # bytes of a file's name in UTF-8; file systems take 255, and you may add some
)
# What Windows or a shell would take for something else than a part of a name.
_SPECIAL: Final = re.compile('[<>:"|?*]')
_DEVICES: Final = re.compile(
    r"(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(?:\.|$)"
)


class Upload:
    """A file of a form. It exists until the request is answered: then Finch deletes it.

    Attributes:
        filename: the name that the client gives it, made safe: it is never a path. Empty if nothing
            is left of it.
        content_type: the media type that the client gives it. Nobody has checked it.
        size: its size in bytes.

    Example::

        @app.post("/photos")
        async def add(request):
            form = await request.form()
            await form["photo"].save(FOLDER / f"{uuid4()}.jpg")
    """

    __slots__ = ("_at", "_spool", "_start", "content_type", "filename", "size")

    def __init__(
        self, spool: Spool, filename: str, content_type: str, start: int = 0, size: int = 0
    ) -> None:
        self.filename = safe_filename(filename)
        self.content_type = content_type
        self.size = size
        self._spool = spool
        self._start = start
        self._at = 0

    async def read(self, n: int = -1) -> bytes:
        """The next bytes; ``b""`` at the end.

        Parameters:
            n: how many at the most; all that are left if it is negative.

        Raises:
            ValueError: if the request is already answered.
        """
        left = self.size - self._at
        piece = await self._spool.read(self._start + self._at, left if n < 0 else min(n, left))
        self._at += len(piece)
        return piece

    def seek(self, position: int) -> None:
        """Let :meth:`read` go on from another position, in bytes from the beginning."""
        self._at = max(0, min(position, self.size))

    def __aiter__(self) -> AsyncIterator[bytes]:
        """All of it, from the beginning, in pieces of 64 KiB."""
        return _Pieces(self._spool, self._start, self.size)

    async def save(self, path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
        """Write all of it to a file, in a thread.

        Parameters:
            path: where to. Choose the name yourself: clients send the same names, and any ending.
            overwrite: whether it may replace a file. It then does so in one step, at the end.

        Returns:
            The path.

        Raises:
            FileExistsError: if there is such a file, and ``overwrite`` is False.
            OSError: if it cannot be written; nothing is left of it then.
            ValueError: if the request is already answered.
        """
        if not isinstance(path, str | os.PathLike):
            raise TypeError(f"an upload is saved to a path, not {kind(path)}")
        target = Path(path)
        await in_thread(lambda: self._write_to(target, overwrite))
        return target

    def _write_to(self, target: Path, overwrite: bool) -> None:
        if target.is_dir():
            raise IsADirectoryError(f"{target} is a folder; write save(folder / name)")
        part = target
        if overwrite:  # nobody may see half of the new file, or lose the old one if this fails
            part = target.with_name(f".{target.name[:100]}.{os.urandom(6).hex()}.part")
        try:
            with part.open("xb") as file:
                self._spool.copy(self._start, self.size, file.write)
            if overwrite:
                part.replace(target)
        except FileExistsError:
            raise FileExistsError(_EXISTS.format(target)) from None
        except BaseException:
            part.unlink(missing_ok=True)
            raise

    def open(self) -> BufferedReader:
        """A file object to read it from the beginning, for libraries that want one, such as
        ``PIL.Image.open(upload.open())``. Reading may block, so use it in a ``def`` handler, or in
        ``trio.to_thread.run_sync``."""
        return BufferedReader(Region(self._spool, self._start, self.size), PIECE)

    def __repr__(self) -> str:
        return f"<Upload {self.filename!r} {self.content_type} of {self.size} bytes>"


class _Pieces:
    """Iterates over an upload. Unlike a generator, it need not be closed."""

    def __init__(self, spool: Spool, start: int, left: int) -> None:
        self._spool = spool
        self._at = start
        self._left = left

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        piece = await self._spool.read(self._at, min(PIECE, self._left))
        self._at, self._left = self._at + len(piece), self._left - len(piece)
        return piece


def safe_filename(name: str) -> str:
    """The part of a client's file name that may be the name of a file here; empty if there is none.

    It is only the last component, without control characters, without characters and names that
    are special on Windows, and without dots at the beginning or the end. It may still be that of
    another file.
    """
    name = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    # Cc: control characters; Cf: those that are not seen, or turn the direction of a text, so that
    # "gnp.exe" would be shown as "exe.png"; Cs: half of a character
    name = "".join(one for one in name if unicodedata.category(one) not in ("Cc", "Cf", "Cs"))
    name = " ".join(name.split())
    name = _SPECIAL.sub("_", name).lstrip(". ~-").rstrip(". ")
    if _DEVICES.match(name.lower()):
        name = f"_{name}"
    stem, dot, ending = name.rpartition(".")
    if not dot or len(ending.encode()) > 20:
        stem, dot, ending = name, "", ""
    room = _LONGEST - len((dot + ending).encode())
    return stem.encode()[:room].decode("utf-8", "ignore") + dot + ending
