"""The spool of one form: holds the bytes of its uploads in memory, and on disk if they are many.

All uploads of a form are in one spool, one after another, so that a form with a thousand files
costs one file descriptor, and not a thousand. The file has no name: it is gone as soon as it is
closed, even if the process is killed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from io import RawIOBase
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from finch.config import KIB, MIB
from finch.http.disk import DiskThreads

if TYPE_CHECKING:
    from io import FileIO

    from _typeshed import WriteableBuffer

T = TypeVar("T")

IN_MEMORY: Final = 256 * KIB
"""Bytes of a form's uploads that are kept in memory; more go to disk. Also how many are written to
disk at a time: a switch to a thread costs about as much as writing this many bytes."""

PIECE: Final = 64 * KIB
"""Bytes that are read at a time."""

_COPIED: Final = 1 * MIB  # bytes that are copied at a time, in a thread

in_thread = DiskThreads("finch disk threads", abandons=False).run
"""Calls a function that may wait for the disk. It is not abandoned if the task is cancelled."""

GONE: Final = (
    "the request is already answered, and its uploads are gone; read or save an upload before the "
    "handler returns"
)


class Spool:
    """What the uploads of one form hold.

    Attributes:
        size: the number of bytes.
    """

    __slots__ = ("_closed", "_file", "_lock", "_memory", "_on_disk", "size")

    def __init__(self) -> None:
        self.size = 0
        self._memory = bytearray()  # what comes after the bytes on disk
        self._file: FileIO | None = None
        self._on_disk = 0
        self._closed = False
        # Without it, a thread might read while the file is being closed: from the next file that
        # gets the same descriptor.
        self._lock = threading.Lock()

    async def write(self, data: bytes) -> None:
        """Add bytes at the end.

        Raises:
            OSError: if the disk takes no more.
        """
        self._memory += data
        self.size += len(data)
        if len(self._memory) >= IN_MEMORY:
            await self._spill()

    async def finish(self) -> None:
        """Nothing more is written."""
        if self._file is not None and self._memory:
            await self._spill()

    async def _spill(self) -> None:
        await in_thread(lambda: self._append(bytes(self._memory)))
        self._memory.clear()

    def _append(self, data: bytes) -> None:
        if self._file is None:
            from tempfile import TemporaryFile  # few requests need it

            self._file = TemporaryFile(buffering=0)  # noqa: SIM115  closed by _close
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]
        self._on_disk += len(data)

    @property
    def blocks(self) -> bool:
        """Whether reading waits for the disk."""
        return self._file is not None

    def read_now(self, start: int, count: int) -> bytes:
        """Read in this thread. It may block, and give fewer bytes than are wanted.

        Raises:
            ValueError: if the spool is closed.
        """
        with self._lock:
            if self._closed:
                raise ValueError(GONE)
            if self._file is None:
                return bytes(self._memory[start : start + count])
            self._file.seek(start)
            return self._file.read(count)

    async def read(self, start: int, count: int) -> bytes:
        """Read these bytes, in a thread if they are on disk.

        Raises:
            ValueError: if the spool is closed.
        """
        if not self.blocks:
            return self.read_now(start, count)
        return await in_thread(lambda: b"".join(self.pieces(start, count)))

    def pieces(self, start: int, count: int) -> list[bytes]:
        """Read these bytes in this thread, in pieces."""
        found = []
        while count > 0 and (piece := self.read_now(start, min(count, _COPIED))):
            found.append(piece)
            start, count = start + len(piece), count - len(piece)
        return found

    def copy(self, start: int, count: int, write: Callable[[bytes], object]) -> None:
        """Give these bytes to a function, in this thread."""
        while count > 0 and (piece := self.read_now(start, min(count, _COPIED))):
            write(piece)
            start, count = start + len(piece), count - len(piece)

    async def aclose(self) -> None:
        """Close it, and delete what is on disk, even if the task is being cancelled."""
        if self._file is None or self._file.closed:
            self._close()
            return
        with trio.CancelScope(shield=True):  # freeing the blocks of a large file takes a moment
            await in_thread(self._close)

    def _close(self) -> None:
        with self._lock:
            self._closed = True
            self._memory = bytearray()
            if self._file is not None:
                self._file.close()


class Region(RawIOBase):
    """A part of a spool as a file of Python's, which blocks.

    Parameters:
        spool: the spool.
        start, size: which bytes of it.
    """

    def __init__(self, spool: Spool, start: int, size: int) -> None:
        self._spool = spool
        self._start = start
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        """Always."""
        return True

    def seekable(self) -> bool:
        """Always."""
        return True

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to another position, as in any file of Python's."""
        at = offset + (0, self._at, self._size)[whence]
        if at < 0:
            raise ValueError(f"the position {at} is before the beginning")
        self._at = at
        return at

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Read into a buffer; how many bytes were read."""
        view = memoryview(buffer).cast("B")
        count = min(len(view), self._size - self._at)
        piece = self._spool.read_now(self._start + self._at, count) if count > 0 else b""
        view[: len(piece)] = piece
        self._at += len(piece)
        return len(piece)
