"""An open file on its way to a peer: its descriptor, and the threads that wait for disks.

Nothing here waits for a disk in the event loop. A descriptor is closed exactly once: by its owner,
or by the thread that still reads from it when the owner lets go.
"""

from __future__ import annotations

import os
import threading
from typing import Final

from finch.http.disk import DiskThreads
from finch.net.slices import FileEnded, FileSlice

SLICE: Final = 256 * 1024
"""Bytes of a file that are sent or read at a time. Each slice that is read takes this much memory,
and a change of threads, which takes about 0.1 ms."""

in_thread = DiskThreads("finch file threads", abandons=True).run
"""Calls a function that waits for a disk. If the caller is cancelled, the function is left to
itself: whatever it opens, it must close then."""


class Descriptor:
    """A file's descriptor, which is closed when its owner lets go and nobody reads from it."""

    __slots__ = ("_lock", "_number", "_readers", "closed")

    def __init__(self, number: int) -> None:
        self._number = number
        self._lock = threading.Lock()
        self._readers = 0
        self.closed = False

    @property
    def number(self) -> int:
        """The number, for a call that does not wait."""
        return self._number

    def read(self, count: int, offset: int) -> bytes:
        """Read bytes at an offset; fewer only at the end of the file. It may wait for the disk.

        Raises:
            OSError: if the disk fails.
        """
        with self._lock:
            if self.closed:
                return b""
            self._readers += 1
        try:
            data = os.pread(self._number, count, offset)
            while 0 < len(data) < count:
                more = os.pread(self._number, count - len(data), offset + len(data))
                if not more:
                    break
                data += more
            return data
        finally:
            self._end_reading()

    def _end_reading(self) -> None:
        with self._lock:
            self._readers -= 1
            last = self.closed and not self._readers
        if last:
            os.close(self._number)

    def close(self) -> None:
        """Let go of it; the second time, nothing happens."""
        with self._lock:
            if self.closed:
                return
            self.closed = True
            unused = not self._readers
        if unused:
            os.close(self._number)

    def is_cached(self, offset: int, count: int) -> bool:
        """Whether a slice is probably in memory, so that sending it does not wait for the disk.

        Only its ends are looked at, since the kernel reads ahead. False if the system cannot tell.
        """
        if not hasattr(os, "RWF_NOWAIT"):
            return False
        byte = [bytearray(1)]
        try:
            for place in (offset, offset + count - 1):
                os.preadv(self._number, byte, place, os.RWF_NOWAIT)
        except OSError:  # BlockingIOError: it is not in memory; others: the disk cannot tell
            return False
        return True


class FileChunks:
    """The bytes of an open file, slice by slice. An async iterator that closes the file at its end.

    Parameters:
        file: the file; this object owns it from now on.
        offset, count: the part of it that is sent.
        name: for the error.

    Attributes:
        by_kernel: whether the reader takes a ``FileSlice``, which the kernel sends, instead of
            bytes. It gets one for each slice that is in memory already; other slices are read in a
            thread and come as bytes.

    Raises:
        FileEnded: from the iteration, if the file is shorter than ``offset + count``. The head of
            the response has promised the length already.
    """

    def __init__(self, file: Descriptor, offset: int, count: int, name: str) -> None:
        self._file = file
        self._offset = offset
        self._left = count
        self._name = name
        self.by_kernel = False

    def __aiter__(self) -> FileChunks:
        return self

    async def __anext__(self) -> bytes | FileSlice:
        if not self._left:
            await self.aclose()
            raise StopAsyncIteration
        offset, count = self._offset, min(self._left, SLICE)
        self._offset += count
        self._left -= count
        if self.by_kernel and self._file.is_cached(offset, count):
            return FileSlice(self._file.number, offset, count, self._name)
        data = await in_thread(lambda: self._file.read(count, offset))
        if len(data) < count:
            raise FileEnded(self._name)
        return data

    async def aclose(self) -> None:
        """Close the file. It never waits."""
        self._file.close()
