"""The table of an application's routes, sockets and rooms."""

from finch import FinchApp, FinchRoute, Methods, SocketManager
from finch.describe.listing import list_routes


def test_the_table_has_every_route_socket_and_pattern_of_rooms():
    app = FinchApp(client_path=None)
    admin = SocketManager(app, path="/admin")

    @app.get("/birds/{bird_id:int}", key="bird")
    async def bird(request, bird_id): ...

    @app.post("/birds")
    async def add(request): ...

    app.add_routes([FinchRoute("/all", add, methods=Methods.ALL)])

    @app.rooms("chat/{name}").socket("say", auth=lambda socket: True)
    async def say(socket, data): ...

    @admin.socket("stop")
    async def stop(socket, data): ...

    assert list_routes(app.routes, app.managers).splitlines() == [
        "GET,POST  /admin                Entrance.handle  -",
        "ALL       /all                  add              -",
        "POST      /birds                add              -",
        "GET       /birds/{bird_id:int}  bird             bird",
        "GET,POST  /ws                   Entrance.handle  finch.socket",
        "socket    /admin stop           stop             -",
        "rooms     /ws chat/{name}       -                -",
        "socket    /ws chat/{name} say   say              -",
    ]
