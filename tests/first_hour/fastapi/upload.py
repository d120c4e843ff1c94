from pathlib import Path
from uuid import uuid4

from fastapi import FastAPI, UploadFile

app = FastAPI()


@app.post("/photos")
async def add(photo: UploadFile):
    path = Path("photos") / f"{uuid4()}.png"
    path.write_bytes(await photo.read())
    return {"name": photo.filename, "saved": path.name}
