"""Sockets: who is connected, which messages they send, and which handlers get them.

upgrade.py      accepts or refuses upgrade requests
link.py         one open connection: messages, keep-alive, closing
lag.py          how far behind a client is: plain data
workers.py      the tasks that run handlers
event.py        SocketEvent: the application's callbacks
annotations.py  converts a message to what a handler's annotation asks for
table.py        which event handles a path: plain data
registry.py     which clients are connected, and as which users: plain data
outgoing.py     packs what an application sends into envelopes
dispatch.py     gives a message to its handler, and sends the answer
client.py       SocketClient: one client of a manager; handles its messages in order
manager.py      SocketManager: registers handlers, sends to many
controller.py   SocketController: a manager's HTTP side
raw.py          WebSocket: a connection without envelopes
"""
