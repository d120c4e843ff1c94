"""Converters of the application's own: what makes a value of a path's parameter, and back."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, TypeVar

from finch.errors import ConfigurationError
from finch.explain import where
from finch.failures import failure_of, report
from finch.http.paths import CONVERTERS, choice

F = TypeVar("F", bound=Callable[[str], Any])

_log: Final = logging.getLogger("finch.app")


def converter(name: str, *, to_text: Callable[[Any], str] = str) -> Callable[[F], F]:
    """Register a converter for the parameters of paths, as in ``{day:date}``.

    Parameters:
        name: what stands behind the colon. It is known to all applications of the process.
        to_text: makes the text for :meth:`finch.Request.url_for` of a value.

    The function takes the text of one segment, decoded, and returns the value. If it raises
    ``ValueError``, the path does not match, and the next route is tried. It runs in the event loop,
    so it must not wait. If it raises anything else, that is logged, and the path does not match.

    Raises:
        ConfigurationError: if the name is not an identifier, or is already registered.

    Example::

        @converter("date")
        def read_date(text):
            return date.fromisoformat(text)

        @app.get("/days/{day:date}")
        async def show(request, day): ...
    """
    if not isinstance(name, str) or not name.isidentifier():
        raise ConfigurationError(
            f"the name of a converter is an identifier such as 'date', not {name!r}; write "
            "@converter('date')"
        )
    if name in CONVERTERS:
        raise ConfigurationError(
            f"the converter {name!r} is already registered; there are {choice()}"
        )

    def register(function: F) -> F:
        if not callable(function):
            raise ConfigurationError(f"the converter {name!r} is a function, not {function!r}")
        CONVERTERS[name] = _Own(name, function, to_text)
        return function

    return register


class _Own:
    """A converter of the application's own. Whatever it raises is a ``ValueError`` here."""

    __slots__ = ("_name", "_to_text", "function")

    def __init__(
        self, name: str, function: Callable[[str], Any], to_text: Callable[[Any], str]
    ) -> None:
        self._name = name
        self.function = function
        self._to_text = to_text

    def __call__(self, text: str) -> Any:
        try:
            return self.function(text)
        except ValueError:
            raise
        except BaseException as raised:
            error = failure_of(raised)
            report(_log, "the converter %s raised", where(self.function), error=error)
            raise ValueError(text) from None

    def text_of(self, value: Any) -> str:
        return self._to_text(value)


def text_of(converter: str, value: Any) -> str:
    """The text of a parameter's value, for a URL; not yet percent-encoded.

    Raises:
        ValueError: if the converter would not make a value of that text again.
    """
    made = CONVERTERS[converter]
    text = made.text_of(value) if isinstance(made, _Own) else str(value)
    if not isinstance(text, str):
        raise ValueError(
            f"the converter {converter!r} made {text!r} of {value!r}, which is no text"
        )
    return text
