"""Words: what a handler says of itself in its docstring; identifiers that no two things share."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Callable
from typing import Any, Final

_OTHER: Final = re.compile(r"[^A-Za-z0-9_.-]+")


def said_by(function: Callable[..., Any]) -> dict[str, Any]:
    """The summary and the description of a handler: the first line of its docstring, and the rest;
    and whether it is deprecated (PEP 702).

    Example::

        async def birds(request):
            \"\"\"All birds.\"\"\"

        said_by(birds)  # {"summary": "All birds."}
    """
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    text = getattr(function, "__doc__", None)
    found: dict[str, Any] = {}
    if isinstance(text, str) and text.strip():
        summary, _, rest = inspect.cleandoc(text).partition("\n")
        found["summary"] = summary
        if rest.strip():
            found["description"] = rest.strip()
    if isinstance(getattr(function, "__deprecated__", None), str):
        found["deprecated"] = True
    return found


class Names:
    """Identifiers for one kind of thing in a document. No two are equal."""

    def __init__(self) -> None:
        self._taken: set[str] = set()

    def take(self, wanted: str) -> str:
        """An identifier that is like a text: letters, digits, ``_``, ``.`` and ``-``.

        Example::

            names = Names()
            names.take("chat/{name}"), names.take("chat/name")  # ("chat_name", "chat_name_2")
        """
        plain = _OTHER.sub("_", wanted).strip("_.") or "it"
        found, count = plain, 2
        while found in self._taken:
            found, count = f"{plain}_{count}", count + 1
        self._taken.add(found)
        return found
