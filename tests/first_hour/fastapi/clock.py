import time

from fastapi import FastAPI
from fastapi.testclient import TestClient
from freezegun import freeze_time

app = FastAPI()
made = {}


@app.post("/codes/{code}")
async def make(code: str):
    made[code] = time.time()


@app.get("/codes/{code}")
async def use(code: str):
    return "good" if time.time() - made[code] < 600 else "too old"


def test_a_code_is_good_for_ten_minutes():
    client = TestClient(app)
    with freeze_time() as clock:
        client.post("/codes/7")
        assert client.get("/codes/7").json() == "good"
        clock.tick(600)
        assert client.get("/codes/7").json() == "too old"
