from fastapi import FastAPI
from fastapi.responses import RedirectResponse

app = FastAPI()


@app.get("/old")
async def old():
    return RedirectResponse("/new", 301)
