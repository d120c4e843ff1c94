"""HTTP: request and response objects, routing, and the life of one connection.

cookies.py     reads the cookies of a request and writes the cookies that a response sets
language.py    chooses the language for a client
date.py        dates in headers
encodings.py   content codings: which of them a client accepts
ranges.py      the one range of bytes that a request may ask for
conditional.py entity tags, and the conditions of a request
media.py       media types of files, by their names
disposition.py the name under which a browser saves a file
below.py       opens files below a directory, and never one outside of it
opened.py      an open file on its way to a peer
response.py    responses that have their whole body
streaming.py   streamed responses, whose chunks are made in a task of their own
takeover.py    the response after which another protocol has the connection
returned.py    converts what a handler returns to a response, and what it yields to bytes
request.py     a request as a handler sees it
files.py       the response that is a file
file_replies.py finds the file, and judges the request
static.py      directories of files
paths.py       parses the path of a route
patterns.py    matches paths against a route's pattern in linear time
signatures.py  checks that a handler fits its route's path
routing.py     finds the handler for a path and a method
accepts.py     reads Accept: which form of a response the client prefers
problems.py    the responses to errors: problem details, a page or text
raised.py      what a developer sees of an exception: traceback, source, request
pipeline.py    middleware, handlers and error handlers: from a request to its response
body.py        a request's body on its way to the handler
sending.py     responses on their way to the peer
connection.py  one connection, request after request

The ``wire`` folder parses and writes the bytes. The ``sockets`` folder imports from this one, and
not the other way round.
"""
