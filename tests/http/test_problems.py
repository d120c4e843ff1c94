"""The responses to errors: problem details, a page, or text; and the traceback for a developer."""

import sys

import pytest

from finch import Address, FinchApp, HTTPError, TextResponse
from finch.http.problems import PROBLEM
from finch.testing import HandshakeRefused, TestClient

HERE = Address("127.0.0.1", 50000)
LOCAL = {"host": "localhost:8080"}
BROWSER = {"accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
SCRIPT = {"accept": "application/json"}


def application(**options):
    app = FinchApp(**options)

    @app.get("/gone/{name}")
    async def gone(request, name):
        raise HTTPError(410, f"{name} is gone", {"x-why": "old"}, extra={"name": name})

    @app.get("/bug")
    async def bug(request):
        secret = "the captain's name"  # noqa: F841
        raise ValueError("a <b>bug</b> \x1b[31m")

    @app.post("/json")
    async def take(request):
        return await request.json(int)

    @app.socket("hello")
    async def hello(socket, data):
        raise HTTPError(404, "no such room", extra={"room": 5})

    return app


async def ask(
    app, path, *, method="GET", client=HERE, host="localhost:8080", headers=(), **options
):
    async with TestClient(app, client=client) as tester:
        sent = {"host": host, **dict(headers)}
        return await tester.request(method, path, headers=sent, **options)


# Which form


async def test_a_client_that_prefers_json_gets_problem_details():
    response = await ask(application(), "/gone/finch", headers=SCRIPT)
    assert response.status == 410
    assert response.headers["content-type"] == PROBLEM
    assert response.headers["vary"] == "accept"
    assert response.headers["x-why"] == "old"
    assert response.json() == {
        "type": "about:blank",
        "title": "Gone",
        "status": 410,
        "detail": "finch is gone",
        "instance": "/gone/finch",
        "name": "finch",
    }


async def test_a_problem_without_a_message_has_no_detail():
    response = await ask(application(), "/nothing", headers=SCRIPT)
    assert response.json() == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "instance": "/nothing",
    }


async def test_a_browser_gets_a_page():
    response = await ask(application(), "/gone/finch", headers=BROWSER)
    assert response.status == 410
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    assert "<h1>410 Gone</h1>" in response.text
    assert "<p>finch is gone</p>" in response.text


@pytest.mark.parametrize("accept", [None, "*/*", "text/plain", "image/png"])
async def test_any_other_gets_text(accept):
    headers = {} if accept is None else {"accept": accept}
    response = await ask(application(), "/gone/finch", headers=headers)
    assert (response.status, response.text) == (410, "finch is gone")
    assert response.headers["content-type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize(
    "sent", ["application/json", "Application/JSON; charset=utf-8", "a/b+json"]
)
async def test_who_sent_json_and_prefers_nothing_gets_json(sent):
    headers = {"content-type": sent, "accept": "*/*"}
    response = await ask(application(), "/json", method="POST", headers=headers, content=b"x")
    assert response.status == 400
    assert response.headers["content-type"] == PROBLEM
    assert "not JSON" in response.json()["detail"]


async def test_who_sent_json_and_prefers_text_gets_text():
    headers = {"content-type": "application/json", "accept": "text/plain"}
    response = await ask(application(), "/json", method="POST", headers=headers, content=b"x")
    assert response.headers["content-type"].startswith("text/plain")


async def test_an_error_handler_still_decides():
    app = application()

    @app.error_handler(410)
    async def mine(request, error):
        return "mine"

    response = await ask(app, "/gone/finch", headers=SCRIPT)
    assert (response.status, response.text) == (410, "mine")


async def test_who_sets_a_type_has_written_a_text_of_it():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        raise HTTPError(400, "<wrong/>", {"Content-Type": "application/xml"})

    response = await ask(app, "/", headers=SCRIPT)
    assert (response.headers["content-type"], response.text) == ("application/xml", "<wrong/>")


async def test_vary_of_an_error_is_kept():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        raise HTTPError(403, headers={"Vary": "Cookie"})

    assert (await ask(app, "/")).headers.getlist("vary") == ["Cookie, accept"]


async def test_a_get_of_a_socket_is_the_same_text_for_all():
    for headers in (BROWSER, SCRIPT, {}):
        response = await ask(application(), "/ws", headers=headers)
        assert (response.status, response.text) == (426, "Socket is requested!")


