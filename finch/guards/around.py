"""What several guards need: every response, also that to an error, and a correct ``Vary``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from finch.errors import ConfigurationError, Disconnected
from finch.explain import shown
from finch.failures import failure_of
from finch.http.request import Request
from finch.http.response import Response

Next = Callable[[Request], Awaitable[Response]]


async def answered(request: Request, call_next: Next) -> Response:
    """What ``call_next`` returns; if it raises, the response to that error.

    Without this, a guard's headers would be missing on a 500: it is made outside of all middleware.
    A page of another origin could then not even read that there was an error.

    Raises:
        Disconnected: if the client has left.
    """
    try:
        return await call_next(request)
    except BaseException as raised:
        error = failure_of(raised)
        if isinstance(error, Disconnected):
            raise error from None
        response: Response = await request.app.answer_error(request, error)
        return response


def add_vary(response: Response, *names: str) -> None:
    """Add request headers to ``Vary``: caches must keep a response for each value of theirs.

    Source: RFC 9110, section 12.5.5.
    """
    said = response.headers.getlist("vary")
    known = {one.strip().lower() for line in said for one in line.split(",")}
    added = [name for name in names if name.lower() not in known]
    if added and "*" not in known:
        response.set_header("vary", ", ".join([*said, *added]))


def texts(given: Any, option: str, example: str) -> list[str]:
    """The texts that an option is given: one, or several.

    Parameters:
        option: its name, for the error.
        example: what may be written, as code.

    Raises:
        ConfigurationError: if it is anything else.
    """
    if isinstance(given, str):
        return [given]
    if isinstance(given, bytes) or not isinstance(given, Iterable):
        raise ConfigurationError(f"{option} is {shown(given)}; write {option}={example}")
    listed = list(given)
    for one in listed:
        if not isinstance(one, str):
            raise ConfigurationError(f"{option} has {shown(one)}; write {option}={example}")
    return listed


def switch(value: Any, option: str) -> bool:
    """An option that is True or False.

    Raises:
        ConfigurationError: if it is anything else.
    """
    if not isinstance(value, bool):
        raise ConfigurationError(f"{option} is True or False, not {shown(value)}")
    return value
