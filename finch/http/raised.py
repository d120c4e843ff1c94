"""What a developer sees of an exception: a page, or text. Only with ``app.debug``.

The page shows the exception with its causes and groups, the source around each frame, and the
request. It shows no local variables: they hold passwords and customers' data. Cookies, credentials
and whatever has such a name are masked.

Everything is bounded, and nothing here trusts the exception: its ``__str__`` may raise, or return a
gigabyte; causes may form a circle.
"""

from __future__ import annotations

import linecache
import re
import traceback
from collections import deque
from collections.abc import Iterator
from html import escape
from types import TracebackType
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl

from finch.http.request import Request

POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The Content-Security-Policy of the page: it has a style, and nothing else."""

_MOST_ERRORS: Final = 20  # exceptions on a page, causes and members of groups included
_MOST_FRAMES: Final = 20  # at each end of a traceback; a recursion has a thousand
_AROUND: Final = 4  # lines of source before and after the line
_LONGEST_LINE: Final = 200  # characters of a line of source
_LONGEST: Final = 4_000  # characters of a message, a header or a URL
_LONGEST_TEXT: Final = 64 * 1024  # characters of a whole traceback as text
_SECRET: Final = re.compile(r"auth|cookie|token|secret|key|pass|session|csrf|signature|credential")
# control characters: what a client has put into a message must not command a terminal
_CONTROL: Final = {code: f"\\x{code:02x}" for code in (*range(9), *range(11, 32), *range(127, 160))}
# these work whatever a class of the application's has overridden
_name_of: Final = vars(type)["__qualname__"].__get__
_members_of: Final = vars(BaseExceptionGroup)["exceptions"].__get__
_cause_of: Final = vars(BaseException)["__cause__"].__get__
_context_of: Final = vars(BaseException)["__context__"].__get__

_PAGE: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem;
  padding: 0 1rem }}
pre, code, td {{ font: .85rem/1.5 ui-monospace, monospace }}
pre {{ overflow-x: auto; margin: 0; padding: .5rem; border-left: 3px solid #8888 }}
h2 {{ overflow-wrap: anywhere; white-space: pre-wrap }}
summary {{ cursor: pointer; overflow-wrap: anywhere }}
mark {{ background: #fd08; color: inherit; display: block }}
section section {{ margin-left: 1.5rem }}
td {{ vertical-align: top; overflow-wrap: anywhere; padding-right: 1rem }}
</style>
<h1>{title}</h1>
{errors}
<h2>Request</h2>
<table>
{request}
</table>
<p>Only this machine sees this page, and only with <code>--debug</code>.</p>
"""


class _Told(NamedTuple):
    """An exception, and how it belongs to the one before."""

    error: BaseException
    how: str
    depth: int


def text(error: BaseException) -> str:
    """The traceback as Python prints it, with control characters escaped. May read files."""
    try:
        told = traceback.TracebackException(
            type(error), error, error.__traceback__, limit=-2 * _MOST_FRAMES, compact=True
        )
        pieces, left = [], _LONGEST_TEXT
        for piece in told.format():
            pieces.append(piece[:left])
            left -= len(piece)
            if left < 0:
                pieces.append("\n... and more\n")
                break
        whole = "".join(pieces)
    except BaseException:
        whole = f"{_kind(error)}: its traceback cannot be shown"
    return _valid(whole).translate(_CONTROL)


def page(request: Request, title: str, error: BaseException) -> str:
    """The page of an exception. May read files.

    Parameters:
        request: the request that was being answered.
        title: the status and its phrase.
    """
    return _PAGE.format(
        title=escape(title),
        errors="\n".join(map(_section, _all_told(error))),
        request="\n".join(
            f"<tr><td>{escape(name)}<td>{escape(_cut(_valid(value)))}"
            for name, value in _rows(request)
        ),
    )


def _all_told(error: BaseException) -> Iterator[_Told]:
    """The exception, its causes and the members of groups, each once."""
    waiting = [_Told(error, "", 0)]
    seen: set[int] = set()
    while waiting:
        told = waiting.pop()
        if id(told.error) in seen:
            continue
        if len(seen) == _MOST_ERRORS:
            return
        seen.add(id(told.error))
        yield told
        waiting.extend(reversed(list(_belonging(told))))


