"""Options that several functions take as ``**options``: spelled out in the signature of each."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from inspect import Parameter
from typing import Any, TypeVar, cast

from finch.explain import closest

C = TypeVar("C", bound=Callable[..., Any])


class _Unsaid:
    """The default of an option in a signature. What it is depends on the application."""

    def __repr__(self) -> str:
        return "..."


def takes_options(
    options: type[Any],
) -> Callable[[C], C]:
    """A decorator for functions that take these options as ``**options``.

    Parameters:
        options: a TypedDict, whose annotations are text.

    Their signature then names each option, so that ``help`` shows them. Other keywords are refused
    as Python does it.

    Example::

        @takes_options(OfSocket)
        def websocket(self, path: str, **options: Unpack[OfSocket]): ...
    """

    def spell_out(taker: C) -> C:
        signature = inspect.signature(taker)
        *own, _ = signature.parameters.values()
        for name, annotation in options.__annotations__.items():
            text = annotation.__forward_arg__  # as it is written above
            own.append(Parameter(name, Parameter.KEYWORD_ONLY, default=_Unsaid(), annotation=text))
        known = [one.name for one in own]

        @functools.wraps(taker)
        def checked(*arguments: Any, **named: Any) -> Any:
            for name in named:
                if name not in known:
                    meant = closest(name, known)
                    owner = type(arguments[0]).__name__  # taker may be of a base class
                    raise TypeError(
                        f"{owner}.{taker.__name__}() got an unexpected keyword argument {name!r}"
                        + (f". Did you mean {meant!r}?" if meant else "")
                    )
            return taker(*arguments, **named)

        checked.__signature__ = signature.replace(parameters=own)  # type: ignore[attr-defined]
        return cast(C, checked)

    return spell_out
