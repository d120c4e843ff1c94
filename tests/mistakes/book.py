"""The book of mistakes: entries by area, in the order in which they are written."""

from __future__ import annotations

import importlib
import inspect
import logging
import os
import pkgutil
import re
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import trio

from finch import FinchError

PAGE = Path(__file__).parent.parent.parent / "docs" / "mistakes.md"
BEGIN = "<!-- made by: python -m tests.mistakes -->\n"


class Mistake(NamedTuple):
    """One thing that people write.

    Attributes:
        area: the heading it stands under.
        written: what they write, as code in one line.
        must_say: words that the answer must have.
        make: makes the mistake; raises what Finch raises, or returns what it says elsewhere (in a
            response, a log line, on the terminal).
    """

    area: str
    written: str
    must_say: tuple[str, ...]
    make: Callable[[], Any]

    def said(self) -> str:
        """What Finch says to it, in one line, without what differs from machine to machine."""
        try:
            text = self.make()
            if inspect.iscoroutine(text):
                text = trio.run(_await, text)
        except (FinchError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            text = str(error)
        assert isinstance(text, str), f"nothing was said to {self.written!r}"
        return _tidy(text)


BOOK: list[Mistake] = []


def mistake(area: str, written: str, *must_say: str) -> Callable[[Callable[[], Any]], Any]:
    """Enter a mistake into the book: the decorated function makes it.

    Example::

        @mistake("Routes", "@app.get without parentheses", "@app.get(")
        def get_without_parentheses():
            @FinchApp().get
            async def index(request): ...
    """

    def enter(make: Callable[[], Any]) -> Callable[[], Any]:
        BOOK.append(Mistake(area, written, must_say, make))
        return make

    return enter


@contextmanager
def listening(name: str = "finch"):
    """The messages that a logger is told, as a list of texts."""
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    ear = Ear()
    logger = logging.getLogger(name)
    logger.addHandler(ear)
    try:
        yield heard
    finally:
        logger.removeHandler(ear)


def read_book() -> list[Mistake]:
    """Every entry of this folder's modules."""
    for module in sorted(pkgutil.iter_modules([str(Path(__file__).parent)])):
        if not module.name.startswith(("test_", "__", "book")):
            importlib.import_module(f"tests.mistakes.{module.name}")
    return BOOK


def page() -> str:
    """The whole of ``docs/mistakes.md``."""
    areas: dict[str, list[Mistake]] = {}
    for entry in read_book():
        areas.setdefault(entry.area, []).append(entry)
    lines = [
        "# Mistakes, and what Finch says",
        "",
        "A test makes each of these mistakes, and this page shows what Finch said.",
        "",
        BEGIN.strip(),
        "",
    ]
    for area in sorted(areas):
        lines += [f"## {area}", "", "| you write | Finch says |", "|---|---|"]
        lines += [f"| {_cell(e.written)} | {_cell(e.said())} |" for e in areas[area]]
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _tidy(text: str) -> str:
    root = str(Path(__file__).parent.parent.parent)
    text = text.replace(root + os.sep, "")
    text = re.sub(r"0x[0-9a-f]{6,}", "0x…", text)
    text = re.sub(r"line \d+", "line 12", text)
    return " ".join(text.split())


async def _await(coroutine: Any) -> Any:
    return await coroutine
