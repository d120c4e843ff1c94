"""The chat of the Dart framework, with classes: SocketManager, SocketEvent, Controller, FinchRoute.

Run it with: python -m finch chat_classes:app
"""

from datetime import datetime

from finch import Controller, FinchApp, FinchRoute, Methods, SocketEvent, SocketManager

app = FinchApp()


# 1. Define a SocketManager
async def on_connect(socket):
    # Called when a client connects
    # Notify all other clients about the new connection
    await app.socket_manager.send_to_all(
        f"A user connected. Total: {app.socket_manager.count_clients}",
        path="output",
    )
    # Send a confirmation to the newly connected client
    await socket.send(
        {"message": "Successfully connected to socket!"},
        path="connected",
    )


async def on_message(socket, data):
    # Called for messages not matched by any named route
    pass


async def on_disconnect(socket):
    # Called when a client disconnects
    count = app.socket_manager.count_clients
    await app.socket_manager.send_to_all(
        f"A user disconnected. Total: {count - 1}",
        path="output",
    )


# 2. Define Named Routes
async def on_test(socket, data):
    # Client sends to path 'test' — server replies with request headers
    await socket.send([dict(socket.request.headers)], path="test")


async def on_time(socket, data):
    # Client sends to path 'time' — server replies with current time
    await socket.send(str(datetime.now()), path="output")


def get_socket_routes():
    return {
        "test": SocketEvent(on_message=on_test),
        "time": SocketEvent(on_message=on_time),
    }


socket_manager = SocketManager(
    app,
    event=SocketEvent(
        on_connect=on_connect,
        on_message=on_message,
        on_disconnect=on_disconnect,
    ),
    routes=get_socket_routes(),
)


# 3. Create a Socket Controller
class WebSocketController(Controller):
    async def socket(self, request):
        # Transfer the request to the SocketManager for WebSocket upgrade
        await socket_manager.request_handle(request)
        return request.render_socket()


web_socket_controller = WebSocketController()

# 4. Register the WebSocket Route
app.add_routes(
    [
        FinchRoute(
            key="root.ws",
            path="/ws",
            methods=Methods.ALL,
            index=web_socket_controller.socket,
        ),
    ]
)
