"""HTTP: requests and responses as values, which handler answers, and one connection's life.

cookies.py     those of a request, and those that a response sets
language.py    which of an application's languages a client gets
date.py        the Date of responses
response.py    responses as values
returned.py    what a handler returns, as a response, and yields, as bytes
streaming.py   chunks of a response, made in a task of their own
request.py     a request as a handler sees it
paths.py       a route's path, read
patterns.py    a route's path, matched in linear time
signatures.py  what a route's handler takes
routing.py     which handler a path and a method belong to
pipeline.py    middleware, the handler, error handlers: from a request to its response
body.py        a request's body on its way to the handler
sending.py     responses on their way to the peer
connection.py  one connection, request after request

Bytes are the wire's business, and sockets know this folder, not the other way round.
"""
