import asyncio
from contextlib import asynccontextmanager

from fastapi import FastAPI


async def clean_up():
    while True:
        print("cleaned up")
        await asyncio.sleep(60)


@asynccontextmanager
async def lifespan(app):
    task = asyncio.create_task(clean_up())
    yield
    task.cancel()


app = FastAPI(lifespan=lifespan)