async def test_a_refused_socket_is_answered_in_the_form_that_is_preferred():
    app = application()

    @app.authorize
    async def refuse(request):
        raise HTTPError(401, "who are you?", extra={"try": "/login"})

    async with TestClient(app) as client:
        with pytest.raises(HandshakeRefused) as refused:
            async with client.socket(headers=SCRIPT):
                pass
    assert refused.value.response.json()["try"] == "/login"


async def test_a_message_of_a_socket_gets_what_it_always_got():
    async with TestClient(application()) as client, client.socket() as socket:
        await socket.send("hello")
        answer = await socket.receive()
        assert answer.data == {"message": "no such room", "path": "hello"}


async def test_a_head_request_has_the_head_of_the_page():
    app = application()
    got = await ask(app, "/gone/finch", headers=BROWSER)
    head = await ask(app, "/gone/finch", method="HEAD", headers=BROWSER)
    assert head.body == b""
    assert head.headers["content-length"] == got.headers["content-length"]


# Nothing of the client or the application breaks out


async def test_a_message_is_escaped_on_the_page():
    response = await ask(application(), "/gone/%3Cscript%3E%22'&", headers=BROWSER)
    assert "<script" not in response.text
    assert "&lt;script&gt;&quot;&#x27;&amp; is gone" in response.text


async def test_braces_in_a_message_stay_as_they_are():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        raise HTTPError(400, "{title} {0} {request.app}")

    assert "<p>{title} {0} {request.app}</p>" in (await ask(app, "/", headers=BROWSER)).text


class Raises:
    """A mapping that raises when it is read."""

    def keys(self):
        raise SystemExit


@pytest.mark.parametrize("extra", [{"x": object()}, {"x": "\ud800"}, {"x": float}, Raises()])
async def test_an_extra_that_json_cannot_hold_is_left_out_and_logged(extra, caplog):
    class Odd(HTTPError):
        pass

    Odd.extra = extra
    app = FinchApp()

    @app.get("/")
    async def index(request):
        raise Odd(400, "wrong")

    response = await ask(app, "/", headers=SCRIPT)
    assert response.status == 400
    assert response.json()["detail"] == "wrong"
    assert "cannot be sent as JSON" in caplog.text


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        ([("field", "age")], "as a dict"),
        ("field", "as a dict"),
        ({1: 2}, "are text"),
        ({"status": 200}, "it is the error's status"),
        ({"detail": "x"}, "it is the error's message"),
    ],
)
def test_an_extra_that_makes_no_sense_is_refused_where_it_is_written(extra, says):
    with pytest.raises((TypeError, ValueError), match=says):
        HTTPError(422, "wrong", extra=extra)


class Unspeakable:
    def __str__(self):
        raise SystemExit


async def test_an_answer_that_cannot_be_made_is_500_and_the_connection_goes_on(caplog):
    app = FinchApp()

    @app.get("/")
    async def index(request):
        request.state["request_id"] = Unspeakable()
        raise HTTPError(404)

    app.get("/well")(lambda request: "well")
    async with TestClient(app) as client:
        response = await client.get("/", headers=SCRIPT)
        assert (response.status, response.text) == (500, "Internal Server Error")
        assert (await client.get("/well")).text == "well"
    assert "the answer to an error of GET / cannot be made" in caplog.text
    assert "a bug in Finch" not in caplog.text


async def test_an_extra_may_say_the_type_of_the_problem():
    app = FinchApp()

    @app.get("/")
    async def index(request):
        problem = {"type": "https://example.org/out-of-seed", "title": "Out of seed"}
        raise HTTPError(503, extra=problem)

    said = (await ask(app, "/", headers=SCRIPT)).json()
    assert (said["type"], said["title"]) == ("https://example.org/out-of-seed", "Out of seed")


# The traceback


@pytest.mark.parametrize("headers", [BROWSER, SCRIPT, {}])
async def test_without_debug_nobody_sees_a_traceback(headers):
    response = await ask(application(), "/bug", headers=headers)
    assert response.status == 500
    assert "bug" not in response.text.replace("/bug", "")
    assert "content-security-policy" not in response.headers


