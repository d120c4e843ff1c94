import time

from flask import Flask
from freezegun import freeze_time

app = Flask(__name__)
made = {}


@app.post("/codes/<code>")
def make(code):
    made[code] = time.time()
    return "", 204


@app.get("/codes/<code>")
def use(code):
    return "good" if time.time() - made[code] < 600 else "too old"


def test_a_code_is_good_for_ten_minutes():
    client = app.test_client()
    with freeze_time() as clock:
        client.post("/codes/7")
        assert client.get("/codes/7").text == "good"
        clock.tick(600)
        assert client.get("/codes/7").text == "too old"
