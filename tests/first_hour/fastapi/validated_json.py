from fastapi import FastAPI
from pydantic import BaseModel

app = FastAPI()


class Bird(BaseModel):
    name: str
    rings: list[int]


@app.post("/birds")
async def add(bird: Bird):
    return {"name": bird.name, "rings": len(bird.rings)}
