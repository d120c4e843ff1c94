"""Load: many clients of one server, and what they find out about it. For ``finch load``.

histogram.py   latencies, counted in little memory
frames.py      the bytes of WebSocket on a client's side
target.py      what is loaded: a URL, read once
plan.py        what a run is to do, and what it has found out
connection.py  one connection: TCP, TLS, the handshake, messages, GET
pace.py        when messages are due
clients.py     what one client does: GET, calls, rooms, or nothing
conductor.py   runs all clients, and ends them in time
picture.py     the picture of a run, as SVG

Nothing here imports the server.
"""
