"""Finds the line of the application that an error comes from, rather than a line in a library."""

from __future__ import annotations

import importlib
import os
import sysconfig
import traceback
from types import TracebackType
from typing import Final

import outcome
import trio

_PLUMBING: Final = tuple(
    os.path.dirname(os.path.abspath(file)) + os.sep
    for file in (__file__, importlib.__file__, outcome.__file__, trio.__file__)
)
_STDLIB: Final = tuple(
    os.path.abspath(sysconfig.get_path(name)) + os.sep for name in ("stdlib", "platstdlib")
)
_INSTALLED: Final = frozenset(("site-packages", "dist-packages"))


def is_own(filename: str) -> bool:
    """Whether code from this file belongs to the application: not to Python, Finch or a library."""
    path = os.path.abspath(filename)
    return (
        not filename.startswith("<")
        and not path.startswith((*_PLUMBING, *_STDLIB))
        and _INSTALLED.isdisjoint(path.split(os.sep))
    )


def _is_plumbing(filename: str) -> bool:
    return filename.startswith("<frozen") or os.path.abspath(filename).startswith(_PLUMBING)


def innermost(error: BaseException, *, own: bool = True) -> traceback.FrameSummary | None:
    """The innermost line of code that an error came through, without Finch's own lines.

    Parameters:
        own: whether only the application's own code counts.
    """
    frames = [frame for frame in _frames(error) if not own or is_own(frame.filename)]
    return frames[-1] if frames else None


def where(error: BaseException, *, own: bool = True) -> str:
    """The application's line that an error comes from, as text to add to its message:
    ``" (app.py, line 3)"``.

    If a library raised the error, the library's line is added.

    Parameters:
        own: if the error did not come through the application's code: True returns an empty text,
            False a library's line.
    """
    frame = innermost(error) or innermost(error, own=own)
    if frame is None:
        return ""
    origin = _frames(error)[-1]
    generated = origin.filename.startswith("<")  # such as a dataclass's __init__: no file to open
    there = generated or origin.filename == frame.filename
    raised = "" if there else f"; raised in {_place(origin)}"
    return f" ({_place(frame)}{raised})"


def _place(frame: traceback.FrameSummary) -> str:
    return f"{frame.filename}, line {frame.lineno}"


def _frames(error: BaseException) -> list[traceback.FrameSummary]:
    found = traceback.extract_tb(error.__traceback__)
    return [frame for frame in found if not _is_plumbing(frame.filename)]


def from_own_code(error: BaseException) -> TracebackType | None:
    """An error's traceback, beginning at the first line of the application's own code. If there is
    no such line, the whole traceback."""
    left = error.__traceback__
    while left is not None and not is_own(left.tb_frame.f_code.co_filename):
        left = left.tb_next
    return left or error.__traceback__