def _belonging(told: _Told) -> Iterator[_Told]:
    error, depth = told.error, told.depth
    if isinstance(error, BaseExceptionGroup):
        members = _members_of(error)
        for number, one in enumerate(members[:_MOST_ERRORS], 1):
            how = f"Error {number} of {len(members)} in the group:"
            yield _Told(one, how, depth + 1)
    cause, context = _cause_of(error), _context_of(error)
    if cause is not None:
        yield _Told(cause, "It was raised because of:", depth)
    elif context is not None and not error.__suppress_context__:
        yield _Told(context, "It was raised while this was being handled:", depth)


def _section(told: _Told) -> str:
    error = told.error
    heading = f"{_kind(error)}: {_message(error)}"
    notes = "".join(f"<p>{escape(note)}</p>" for note in _notes(error))
    how = f"<p>{escape(told.how)}</p>" if told.how else ""
    body = f"{how}<h2>{escape(heading)}</h2>{notes}{''.join(_frames(error.__traceback__))}"
    return "<section>" * (told.depth + 1) + body + "</section>" * (told.depth + 1)


def _frames(begin: TracebackType | None) -> Iterator[str]:
    """The frames of a traceback, as parts of the page; those in the middle are left out."""
    first: list[tuple[Any, int]] = []
    last: deque[tuple[Any, int]] = deque(maxlen=_MOST_FRAMES)
    count = 0
    step = begin
    while step is not None:
        place = (step.tb_frame, step.tb_lineno)
        (first if count < _MOST_FRAMES else last).append(place)
        count += 1
        step = step.tb_next
    for frame, line in first:
        yield _frame(frame, line)
    left_out = count - len(first) - len(last)
    if left_out:
        yield f"<p>... {left_out} more ...</p>"
    for frame, line in last:
        yield _frame(frame, line)


def _frame(frame: Any, line: int) -> str:
    code = frame.f_code
    name = _cut(_valid(code.co_filename))
    linecache.checkcache(code.co_filename)  # the developer is editing it
    begin = max(1, line - _AROUND)
    lines = []
    for number in range(begin, line + _AROUND + 1):
        source = linecache.getline(code.co_filename, number, frame.f_globals).rstrip("\n")
        if not source and number > line:
            continue
        shown = escape(f"{number:5} {_valid(source[:_LONGEST_LINE])}")
        lines.append(f"<mark>{shown}</mark>" if number == line else f"{shown}\n")
    is_open = "" if "site-packages" in name or _is_own(frame) else " open"
    return (
        f"<details{is_open}><summary>{escape(name)}, line {line}, in "
        f"<code>{escape(_cut(_valid(code.co_name)))}</code></summary>"
        f"<pre>{''.join(lines)}</pre></details>"
    )


def _is_own(frame: Any) -> bool:
    """Whether it is Finch's, trio's or Python's own: rarely what the developer looks for."""
    module = frame.f_globals.get("__name__")
    return isinstance(module, str) and module.partition(".")[0] in ("finch", "trio", "outcome")


def _rows(request: Request) -> Iterator[tuple[str, str]]:
    """What the page says about the request, with secrets masked."""
    yield "method", request.method
    yield "path", request.raw_path
    for name, value in parse_qsl(request.query_string, keep_blank_values=True, errors="replace"):
        yield f"query: {_cut(_valid(name))}", _masked(name, value)
    yield "client", str(request.client)
    for name, value in request.headers.multi_items():
        yield name, _masked(name, value)


def _masked(name: str, value: str) -> str:
    if _SECRET.search(name.lower()) is None:
        return value
    return f"(masked: {len(value)} characters)"


def _kind(error: BaseException) -> str:
    return _valid(str(_name_of(type(error))))


def _message(error: BaseException) -> str:
    try:
        said = str(error)
        return _cut(_valid(said if type(said) is str else str.__str__(said)))
    except BaseException:
        return "(its message cannot be shown: its __str__ raised)"


def _notes(error: BaseException) -> list[str]:
    try:
        notes = list(error.__notes__)[:10]
        return [_cut(_valid(note)) for note in notes if type(note) is str]
    except BaseException:
        return []


def _cut(said: str) -> str:
    return said if len(said) <= _LONGEST else f"{said[:_LONGEST]}..."


def _valid(said: str) -> str:
    """Text that UTF-8 can hold."""
    return said if said.isascii() else said.encode("utf-8", "replace").decode()
