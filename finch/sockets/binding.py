"""Gives callbacks of rooms what they name: first the fixed arguments, then ``room`` and the like.

A handler of a route names the parameters of its path; a callback of a room does the same. All
checks happen when the callback is registered.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from finch.errors import ConfigurationError
from finch.explain import where

_NAMED: Final = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
_POSITIONAL: Final = (
    inspect.Parameter.POSITIONAL_ONLY,
    inspect.Parameter.POSITIONAL_OR_KEYWORD,
)


class Bound:
    """A callback, and the names of the arguments that it wants.

    Parameters:
        function: the callback.
        fixed: the names of the arguments that come first, such as ``("socket", "data")``.
        offered: the names of the others, which it may ask for.
        named: what error messages call it.

    Raises:
        ConfigurationError: if it cannot be called so, or asks for something else.

    Example::

        async def say(socket, data, room, name): ...

        bound = Bound(say, ("socket", "data"), ("room", "name"), "the socket 'say'")
        bound.arguments({"room": room, "name": "lobby"})  # {"room": room, "name": "lobby"}
    """

    __slots__ = ("function", "names")

    def __init__(
        self,
        function: Callable[..., Any],
        fixed: Sequence[str],
        offered: Sequence[str],
        named: str,
    ) -> None:
        self.function = function
        self.names = _names(function, fixed, offered, named)

    def arguments(self, offered: Mapping[str, Any]) -> dict[str, Any]:
        """The arguments that it asks for, out of those that there are."""
        return {name: offered[name] for name in self.names}


def _names(
    function: Callable[..., Any], fixed: Sequence[str], offered: Sequence[str], named: str
) -> tuple[str, ...]:
    if not callable(function):
        raise ConfigurationError(f"{named} is not callable: {function!r}")
    try:
        signature = inspect.signature(function)
    except ValueError:  # a builtin without a signature
        return ()
    parameters = list(signature.parameters.values())
    first = [one.name for one in parameters if one.kind in _POSITIONAL][: len(fixed)]
    if any(one.kind is one.VAR_KEYWORD for one in parameters):
        names = tuple(name for name in offered if name not in first)
    else:
        names = tuple(
            one.name
            for one in parameters
            if one.name not in first
            and one.kind in _NAMED
            and (one.name in offered or one.default is one.empty)
        )
    swapped = [name for name in first if name in offered and name not in fixed]
    unknown = [name for name in names if name not in offered]
    try:
        signature.bind(*fixed, **dict.fromkeys(names))
        fits = not unknown and not swapped
    except TypeError:
        fits = False
    if not fits:
        wanted = f"({', '.join(fixed)}) first, " if fixed else "no fixed arguments, "
        choice = ", ".join(offered)
        raise ConfigurationError(
            f"{named} takes {wanted}and may also take any of: {choice}; but "
            f"it is written {getattr(function, '__name__', function)}{signature}; see "
            f"{where(function)}"
        )
    return names
