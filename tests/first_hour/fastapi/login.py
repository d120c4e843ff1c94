from typing import Annotated

from fastapi import Depends, FastAPI, Form, HTTPException, Request
from fastapi.responses import RedirectResponse
from starlette.middleware.sessions import SessionMiddleware

app = FastAPI()
app.add_middleware(SessionMiddleware, secret_key="only-for-this-page-and-not-a-real-secret")


def session_user(request: Request):
    if "user" not in request.session:
        raise HTTPException(401)
    return request.session["user"]


@app.post("/login")
async def enter(request: Request, name: Annotated[str, Form()], password: Annotated[str, Form()]):
    if password != "swordfish":
        raise HTTPException(401, "wrong name or password")
    request.session["user"] = name
    return RedirectResponse("/me", 303)


@app.get("/me")
async def me(user: Annotated[str, Depends(session_user)]):
    return f"hello {user}"
