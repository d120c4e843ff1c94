"""Parts of files that the kernel sends to a peer, without copying them into this process."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final, NamedTuple

# sendfile() fails with these because of the file; all other errors are the peer's.
_OF_THE_FILE: Final = frozenset(
    (errno.EBADF, errno.EINVAL, errno.EIO, errno.ENOMEM, errno.ENOSYS, errno.ESTALE)
)


class FileSlice(NamedTuple):
    """A part of an open file.

    Attributes:
        file: its descriptor.
        offset, size: the part, in bytes.
        name: the name of the file, for errors.
    """

    file: int
    offset: int
    size: int
    name: str


class FileEnded(Exception):
    """A file became shorter while it was sent, so its response cannot be completed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the file {name} became shorter while it was sent")


def send_slice(sock: socket.socket, part: FileSlice, done: int) -> int | None:
    """Send what can be sent without waiting.

    Parameters:
        done: how many bytes of the part were sent before.

    Returns:
        The number of bytes; 0 if the peer takes nothing now, None if it is gone.

    Raises:
        FileEnded: if the file is shorter.
        OSError: if it cannot be read.
    """
    try:
        sent = os.sendfile(sock.fileno(), part.file, part.offset + done, part.size - done)
    except BlockingIOError:
        return 0
    except OSError as error:
        if error.errno in _OF_THE_FILE:
            raise
        return None
    if not sent:
        raise FileEnded(part.name)
    return sent
