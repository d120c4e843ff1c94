from fastapi import FastAPI
from fastapi.responses import HTMLResponse

app = FastAPI()


@app.exception_handler(404)
async def missing(request, error):
    return HTMLResponse("<h1>No such bird</h1>", 404)
