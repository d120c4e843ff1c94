"""Flash messages: what the next page says once, such as "Saved" after a redirect."""

from __future__ import annotations

from typing import Final, NamedTuple

from finch.encoding import encode
from finch.explain import kind
from finch.http.request import Request

_KEY: Final = "flashes"
_POPPED: Final = "finch.flashes"  # where the state of a request has what was popped
_ROOM: Final = 1024
"""Bytes of all messages that wait, as JSON. The cookie has 4096 for everything. If more wait, since
nobody has looked at a page, the oldest are dropped."""


class Flash(NamedTuple):
    """A message for the next page.

    Attributes:
        message: the text.
        category: such as ``info`` or ``error``, for a class of CSS.
    """

    message: str
    category: str = "info"

    def __str__(self) -> str:
        return self.message


def flash(request: Request, message: str, category: str = "info") -> None:
    """Keep a message for the next page that shows its :func:`flashes`.

    Raises:
        TypeError: if message or category is not text.
        ValueError: if the message is longer than about 1,000 bytes.
        RuntimeError: if the request has no session.

    Example::

        flash(request, "Saved")
        return RedirectResponse("/", 303)
    """
    for one in (message, category):
        if not isinstance(one, str):
            raise TypeError(f"a flash message and its category are text, not {kind(one)}")
    waiting = [*_waiting(request), [message, category]]
    if len(encode(waiting[-1:])) > _ROOM:
        raise ValueError(f"a flash message has at most {_ROOM} bytes: it is kept in a cookie")
    while len(encode(waiting)) > _ROOM:
        del waiting[0]
    request.session[_KEY] = waiting


def flashes(request: Request) -> list[Flash]:
    """The messages that wait, the oldest first. They are then forgotten, but the same request may
    ask again.

    Raises:
        RuntimeError: if the request has no session.
    """
    popped: list[Flash] = request.state.setdefault(_POPPED, [])
    waiting = _waiting(request)
    if waiting:
        request.session.pop(_KEY)
        popped += [Flash(message, category) for message, category in waiting]
    return popped


def _waiting(request: Request) -> list[list[str]]:
    waiting = request.session.get(_KEY)
    if not isinstance(waiting, list):
        return []
    return [one for one in waiting if isinstance(one, list) and len(one) == 2]
