from typing import Annotated

from fastapi import FastAPI, Form

app = FastAPI()


@app.post("/birds")
async def add(name: Annotated[str, Form()]):
    return f"added {name}"
