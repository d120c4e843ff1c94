from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse

app = FastAPI()


@app.get("/birds/{bird_id}")
async def bird(bird_id: int):
    return f"bird {bird_id}"


@app.get("/first")
async def first(request: Request):
    return PlainTextResponse(str(request.url_for("bird", bird_id=1)))
