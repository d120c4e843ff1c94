"""The responses to errors: problem details for JSON clients, a page for browsers, text otherwise.

A client gets JSON if its ``Accept`` prefers JSON, or if it sent JSON and prefers nothing; a page if
its ``Accept`` prefers HTML; else text. The page has no script and no style, so it works under every
Content-Security-Policy.

With ``app.debug``, a client on this machine also gets the traceback of what a handler raised.

Source: RFC 9457 (problem details).
"""

from __future__ import annotations

import logging
from html import escape
from ipaddress import ip_address
from typing import Any, Final

import trio

from finch.errors import HTTPError, ProtocolError, status_phrase
from finch.failures import failure_of, report
from finch.http.accepts import choose_type
from finch.http.request import Request
from finch.http.response import HTMLResponse, JSONResponse, Response, TextResponse
from finch.wire.forwarded import parse_node, read_forwarded, read_x_forwarded
from finch.wire.handshake import parse_origin

_log = logging.getLogger("finch.app")

PROBLEM: Final = "application/problem+json"

_FORMS: Final = (("text/plain",), ("text/html",), (PROBLEM, "application/json"))
_TEXT, _PAGE, _JSON = range(3)  # the indices in _FORMS
_HTML: Final = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<h1>{title}</h1>
{text}"""


async def respond(request: Request, error: HTTPError, cause: BaseException | None) -> Response:
    """The response to an error, in the form that suits the client.

    Parameters:
        cause: what the application raised, if that is why there is an error.
    """
    status, message, headers = error.answer()
    form = _form(request, status, headers)
    if cause is not None and shows_traceback(request):
        response = await _traced(request, form, status, cause)
        if response is not None:
            return response
    response = _response(request, form, error, status, message)
    vary = "accept"
    for name, value in headers.items():
        if name.lower() == "vary":
            vary = f"{value}, accept"
        else:
            response.set_header(name, value)
    response.set_header("vary", vary)
    return response


def shows_traceback(request: Request) -> bool:
    """Whether a client may see tracebacks: ``app.debug`` is on, and the client's address, the host
    that it asked for, and all clients that proxies report are of this machine.

    The host is checked because of pages that make a browser on this machine ask for them (DNS
    rebinding). What proxies report is checked even if Finch does not trust them: a client that
    forges it sees less.
    """
    if not getattr(request.app, "debug", False) or not _is_loopback(request.client.host):
        return False
    if not all(map(_is_loopback, _reported(request))):
        return False
    origin = parse_origin(f"http://{request.host}")
    if origin is None:
        return False
    name = origin[1]
    return name == "localhost" or name.endswith(".localhost") or _is_loopback(name)


def _reported(request: Request) -> list[str]:
    """The addresses that proxies say the request came from; empty texts for unknown ones."""
    nodes = request.headers.getlist("x-forwarded-for") + request.headers.getlist("x-real-ip")
    forwarded = request.headers.getlist("forwarded")
    try:
        hops = read_x_forwarded(",".join(nodes).encode("latin-1"), b"", b"") if nodes else []
        hops += read_forwarded(",".join(forwarded).encode("latin-1"))
        return [parse_node(hop.node)[0] if hop.node else "" for hop in hops]
    except ProtocolError:
        return [""]


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _form(request: Request, status: int, headers: dict[str, str]) -> int:
    # "Socket is requested!" is text, as in Dart; and who sets a type has written a text of it
    if status == 426 or any(name.lower() == "content-type" for name in headers):
        return _TEXT
    accept, sent = "", b""
    for name, value in request.raw_headers:  # not request.headers: scanners get many a 404
        if name == b"accept":
            line = value.decode("latin-1")
            accept = f"{accept}, {line}" if accept else line
        elif name == b"content-type":
            sent = value
    form = None if accept in ("", "*/*") else choose_type(accept, _FORMS)
    if form is None:
        return _JSON if sent and _is_json(sent) else _TEXT
    return form


def _is_json(content_type: bytes) -> bool:
    sent = content_type.partition(b";")[0].strip().lower()
    return sent == b"application/json" or sent.endswith(b"+json")


def _response(request: Request, form: int, error: HTTPError, status: int, message: str) -> Response:
    if form == _JSON:
        return _problem(request, error, status, message)
    if form == _PAGE:
        title = _title(status)
        text = "" if message == status_phrase(status) else f"<p>{escape(message)}</p>\n"
        return HTMLResponse(_HTML.format(title=escape(title), text=text), status)
    return TextResponse(message, status)


def _title(status: int) -> str:
    return f"{status} {status_phrase(status)}".rstrip()


def _problem(request: Request, error: HTTPError, status: int, message: str) -> Response:
    members = _members(request, status, message)
    try:
        return JSONResponse(members | dict(error.extra), status, content_type=PROBLEM)
    except BaseException as raised:
        failure = failure_of(raised)
        report(
            _log,
            "the extra of the error that answers %s %s cannot be sent as JSON",
            request.method,
            request.raw_path,
            error=failure,
        )
    return JSONResponse(members, status, content_type=PROBLEM)


def _members(request: Request, status: int, message: str) -> dict[str, Any]:
    """The members of a problem (RFC 9457, section 3.1)."""
    members: dict[str, Any] = {
        "type": "about:blank",
        "title": status_phrase(status) or "Error",
        "status": status,
        "detail": message,
        "instance": request.raw_path,
    }
    if members["title"] == message or not message:
        del members["detail"]
    if "request_id" in request.state:
        members["request_id"] = str(request.state["request_id"])
    return members


async def _traced(
    request: Request, form: int, status: int, cause: BaseException
) -> Response | None:
    """The response with a traceback; None if that fails. It reads source files, and an exception
    may have a slow ``__str__``, so it is made in a thread."""
    from finch.http.raised import POLICY, page, text  # only a developer needs it

    response: Response
    try:
        if form == _PAGE:
            body = await trio.to_thread.run_sync(
                page, request, _title(status), cause, abandon_on_cancel=True
            )
            response = HTMLResponse(body, status)
            # whatever a client has put into a message: nothing on this page runs or loads
            response.set_header("content-security-policy", POLICY)
        else:
            told = await trio.to_thread.run_sync(text, cause, abandon_on_cancel=True)
            if form == _JSON:
                members = _members(request, status, status_phrase(status))
                response = JSONResponse(members | {"traceback": told}, status, content_type=PROBLEM)
            else:
                response = TextResponse(f"{status_phrase(status)}\n\n{told}", status)
    except BaseException as error:
        report(_log, "the traceback cannot be shown", error=failure_of(error))
        return None
    response.set_header("vary", "accept")
    response.set_header("cache-control", "no-store")
    return response