@pytest.mark.parametrize(
    ("client", "host"),
    [
        (Address("192.0.2.1", 5), "localhost"),  # another machine
        (Address("10.0.0.1", 5), "localhost"),  # also one in the house
        (Address("", 0), "localhost"),  # somebody behind a proxy on a unix socket
        (Address("unknown", 0), "localhost"),
        (HERE, "example.org"),  # behind a proxy that is not known, or DNS rebinding
        (HERE, "localhost.example.org"),
        (HERE, "127.0.0.1.example.org"),
        (HERE, "192.0.2.1"),
        (HERE, "notlocalhost"),
    ],
)
async def test_with_debug_nobody_elsewhere_sees_a_traceback(client, host):
    app = application(debug=True)
    for headers in (BROWSER, SCRIPT, {}):
        response = await ask(app, "/bug", client=client, host=host, headers=headers)
        assert response.status == 500
        assert "bug" not in response.text.replace("/bug", "")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("x-forwarded-for", "192.0.2.1", False),
        ("x-forwarded-for", "127.0.0.1, 192.0.2.1", False),
        ("x-forwarded-for", "192.0.2.1, 127.0.0.1", False),
        ("x-forwarded-for", "localhost", False),
        ("x-real-ip", "2001:db8::1", False),
        ("forwarded", "for=192.0.2.1;proto=https", False),
        ("forwarded", "proto=https", False),
        ("forwarded", "for=_hidden", False),
        ("forwarded", '"', False),
        ("x-forwarded-for", "127.0.0.1", True),  # the developer's own proxy
        ("x-forwarded-for", "::1", True),
        ("forwarded", 'for="[::1]:4711"', True),
    ],
)
async def test_with_debug_a_proxy_here_that_reports_its_clients_hides_it_from_them(
    name, value, shown
):
    """Even if Finch does not know the proxy, and the client has asked for localhost."""
    response = await ask(application(debug=True), "/bug", headers={**BROWSER, name: value})
    assert ("ValueError" in response.text) is shown


@pytest.mark.parametrize(
    ("client", "host"),
    [
        (HERE, "localhost"),
        (HERE, "LOCALHOST:8080"),
        (HERE, "app.localhost"),
        (HERE, "127.0.0.1:8080"),
        (HERE, "127.5.5.5"),
        (Address("::1", 5), "[::1]:8080"),
        (Address("127.0.0.2", 5), "[0:0:0:0:0:0:0:1]"),
    ],
)
async def test_with_debug_a_browser_here_sees_the_page(client, host):
    response = await ask(
        application(debug=True), "/bug?token=123&page=4", client=client, host=host, headers=BROWSER
    )
    assert response.status == 500
    assert "ValueError: a &lt;b&gt;bug&lt;/b&gt;" in response.text
    assert "in <code>bug</code>" in response.text
    assert "raise ValueError(" in response.text  # the source
    assert "<b>" not in response.text
    assert response.headers["content-security-policy"].startswith("default-src 'none'")
    assert response.headers["cache-control"] == "no-store"


async def test_secrets_of_the_request_are_masked():
    headers = {
        **BROWSER,
        "cookie": "session=abc123",
        "authorization": "Bearer abc123",
        "x-api-key": "abc123",
        "x-csrf-token": "abc123",
        "x-plain": "to be seen",
    }
    path = "/bug?token=abc123&PassWord=abc123&page=4"
    said = (await ask(application(debug=True), path, headers=headers)).text
    assert "abc123" not in said
    assert "to be seen" in said
    assert "(masked: 13 characters)" in said


async def test_scripts_here_get_the_traceback_as_text():
    app = application(debug=True)
    problem = (await ask(app, "/bug", headers=SCRIPT)).json()
    assert problem["status"] == 500
    assert "in bug\n" in problem["traceback"]
    text = (await ask(app, "/bug")).text
    assert "ValueError: a <b>bug</b> \\x1b[31m" in text  # a terminal is not commanded


async def test_debug_changes_no_error_that_is_meant():
    response = await ask(application(debug=True), "/gone/finch", headers=BROWSER)
    assert "<p>finch is gone</p>" in response.text
    assert "Traceback" not in response.text


async def test_the_page_wins_over_a_handler_of_500_and_not_over_one_of_the_exception():
    app = application(debug=True)

    @app.error_handler(500)
    async def sorry(request, error):
        return "sorry"

    assert "ValueError" in (await ask(app, "/bug")).text
    assert (await ask(app, "/bug", host="example.org")).text == "sorry"

    @app.error_handler(ValueError)
    async def known(request, error):
        return TextResponse("known", 400)

    assert (await ask(app, "/bug")).text == "known"


async def test_an_error_handler_that_raises_is_shown():
    app = application(debug=True)

    @app.error_handler(410)
    async def broken(request, error):
        raise KeyError("in the handler")

    assert "KeyError" in (await ask(app, "/gone/finch", headers=BROWSER)).text


def circle():
    one, two = ValueError("one"), ValueError("two")
    one.__cause__, two.__cause__ = two, one
    return one


class Silent(Exception):
    def __str__(self):
        raise SystemExit


