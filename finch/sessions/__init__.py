"""Sessions: what a site remembers of a visitor, in a signed cookie; logins, flash messages, CSRF.

Needs ``finch-trio[sessions]``.

Example::

    from finch.sessions import CSRF, Sessions, login, logout, session_user

    app.middleware(Sessions(os.environ["SESSION_SECRET"]))
    app.middleware(CSRF())
    app.authorize(session_user)

codec        what is signed: a dict to the text of a cookie, and back
session      request.session
middleware   Sessions: reads and writes the cookie
login        who the visitor is, also on sockets
flash        messages for the next page
csrf         forms of other sites are refused
"""

from finch.sessions.csrf import CSRF, csrf_token
from finch.sessions.flash import Flash, flash, flashes
from finch.sessions.login import login, logout, session_user
from finch.sessions.middleware import Sessions
from finch.sessions.session import Session

__all__ = [
    "CSRF",
    "Flash",
    "Session",
    "Sessions",
    "csrf_token",
    "flash",
    "flashes",
    "login",
    "logout",
    "session_user",
]
