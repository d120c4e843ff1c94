from fastapi import FastAPI, Request
from fastapi.templating import Jinja2Templates

app = FastAPI()
templates = Jinja2Templates(directory="templates")


@app.get("/birds/{name}")
async def bird(request: Request, name: str):
    return templates.TemplateResponse(request, "bird.html", {"name": name})
