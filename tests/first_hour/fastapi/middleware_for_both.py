from fastapi import Depends, FastAPI, HTTPException, WebSocket
from fastapi.requests import HTTPConnection


async def check(connection: HTTPConnection):
    if connection.headers.get("x-token") != "secret":
        raise HTTPException(401)


app = FastAPI(dependencies=[Depends(check)])


@app.get("/")
async def index():
    return "hello"


@app.websocket("/echo")
async def echo(ws: WebSocket):
    await ws.accept()
    async for text in ws.iter_text():
        await ws.send_text(text)
