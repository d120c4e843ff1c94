from fastapi import FastAPI
from fastapi.middleware.cors import CORSMiddleware

app = FastAPI()
app.add_middleware(CORSMiddleware, allow_origins=["https://example.org"])


@app.get("/birds")
async def birds():
    return ["finch", "tit"]
