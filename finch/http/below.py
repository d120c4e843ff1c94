"""Opens files below a directory, and never one outside of it.

Two locks, and each would be enough for most attacks:

- A name is judged before any file is touched: ``safe_parts`` refuses all that some system reads as
  more than a name, on every system, so that what runs on one machine is safe on another.
- A file is opened component by component, each from the descriptor of the one before, and no
  component may be a symbolic link (``O_NOFOLLOW``). So nobody can exchange a directory for a link
  between a check and its use: there is no such moment.

If a component is a link, the kernel refuses it. Then the path is resolved; if the result is below
the directory, it is opened the same way. By then it has no links, and if it has one after all, that
one is new, and refused.

Everything here may wait for a disk: call it in a thread.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Final

_NOT_IN_NAMES: Final = re.compile(r"[\x00-\x1f\x7f/\\:]")  # : for drives and alternate streams
_DEVICE: Final = re.compile(  # Windows opens these whatever the extension, in any directory
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])[ ]*(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)
_WELL_KNOWN: Final = ".well-known"  # RFC 8615: the only hidden directory that is for everybody

# O_NONBLOCK: opening a FIFO would wait for a writer. O_NOCTTY: a terminal would become ours.
_ANY: Final = (
    os.O_RDONLY
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
    | getattr(os, "O_BINARY", 0)
)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_FOLDER: Final = getattr(os, "O_DIRECTORY", 0)
_BY_DESCRIPTOR: Final = os.open in os.supports_dir_fd and bool(_NO_LINK and _FOLDER)


def safe_parts(path: str) -> tuple[str, ...] | None:
    """The names that a path below a directory consists of; None if it could mean anything else.

    Parameters:
        path: as from a URL, percent-decoded once, without a slash at its begin and end.

    Refused are empty names, ``.``, ``..`` and all hidden names but ``.well-known`` at the begin;
    control characters, backslashes and colons; names that end with a dot or space, and the names
    of devices on Windows.

    Example::

        safe_parts("css/site.css")  # ("css", "site.css")
        safe_parts("css/../../secret")  # None
    """
    parts = tuple(path.split("/"))
    for part in parts:
        if (
            not part
            or (part[0] == "." and part != _WELL_KNOWN)
            or part[-1] in ". "
            or _NOT_IN_NAMES.search(part)
            or _DEVICE.fullmatch(part)
        ):
            return None
    return None if _WELL_KNOWN in parts[1:] else parts


def open_file(path: str | bytes) -> int:
    """Open any file for reading, without waiting for another program.

    Raises:
        OSError: if it cannot be opened.
    """
    return os.open(path, _ANY)


def open_below(root: str, parts: tuple[str, ...], *, follow: bool = False) -> int:
    """Open a file or directory below a directory for reading; its descriptor.

    Parameters:
        root: an absolute path. It may have links itself: whoever wrote it means where they lead.
        parts: from :func:`safe_parts`; empty for the directory itself.
        follow: whether links may lead out of the directory.

    Raises:
        OSError: if there is no such file, or it is not below the directory.
        ValueError: if no file can have such a name.
    """
    if _BY_DESCRIPTOR:
        try:
            return _walk(root, parts)
        except OSError as error:
            # ENOTDIR is what Linux says of a link that should be a directory, EMLINK what FreeBSD
            # says of a link
            if error.errno not in (errno.ELOOP, errno.ENOTDIR, errno.EMLINK):
                raise
    return _open_resolved(root, parts, follow)


def _walk(root: str, parts: tuple[str, ...]) -> int:
    if not parts:
        return os.open(root, _ANY | _FOLDER)
    folder: int | None = None
    first = os.path.join(root, parts[0])  # O_NOFOLLOW is about the last component only
    try:
        for part in parts[:-1]:
            before = folder
            folder = os.open(
                first if before is None else part, _ANY | _FOLDER | _NO_LINK, dir_fd=before
            )
            if before is not None:
                os.close(before)
        last = first if folder is None else parts[-1]
        return os.open(last, _ANY | _NO_LINK, dir_fd=folder)
    finally:
        if folder is not None:
            os.close(folder)


def _open_resolved(root: str, parts: tuple[str, ...], follow: bool) -> int:
    """Open a file whose path has links, or on a system that cannot open by descriptor."""
    real_root = os.path.realpath(root, strict=True)
    real = os.path.realpath(os.path.join(real_root, *parts), strict=True)
    if follow:
        return os.open(real, _ANY | _NO_LINK)
    beginning = os.path.join(real_root, "")  # with one separator at its end
    if real != real_root and not real.startswith(beginning):
        raise FileNotFoundError(errno.ENOENT, "a link leads out of the directory", real)
    inside = real[len(beginning) :].replace(os.sep, "/")
    real_parts = safe_parts(inside) if inside else ()
    if real_parts is None:  # a link to a hidden file
        raise FileNotFoundError(errno.ENOENT, "a link leads to a hidden file", real)
    if _BY_DESCRIPTOR:
        return _walk(real_root, real_parts)
    return os.open(real, _ANY)
