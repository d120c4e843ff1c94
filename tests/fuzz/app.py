"""The application under fire: a route for each way to read a request, a handler for each kind of
message, and no handler that fails by itself.

python -m finch tests.fuzz.app:app
"""

import msgspec

from finch import FinchApp, HTTPError, Message


class Bird(msgspec.Struct):
    name: str
    age: int


def make_app() -> FinchApp:
    """A fresh one. Its responses carry the request's method, and for raw sockets ``x-raw``."""
    app = FinchApp(languages=("en", "de"))

    @app.middleware
    async def say_what_was_asked(request, call_next):
        response = await call_next(request)
        response.set_header("x-method", request.method)
        if request.raw_path == "/raw":
            response.set_header("x-raw", "yes")
        return response

    @app.get("/")
    async def index(request):
        return "hello"

    @app.post("/echo")
    async def echo(request):
        return await request.body()

    @app.post("/json")
    async def read_json(request):
        return await request.json(Bird)

    @app.put("/count")
    async def count(request):
        return str(sum([len(piece) async for piece in request.stream()]))

    @app.get("/stream")
    async def stream(request):
        for piece in ("one", "", "two"):
            yield piece

    @app.route("/about/{name:path}", methods=("GET", "POST", "DELETE"))
    async def about(request, name):
        return {
            "name": name,
            "query": list(request.query.items()),
            "headers": list(request.headers.items()),
            "cookies": dict(request.cookies),
            "language": request.language,
            "client": str(request.client),
            "scheme": request.scheme,
            "host": request.host,
            "path": request.path,
        }

    @app.socket("echo")
    async def echo_data(socket, data):
        return data

    @app.socket("add")
    async def add(socket, data: list[int]):
        return sum(data)

    @app.socket("bird")
    async def bird(socket, data: Bird):
        return data

    @app.socket("whole")
    async def whole(socket, message: Message):
        return {"blob": message.get("blob"), "keys": list(message.fields)}

    @app.socket("stream")
    async def stream_data(socket, data):
        for _ in range(3):
            yield data

    @app.socket("slow", concurrent=True)
    async def slow(socket, data):
        return data

    @app.socket("refuse")
    async def refuse(socket, data):
        raise HTTPError(403, "not here")

    @app.websocket("/raw", subprotocols=("chat",), compression=True)
    async def raw(ws):
        async for message in ws:
            await ws.send(message)

    return app


app = make_app()