class Wordy(Exception):
    def __str__(self):
        return "x" * 5_000_000


class Liar(Exception):
    __cause__ = property(lambda self: 1 / 0)
    __notes__ = property(lambda self: 1 / 0)


class Text(str):
    def encode(self, *_):
        raise SystemExit

    def __len__(self):
        raise SystemExit


class Odd(Exception):
    def __str__(self):
        return Text("<odd>")


def many():
    error = ValueError("first")
    for number in range(1000):
        following = ValueError(f"<number {number}>")
        following.__cause__ = error
        error = following
    return error


def wide():
    return ExceptionGroup("wide", [ValueError(f"<{number}>") for number in range(5000)])


def noted():
    error = ValueError("noted")
    error.add_note("<note>" * 10_000)
    return error


HOSTILE = {
    "circle": circle,
    "raising": Silent,
    "wordy": Wordy,
    "lying": Liar,
    "odd text": Odd,
    "half a character": lambda: ValueError("\ud800<"),
    "controls": lambda: ValueError("\x00\x1b[2J<"),
    "many causes": many,
    "wide group": wide,
    "notes": noted,
    "no text": lambda: ValueError("</pre></section><script>alert(1)</script>"),
    "named": lambda: type("<script>", (Exception,), {})("x"),
}


@pytest.mark.parametrize("headers", [BROWSER, SCRIPT, {}])
@pytest.mark.parametrize("what", HOSTILE)
async def test_no_exception_breaks_out_of_the_page(what, headers):
    app = FinchApp(debug=True)

    @app.get("/")
    async def index(request):
        raise HOSTILE[what]()

    response = await ask(app, "/", headers=headers)
    assert response.status == 500
    assert len(response.body) < 500_000
    if headers is BROWSER:
        assert response.headers["content-type"].startswith("text/html")
        for tag in ("<script", "<odd", "<note", "<number", "<0>"):
            assert tag not in response.text
        assert "in <code>index</code>" in response.text
    else:
        assert "\x1b" not in response.text


async def test_causes_and_groups_are_shown_from_the_outside_in():
    app = FinchApp(debug=True)

    @app.get("/")
    async def index(request):
        try:
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise ValueError("outer") from error
        except ValueError as error:
            raise ExceptionGroup("both", [error, OSError("beside")]) from None

    said = (await ask(app, "/", headers=BROWSER)).text
    words = ["both", "in the group", "outer", "because of", "inner", "beside"]
    places = [said.index(word, said.index("<section>")) for word in words[:1]]
    for word in words[1:]:
        places.append(said.index(word, places[-1]))
    assert places == sorted(places)


@pytest.mark.parametrize("meant", [True, False])
async def test_page_and_log_show_the_cause(meant, caplog):
    app = FinchApp(debug=True)

    @app.get("/")
    async def index(request):
        try:
            raise KeyError("inner")
        except KeyError as error:
            if meant:
                raise ValueError("outer") from error
            raise ValueError("outer")

    said = (await ask(app, "/", headers=BROWSER)).text
    assert "<h2>ValueError: outer<" in said
    assert "<h2>KeyError: &#x27;inner&#x27;<" in said
    assert ("because of" in said) is meant
    assert "KeyError: 'inner'" in caplog.text


async def test_causes_that_form_a_circle_are_shown_once():
    app = FinchApp(debug=True)

    @app.get("/")
    async def index(request):
        raise circle()

    said = (await ask(app, "/", headers=BROWSER)).text
    assert (said.count("<h2>ValueError: one<"), said.count("<h2>ValueError: two<")) == (1, 1)


async def test_the_middle_of_a_deep_recursion_is_left_out():
    app = FinchApp(debug=True)

    def fall(depth):
        return fall(depth + 1)

    @app.get("/")
    async def index(request):
        fall(0)

    response = await ask(app, "/", headers=BROWSER)
    assert "RecursionError" in response.text
    assert " more ...</p>" in response.text
    assert response.text.count("<details") <= 40


async def test_code_without_a_file_is_shown_without_source():
    app = FinchApp(debug=True)
    namespace = {}
    exec(compile("async def index(request): 1 / 0", "<nowhere>", "exec"), namespace)
    app.get("/")(namespace["index"])
    response = await ask(app, "/", headers=BROWSER)
    assert "&lt;nowhere&gt;, line 1" in response.text


def test_a_plain_application_imports_nothing_of_it():
    import subprocess

    code = "import sys, finch; print('finch.http.problems' in sys.modules, 'html' in sys.modules)"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.split()[0] == "False"
