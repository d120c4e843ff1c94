"""What httplint finds wrong in a response. Any test may ask it about what it has read."""

import h11
from httplint import HttpRequestLinter, HttpResponseLinter
from httplint.note import levels


def findings(request, response, *, level=levels.BAD):
    """What is wrong with one exchange, as httplint says it; an empty list if nothing is.

    Parameters:
        request: the bytes of the whole request, body included.
        response: the bytes of its response. If it is not the last one of its connection, only its
            own bytes. An informational response before it is passed over.
        level: which notes: ``levels.BAD``, or ``levels.WARN`` to read what else there is to say.
    """
    method, target, headers, _ = _split(request)
    asked = HttpRequestLinter()
    asked.process_request_topline(method, target, b"HTTP/1.1")
    asked.process_headers(headers)
    asked.finish_content(True)
    answered = HttpResponseLinter()
    answered.request = asked
    answered.is_head_response = method == b"HEAD"
    _feed(answered, method, target, headers, response)
    return [f"{note.category.name}: {note.summary}" for note in _notes(answered, level)]


def _split(request):
    head, _, body = request.partition(b"\r\n\r\n")
    line, *lines = head.split(b"\r\n")
    method, target, _ = line.split(b" ")
    pairs = (one.partition(b":") for one in lines)
    return method, target, [(name, value.strip()) for name, _, value in pairs], body


def _feed(answered, method, target, headers, response):
    """Take a response's framing off, and give httplint the rest."""
    http = h11.Connection(h11.CLIENT)
    framing = (b"content-length", b"transfer-encoding", b"expect")
    plain = [one for one in headers if one[0].lower() not in framing]
    http.send(h11.Request(method=method, target=target, headers=plain))
    http.send(h11.EndOfMessage())
    http.receive_data(response)
    http.receive_data(b"")
    while True:
        event = http.next_event()
        if isinstance(event, h11.Response):
            version = b"HTTP/%b" % event.http_version
            answered.process_response_topline(version, b"%d" % event.status_code, event.reason)
            answered.process_headers(event.headers.raw_items())
        elif isinstance(event, h11.Data):
            answered.feed_content(bytes(event.data))
        elif isinstance(event, h11.EndOfMessage):
            answered.finish_content(True, event.headers.raw_items() or None)
            return


def _notes(linter, level):
    waiting = list(linter.notes)
    while waiting:
        note = waiting.pop(0)
        waiting += note.subnotes
        if note.level is level:
            yield note
