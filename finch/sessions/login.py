"""Logins: who a visitor is, kept in the session, for HTTP handlers and for sockets."""

from __future__ import annotations

from typing import Any

from finch.calls import never_blocks
from finch.errors import Unavailable
from finch.explain import kind
from finch.http.request import USER, Request
from finch.sockets.identity import EXPIRED, check_user_id
from finch.sockets.members import UserId


def login(request: Request, user_id: UserId, **claims: Any) -> None:
    """Remember who the visitor is, after you have checked it.

    Whatever was in the session is forgotten first: somebody else may have put it there before the
    visitor logged in.

    Parameters:
        request: the request.
        user_id: the user's id, text or int.
        claims: more to remember in the session, such as ``name="Ada"``.

    Raises:
        TypeError: if ``user_id`` is neither, or JSON cannot hold a claim.
        RuntimeError: if the request has no session.

    Source: OWASP, Session Management Cheat Sheet (renew the session after a login).

    Example::

        user = await check_password(form["name"], form["password"])
        login(request, user.id, name=user.name)
        return RedirectResponse("/", 303)
    """
    check_user_id(user_id)
    if user_id is None:
        raise TypeError("login takes the id of a user, not None; logout(request) ends a login")
    if USER in claims:
        raise TypeError(f"login has the user's id already; {USER}= cannot be a claim")
    session = request.session
    session.clear()
    session.update(claims)
    session[USER] = user_id
    request.user = user_id


async def logout(request: Request) -> None:
    """Forget the visitor, and close all sockets of the same user with 4401, in all processes.

    Sockets of other devices, where the user is still logged in, come back by themselves.

    Raises:
        RuntimeError: if the request has no session.
        Unavailable: if there is a backplane, and it cannot be reached. The visitor is logged out
            then, and the sockets of this process are closed.
    """
    session = request.session
    user_id = _user_in(session.get(USER))
    session.clear()
    request.user = None
    if user_id is None:
        return
    unavailable: Unavailable | None = None
    for manager in request.app.managers.values():
        try:
            await manager.user(user_id).close(EXPIRED, "logged out")
        except Unavailable as error:
            unavailable = error
    if unavailable is not None:
        raise unavailable


@never_blocks
def session_user(request: Request) -> UserId | None:
    """The id of the user who is logged in; None if nobody is. It becomes ``request.user``, too.

    It is made for ``app.authorize(session_user)`` and ``auth=session_user``.

    Raises:
        RuntimeError: if the request has no session.
    """
    if not isinstance(request, Request):
        raise TypeError(
            f"session_user takes a request, not {kind(request)}; for a socket, write "
            "session_user(socket.request)"
        )
    user_id = _user_in(request.session.get(USER))
    if user_id is not None:
        request.user = user_id
    return user_id


def _user_in(value: object) -> UserId | None:
    if isinstance(value, str | int) and not isinstance(value, bool):
        return value
    return None
