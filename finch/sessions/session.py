"""Session: what a site remembers of one visitor, a dict that is read when it is first used."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from typing import Any

from finch.encoding import encode
from finch.explain import kind, why_no_json
from finch.http.cookies import read_cookies
from finch.http.request import SESSION, Request
from finch.sessions.codec import Codec, Kept, encode_session
from finch.wire.head import RawHeaders


class Session(MutableMapping[str, Any]):
    """What a site remembers of one visitor: ``request.session``.

    It is used as a dict, and holds what JSON can hold. A change inside a value is seen, too:
    ``request.session["cart"].append(7)``. When the response has been made, it can only be read.

    Parameters:
        codec: reads the cookie.
        cookie: its name.
        headers: those of the request.

    Example::

        request.session["visits"] = request.session.get("visits", 0) + 1
    """

    __slots__ = ("_codec", "_cookie", "_headers", "_kept", "_why_closed")

    def __init__(self, codec: Codec, cookie: str, headers: RawHeaders) -> None:
        self._codec = codec
        self._cookie = cookie
        self._headers = headers
        self._kept: Kept | None = None  # None until somebody looks
        self._why_closed: str | None = None

    @property
    def _values(self) -> dict[str, Any]:
        if self._kept is None:
            lines = [value.decode("latin-1") for name, value in self._headers if name == b"cookie"]
            self._kept = self._codec.read(read_cookies(lines).get(self._cookie))
            self._headers = []
        return self._kept.values

    @property
    def used(self) -> bool:
        """Whether anybody has looked at it in this request."""
        return self._kept is not None

    @property
    def changed(self) -> bool:
        """Whether it differs from what the cookie holds.

        Raises:
            TypeError: if JSON cannot hold what is in it now.
        """
        return self._kept is not None and encode_session(self._kept.values) != self._kept.text

    @property
    def stale(self) -> bool:
        """Whether the cookie should be written anew though nothing has changed."""
        return self._kept is not None and self._kept.stale and bool(self._kept.values)

    def close(self, why: str) -> None:
        """It can only be read from now on.

        Parameters:
            why: told to those who write.
        """
        self._why_closed = why
        # a socket keeps its session as long as it is open: no more than is needed to read it
        self._headers = [item for item in self._headers if item[0] == b"cookie"]

    def __getitem__(self, key: str) -> Any:
        return self._values[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self._check_open()
        if not isinstance(key, str):
            raise TypeError(f"a key of a session is text, not {kind(key)}")
        try:
            encode(value)
        except Exception as error:
            raise TypeError(
                f"session[{key!r}]: a session holds what JSON can hold: {why_no_json(value)}"
            ) from error
        self._values[key] = value

    def __delitem__(self, key: str) -> None:
        self._check_open()
        del self._values[key]

    def clear(self) -> None:
        """Forget everything."""
        self._check_open()
        self._values.clear()

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return f"<Session with {', '.join(map(repr, self._values)) or 'nothing'}>"

    def _check_open(self) -> None:
        if self._why_closed is not None:
            raise RuntimeError(self._why_closed)


def session_of(request: Request) -> Session | None:
    """The session of a request; None if there is no :class:`finch.sessions.Sessions`."""
    session = request.state.get(SESSION)
    return session if isinstance(session, Session) else None
