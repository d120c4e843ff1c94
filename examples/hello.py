"""HTTP in a few lines: text, JSON, a path parameter, a request body, an error.

Run it with: python -m finch hello:app
"""

from dataclasses import dataclass

from finch import FinchApp, HTTPError

app = FinchApp()
birds = {1: "goldfinch", 2: "chaffinch"}


@dataclass
class Bird:
    name: str


@app.get("/")
async def index(request):
    return "Hello from Finch!"


@app.get("/birds")
async def all_birds(request):
    return birds


@app.get("/birds/{bird_id:int}")
async def one_bird(request, bird_id):
    if bird_id not in birds:
        raise HTTPError(404, f"there is no bird {bird_id}")
    return {"id": bird_id, "name": birds[bird_id]}


@app.post("/birds")
async def add_bird(request):
    bird = await request.json(Bird)
    bird_id = max(birds) + 1
    birds[bird_id] = bird.name
    return {"id": bird_id, "name": bird.name}, 201
