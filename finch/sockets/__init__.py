"""Sockets: who is connected, what they say, and who handles it.

upgrade.py     an upgrade request to the response that accepts it
link.py        one open connection: bytes to messages, keep-alive, closing
workers.py     the tasks that run handlers
event.py       SocketEvent: the application's callbacks
registry.py    who is connected: plain data
client.py      SocketClient: one client of a manager, in order
manager.py     SocketManager: routes messages, sends to many
controller.py  SocketController: a manager's HTTP side
raw.py         WebSocket: a connection without envelope
"""
