"""The names that users import, and what importing them costs."""

import inspect
import subprocess
import sys

import finch

NAMES = """
Address Audience Body CallFailed ClientGone ConfigurationError ConnectionClosed ConnectionLost
Controller Cookie Description Disconnected Entry EventStream Everyone File FileResponse FinchApp
FinchError FinchRoute Form FormData Group HTMLResponse HTTPError HandshakeFailed Header Headers
History Identity JSONResponse Kept Limits Message Methods NotSent Position ProtocolError Query
QueryParams RedirectResponse Request Response Room Rooms Sent ServerEvent SocketClient
SocketController SocketEvent SocketManager SocketRooms Stats StreamingResponse TextResponse
Unavailable Upgrade Upload User WebSocket converter named publish run serve
""".split()

EXTRAS = {"coredis", "multipart", "jinja2", "itsdangerous", "watchfiles", "prometheus_client"}


def test_the_public_names_are_these():
    assert sorted(finch.__all__) == sorted(NAMES)


def test_public_names_say_where_they_are_imported_from():
    markers = {"Body", "Cookie", "File", "Form", "Header", "Query"}  # each is an alias
    assert {getattr(finch, name).__module__ for name in {*NAMES} - markers} == {"finch"}


def test_every_public_name_and_method_has_a_docstring():
    silent = []
    for name in NAMES:
        thing = getattr(finch, name)
        if not inspect.getdoc(thing):
            silent.append(name)
        if inspect.isclass(thing):
            for member, value in vars(thing).items():
                public = not member.startswith("_")
                if public and inspect.isfunction(value) and not inspect.getdoc(value):
                    # what overrides a documented method is documented by it
                    overridden = any(hasattr(base, member) for base in thing.__mro__[1:])
                    if not overridden:
                        silent.append(f"{name}.{member}")
    assert silent == []


def test_importing_finch_imports_nothing_of_an_extra():
    code = "import sys, finch; print(*{name.split('.')[0] for name in sys.modules})"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert EXTRAS.isdisjoint(out.stdout.split())
