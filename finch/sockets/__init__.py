"""Sockets: who is connected, what they say, and who handles it.

upgrade.py      an upgrade request to the response that accepts it
link.py         one open connection: bytes to messages, keep-alive, closing
lag.py          how far behind a client is: plain data
workers.py      the tasks that run handlers
event.py        SocketEvent: the application's callbacks
annotations.py  what a handler's second parameter is made of
table.py        which event handles a path: plain data
registry.py     who is connected, and as whom: plain data
outgoing.py     what an application sends, as envelopes
dispatch.py     from a message to its handler, and from what that returns to the answer
client.py       SocketClient: one client of a manager, in order
manager.py      SocketManager: registers handlers, sends to many
controller.py   SocketController: a manager's HTTP side
raw.py          WebSocket: a connection without envelope
"""
