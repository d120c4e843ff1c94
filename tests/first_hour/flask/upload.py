from pathlib import Path
from uuid import uuid4

from flask import Flask, request

app = Flask(__name__)


@app.post("/photos")
def add():
    path = Path("photos") / f"{uuid4()}.png"
    request.files["photo"].save(path)
    return {"name": request.files["photo"].filename, "saved": path.name}
