"""Server-sent events: the response that streams them, and the events themselves.

Source: WHATWG HTML, section 9.2.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any, Final

from finch.encoding import encode
from finch.explain import kind, not_text, shown, where, why_no_json
from finch.failures import close_iterator
from finch.headers import HeaderItems, header_items
from finch.http.advice import events_advice
from finch.http.streaming import StreamingResponse
from finch.wire.eventstream import CONTENT_TYPE, HEADERS, encode_event

_BREAKS: Final = re.compile(r"[\r\n\0]")
_LONGEST_RETRY: Final = 2**31 - 1  # ms: browsers keep it in 32 bits


class ServerEvent:
    """One event of an :class:`EventStream`.

    Parameters:
        data: text, which is sent as it is; or anything that msgspec encodes as JSON. None for no
            data: then browsers dispatch no event.
        event: its type, which ``addEventListener`` names; ``message`` if it is left out.
        id: what a client that comes back sends as ``Last-Event-ID``.
        retry: how long a client waits before it comes back, in milliseconds.
        comment: text that clients ignore.

    Raises:
        TypeError: if ``data`` has no JSON form, or another value has the wrong type.
        ValueError: if ``event`` or ``id`` has a line break or NUL, ``retry`` is out of range, or a
            text is not valid Unicode.

    Source: WHATWG HTML, section 9.2.

    Example::

        yield ServerEvent({"price": 17}, event="price", id=str(number))
    """

    __slots__ = ("_encoded",)

    def __init__(
        self,
        data: Any = None,
        *,
        event: str | None = None,
        id: str | int | None = None,
        retry: int | None = None,
        comment: str | None = None,
    ) -> None:
        number = isinstance(id, int) and not isinstance(id, bool)
        try:
            encoded = None if data is None else _data(data)
        except (TypeError, ValueError) as error:
            cls = TypeError if isinstance(error, TypeError) else ValueError
            raise cls(f"the data of a ServerEvent is {error}") from None
        self._encoded = encode_event(
            encoded,
            event=_field("event", event),
            id=_field("id", str(id) if number else id),
            retry=_milliseconds(retry),
            comment=_text("comment", comment),
        )

    def __bytes__(self) -> bytes:
        """The event as it is sent."""
        return self._encoded

    def __repr__(self) -> str:
        return f"<ServerEvent {shown(self._encoded)}>"


class EventStream(StreamingResponse):
    """A response that streams server-sent events, for ``EventSource`` in browsers.

    The iterator is closed when the client leaves, and when the server stops: ``EventSource`` then
    comes back by itself. A client that reads slowly makes the iterator wait.

    Parameters:
        events: an async iterator. Each item is an event: text, a :class:`ServerEvent`, or anything
            that msgspec encodes as JSON, such as a dict or a Struct.
        headers: further headers of the response.
        keep_alive: seconds of silence after which a comment is sent, so that no proxy cuts the
            connection. ``math.inf`` for none.

    Raises:
        TypeError: if ``events`` is not an async iterable.
        ValueError: if ``keep_alive`` is not more than 0.

    Source: WHATWG HTML, section 9.2.

    Example::

        @app.get("/prices")
        async def prices(request):
            async def events():
                async for number, price in feed(after=request.last_event_id):
                    yield ServerEvent(price, id=number)

            return EventStream(events())
    """

    default_content_type = CONTENT_TYPE

    def __init__(
        self,
        events: AsyncIterable[Any],
        headers: HeaderItems | None = None,
        *,
        keep_alive: float = 15.0,
    ) -> None:
        if isinstance(keep_alive, bool) or not isinstance(keep_alive, int | float):
            raise TypeError(f"keep_alive is a number of seconds, not {kind(keep_alive)}")
        if not keep_alive > 0:
            raise ValueError(
                f"keep_alive is more than 0 seconds, not {shown(keep_alive)}; math.inf for none"
            )
        if not isinstance(events, AsyncIterable):
            raise TypeError(
                f"an EventStream takes an async iterator, not {kind(events)}; "
                f"{events_advice(events)}"
            )
        super().__init__(_Events(events), 200, HEADERS, CONTENT_TYPE)
        self.origin = events
        self.keep_alive = keep_alive
        items = header_items(headers, "headers") if headers is not None else []
        for name, _ in items:
            self.remove_header(name)
        for name, text in items:
            self.add_header(name, text)


class _Events:
    """An application's events as bytes."""

    def __init__(self, events: AsyncIterable[Any]) -> None:
        self._events: AsyncIterator[Any] = aiter(events)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        item = await anext(self._events)
        if isinstance(item, ServerEvent):
            return bytes(item)
        try:
            return encode_event(_data(item))
        except (TypeError, ValueError) as error:
            cls = TypeError if isinstance(error, TypeError) else ValueError
            raise cls(f"{where(self._events)} yielded {error}") from None

    async def aclose(self) -> None:
        await close_iterator(self._events)


def _data(data: Any) -> bytes:
    """The data of an event, as UTF-8.

    Raises:
        TypeError, ValueError: if there is no such form. The message begins with what ``data`` is.
    """
    if isinstance(data, str):
        fault = None if data.isascii() else not_text(data)
        if fault:
            raise ValueError(f"text with {fault}")
        return data.encode()
    if data is None or isinstance(data, bytes | bytearray | memoryview):
        raise TypeError(f"{kind(data)}, which is no event; {events_advice(data)}")
    try:
        return encode(data)
    except Exception as error:
        reason = why_no_json(data) or str(error)
        raise TypeError(f"{kind(data)}, which has no JSON form: {reason}") from None


def _field(name: str, value: object) -> str | None:
    text = _text(name, value)
    if text is not None and _BREAKS.search(text):
        # the rest would be another field, or another event
        raise ValueError(f"the {name} of a ServerEvent has a line break or NUL: {shown(text)}")
    return text


def _text(name: str, value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise TypeError(f"the {name} of a ServerEvent is text, not {kind(value)}")
    fault = None if value.isascii() else not_text(value)
    if fault:
        raise ValueError(f"the {name} of a ServerEvent has {fault}")
    return value


def _milliseconds(retry: Any) -> int | None:
    if retry is None:
        return None
    if isinstance(retry, bool) or not isinstance(retry, int):
        raise TypeError(
            f"the retry of a ServerEvent is a whole number of milliseconds, not {shown(retry)}"
        )
    if not 0 <= retry <= _LONGEST_RETRY:
        raise ValueError(
            f"the retry of a ServerEvent is 0 to {_LONGEST_RETRY} milliseconds, not {shown(retry)}"
        )
    return retry
