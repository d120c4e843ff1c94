"""Templates: pages show data and never run it, in whole, in blocks and in pieces."""

import json
import sys
from datetime import UTC, datetime

import hypothesis.strategies as st
import jinja2
import msgspec
import pytest
import trio
from hypothesis import given

from finch import ConfigurationError, FinchApp
from finch.sessions import CSRF, Sessions, flash, login
from finch.templates import Templates
from finch.testing import ResponseCut, TestClient

PAGES = {
    "base.html": "<title>{% block title %}none{% endblock %}</title>{% block body %}{% endblock %}",
    "birds.html": """{% extends "base.html" %}
{% block title %}{{ title }}{% endblock %}
{% block body %}<ul>
{%- block list %}{% for bird in birds %}<li>{{ bird }}</li>{% endfor %}{% endblock %}</ul>
{% endblock %}""",
    "text.html": "{{ text }}",
    "text.html.j2": "{{ text }}",
    "text.XML": "{{ text }}",
    "text.svg": "{{ text }}",
    "text.txt": "{{ text }}",
    "text.txt.jinja": "{{ text }}",
    "text": "{{ text }}",
    "text.md": "{{ text }}",
    "attribute.html": '<a title="{{ text }}">',
    "script.html": "<script>const data = {{ data|tojson }};</script>",
    "who.html": "{{ user }} {{ request.path }} {{ session.get('n', 0) }}",
    "links.html": "{{ path_for('page', name='<a> b') }} {{ url_for('page', name='x') }}",
    "form.html": "<form>{{ csrf_field() }}</form>{{ csrf_token() }}",
    "flashes.html": (
        "{% for one in flashes() %}<p class={{ one.category }}>{{ one }}</p>{% endfor %}"
    ),
    "wrong.html": "one\ntwo\n{{ missing }}\n",
    "wrong_block.html": "{% block one %}\n\n{{ 1 / zero }}{% endblock %}",
    "syntax.html": "\n\n{% fur bird in birds %}",
    "long.html": "{% for n in range(count) %}<p>{{ n }}</p>\n{% endfor %}",
    "breaks.html": "{% for n in range(5000) %}<p>{{ n }}</p>{% endfor %}{{ 1 / zero }}",
    "breaks_early.html": "<p>hello</p>{{ 1 / zero }}",
    "macro.html": "{% macro shout(text) %}{{ text }}!{% endmacro %}",
    "import.html": "{% from 'macro.html' import shout %}{{ shout(text) }}",
    "include.html": "{% include 'text.html' %}",
}


def page_app(templates=None, **options):
    app = FinchApp()
    app.middleware(Sessions("k" * 32))
    app.state["templates"] = templates or Templates(jinja2.DictLoader(PAGES), **options)
    app.state["context"] = {}

    @app.get("/{name}")
    async def page(request, name):
        return app.state["templates"].render(name, request, **app.state["context"])

    @app.get("/block/{name}/{block}")
    async def block(request, name, block):
        return app.state["templates"].block(name, block, request, **app.state["context"])

    @app.get("/stream/{name}")
    async def stream(request, name):
        return app.state["templates"].stream(name, request, **app.state["context"])

    return app


async def shown(name, _templates=None, **context):
    """The text of a page."""
    app = page_app(_templates)
    app.state["context"] = context
    async with TestClient(app) as client:
        response = await client.get(f"/{name}")
        assert response.status == 200
        return response.text


# Pages


async def test_a_page_is_html():
    app = page_app()
    app.state["context"] = {"title": "Birds", "birds": ["finch", "tit"]}
    async with TestClient(app) as client:
        response = await client.get("/birds.html")
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        body = "<ul><li>finch</li><li>tit</li></ul>\n"
        assert response.text == f"<title>Birds</title>{body}"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("text.html.j2", "text/html; charset=utf-8"),
        ("text.txt", "text/plain; charset=utf-8"),
        ("text.txt.jinja", "text/plain; charset=utf-8"),
        ("text.XML", "application/xml"),
        ("text.svg", "image/svg+xml"),
    ],
)
async def test_the_type_comes_from_the_name(name, content_type):
    app = page_app()
    app.state["context"] = {"text": "x"}
    async with TestClient(app) as client:
        for way in ("", "/stream"):
            response = await client.get(f"{way}/{name}")
            assert (response.headers["content-type"], response.text) == (content_type, "x")


async def test_a_status_is_given_as_for_any_response():
    app = page_app()

    @app.error_handler(404)
    async def missing(request, error):
        return app.state["templates"].render("text.html", request, text=error.message), 404

    async with TestClient(app) as client:
        response = await client.get("/a/b/c/d")
        assert (response.status, response.text) == (404, "Not Found")


async def test_a_page_knows_the_visitor():
    app = page_app()

    @app.post("/login")
    async def enter(request):
        login(request, "ada<", n=7)

    @app.middleware
    async def user(request, call_next):
        request.user = request.session.get("user_id")
        return await call_next(request)

    async with TestClient(app) as client:
        assert (await client.get("/who.html")).text == "None /who.html 0"
        await client.post("/login")
        assert (await client.get("/who.html")).text == "ada&lt; /who.html 7"


async def test_a_page_links_to_routes():
    assert await shown("links.html") == "/%3Ca%3E%20b http://testserver/x"


async def test_a_page_that_shows_nothing_of_the_session_leaves_it_alone():
    app = page_app()
    app.state["context"] = {"text": "x"}
    async with TestClient(app) as client:
        response = await client.get("/text.html")
        assert "vary" not in response.headers


async def test_a_form_has_the_token_that_csrf_wants():
    app = page_app()
    app.middleware(CSRF())

    @app.post("/")
    async def change(request):
        return "changed"

    async with TestClient(app) as client:
        text = (await client.get("/form.html")).text
        token = text.partition('value="')[2].partition('"')[0]
        assert f'<form><input type="hidden" name="csrf_token" value="{token}"></form>' in text
        assert (await client.post("/", data={"csrf_token": token})).text == "changed"
        assert (await client.post("/", data={"csrf_token": token[1:]})).status == 403


async def test_a_page_shows_flashes_once():
    app = page_app()

    @app.post("/")
    async def say(request):
        flash(request, "<b>saved</b>", "good")

    async with TestClient(app) as client:
        await client.post("/")
        assert (await client.get("/flashes.html")).text == (
            "<p class=good>&lt;b&gt;saved&lt;/b&gt;</p>"
        )
        assert (await client.get("/flashes.html")).text == ""


async def test_what_a_handler_gives_counts_more_than_what_finch_gives():
    assert await shown("who.html", user="Ada", session={"n": 1}) == "Ada /who.html 1"


async def test_filters_and_globals_are_added():
    loader = jinja2.DictLoader({"a.html": "{{ 3|twice }} {{ site }}"})
    templates = Templates(loader, filters={"twice": lambda n: 2 * n}, globals={"site": "<us>"})
    assert await shown("a.html", templates) == "6 &lt;us&gt;"


# Data is never code


EVIL = [
    "<script>alert(1)</script>",
    '" onmouseover="alert(1)',
    "' onmouseover='alert(1)",
    "{{ 7 * 7 }}",
    "{% for x in [].__class__.__mro__ %}{{ x }}{% endfor %}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ request.app }}",
    "{# hidden #}",
    "{{ self.__init__.__globals__ }}",
    "</title><script>alert(1)</script>",
    "<!--",
    "&lt;script&gt;",
    "${7*7} #{7*7} <%= 7*7 %>",
    "\0<",
    "{{ config }}",
    "{% raw %}",
]


@pytest.mark.parametrize("evil", EVIL)
@pytest.mark.parametrize(
    "name", ["text.html", "text.html.j2", "text.XML", "text.svg", "text", "text.md"]
)
async def test_data_is_shown_as_it_is(name, evil):
    from html import unescape

    text = await shown(name, text=evil)
    assert unescape(text) == unescape(str(jinja2.filters.escape(evil)))
    assert not set(text) & set("<>\"'")


@pytest.mark.parametrize("evil", EVIL)
async def test_data_is_shown_as_it_is_through_macros_and_includes_and_attributes(evil):
    escaped = str(jinja2.filters.escape(evil))
    assert await shown("import.html", text=evil) == escaped + "!"
    assert await shown("include.html", text=evil) == escaped
    assert await shown("attribute.html", text=evil) == f'<a title="{escaped}">'


async def test_plain_text_is_not_escaped():
    assert await shown("text.txt", text="<&>") == "<&>"


def test_text_of_an_application_is_escaped_too():
    templates = Templates(jinja2.DictLoader({}))
    assert templates.environment.from_string("{{ x }}").render(x="<") == "&lt;"


@given(st.recursive(st.text() | st.integers(-9, 9), st.lists, max_leaves=5))
def test_json_in_a_script_never_ends_the_script(data):
    template = Templates(jinja2.DictLoader(PAGES)).environment.get_template("script.html")
    try:
        text = template.render(data=data)
    except UnicodeEncodeError:
        return  # half of a character, which JSON cannot hold
    inside = text.removeprefix("<script>const data = ").removesuffix(";</script>")
    assert not set(inside) & set("<>&'")
    assert json.loads(inside) == data


async def test_json_may_hold_what_a_response_may_hold():
    class Bird(msgspec.Struct):
        name: str
        seen: datetime

    text = await shown("script.html", data=Bird("</script>", datetime(2026, 1, 2, tzinfo=UTC)))
    assert '"seen":"2026-01-02T00:00:00Z"' in text
    assert text.count("</script>") == 1


@pytest.mark.parametrize(
    "name",
    ["../secret.html", "a/../../secret.html", "/etc/passwd", "..\\secret.html", "", "\0", "%2e%2e"],
)
async def test_a_name_from_a_client_leads_nowhere(name, tmp_path, caplog):
    (tmp_path / "pages").mkdir()
    (tmp_path / "secret.html").write_text("secret")
    app = FinchApp()
    templates = Templates(tmp_path / "pages")

    @app.get("/")
    async def index(request):
        return templates.render(request.query["name"], request)

    async with TestClient(app) as client:
        response = await client.get("/", params={"name": name})
        assert response.status == 500
        assert "secret" not in response.text
    assert "TemplateNotFound" in caplog.text or "Error" in caplog.text


# Blocks and streams


async def test_a_block_is_a_part_of_a_page():
    app = page_app()
    app.state["context"] = {"birds": ["<finch>"]}
    async with TestClient(app) as client:
        response = await client.get("/block/birds.html/list")
        assert response.text == "<li>&lt;finch&gt;</li>"
        assert response.headers["content-type"] == "text/html; charset=utf-8"


@pytest.mark.parametrize(
    ("block", "says"), [("lst", "did you mean 'list'?"), ("zzz", "it has title, body, list")]
)
async def test_a_block_that_is_not_there_says_which_are(block, says, caplog):
    async with TestClient(page_app()) as client:
        assert (await client.get(f"/block/birds.html/{block}")).status == 500
    assert says in caplog.text


@pytest.mark.parametrize("count", [0, 1, 1000, 30_000])
async def test_a_streamed_page_is_the_same_page(count):
    app = page_app()
    app.state["context"] = {"count": count}
    async with TestClient(app) as client:
        whole = await client.get("/long.html")
        streamed = await client.get("/stream/long.html")
        assert streamed.text == whole.text
        assert "content-length" not in streamed.headers


async def test_a_streamed_page_lets_others_have_their_turns():
    app = page_app()
    app.state["context"] = {"count": 30_000}
    turns = []

    async def others():
        while True:
            turns.append(None)
            await trio.lowlevel.checkpoint()

    async with TestClient(app) as client, trio.open_nursery() as nursery:
        nursery.start_soon(others)
        await client.get("/stream/long.html")
        nursery.cancel_scope.cancel()
    assert len(turns) > 30


async def test_an_error_at_the_beginning_of_a_stream_is_a_500_and_later_it_is_cut_off(caplog):
    app = page_app()
    app.state["context"] = {"zero": 0}
    async with TestClient(app) as client:
        assert (await client.get("/stream/breaks_early.html")).status == 500
        with pytest.raises(ResponseCut):
            await client.get("/stream/breaks.html")
    assert caplog.text.count("ZeroDivisionError") == 2


# Errors


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/wrong.html", ['wrong.html", line 3', "'missing' is undefined"]),
        ("/block/wrong_block.html/one", ['wrong_block.html", line 3', "ZeroDivisionError"]),
        ("/syntax.html", ["line 3", "unknown tag 'fur'"]),
        ("/nowhere.html", ["TemplateNotFound: ", "nowhere.html"]),
    ],
)
async def test_an_error_is_a_500_and_the_log_says_where_it_is(path, says, tmp_path, caplog):
    for name, text in PAGES.items():
        (tmp_path / name).write_text(text)
    app = page_app(Templates(tmp_path))
    app.state["context"] = {"zero": 0}
    async with TestClient(app) as client:
        response = await client.get(path)
        assert (response.status, response.text) == (500, "Internal Server Error")
    for text in says:
        assert text in caplog.text


async def test_who_wants_missing_variables_to_be_empty_says_so():
    templates = Templates(jinja2.DictLoader(PAGES), undefined=jinja2.Undefined)
    assert await shown("wrong.html", templates) == "one\ntwo\n"


async def test_without_sessions_a_form_says_what_is_missing(caplog):
    app = FinchApp()
    templates = Templates(jinja2.DictLoader(PAGES))

    @app.get("/")
    async def index(request):
        return templates.render("form.html", request)

    @app.get("/who")
    async def who(request):
        return templates.render("text.html", request, text="fine")

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
        assert (await client.get("/who")).text == "fine"
    assert "write app.middleware(Sessions(secret))" in caplog.text


@pytest.mark.parametrize(
    ("source", "options", "says"),
    [
        ("nowhere", {}, "there is no folder"),
        (["nowhere"], {}, "there is no folder"),
        (jinja2.DictLoader({}), {"autoescape": False}, "is escaped"),
        (jinja2.DictLoader({}), {"enable_async": True}, "fetched before"),
        (jinja2.DictLoader({}), {"loader": 1}, "first argument"),
        (jinja2.DictLoader({}), {"trim_block": True}, "trim_block"),
    ],
)
def test_what_cannot_be_is_refused_when_it_is_written(source, options, says):
    with pytest.raises(ConfigurationError, match=says):
        Templates(source, **options)


def test_without_the_extra_the_error_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'finch-trio\[templates\]'"):
        Templates("templates")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((7, None), "the name of a template is text, not an int"),
        (("text.html", {}), "not a dict: write render"),
    ],
)
def test_arguments_in_another_order_are_refused(arguments, says):
    with pytest.raises(TypeError, match=says):
        Templates(jinja2.DictLoader(PAGES)).render(*arguments)


async def test_in_debug_mode_a_changed_template_is_loaded_again(tmp_path):
    import os

    page = tmp_path / "a.html"

    def write(text, time):
        page.write_text(text)
        os.utime(page, (time, time))

    for debug, said in ((False, "one"), (True, "two")):
        write("one", 1)
        app = page_app(Templates(str(tmp_path)))
        app.debug = debug
        async with TestClient(app) as client:
            assert (await client.get("/a.html")).text == "one"
            write("two", 2)
            assert (await client.get("/a.html")).text == said


async def test_an_application_with_a_folder_of_templates_renders_by_the_request(tmp_path):
    (tmp_path / "bird.html").write_text("<h1>{{ name }} of {{ request.method }}</h1>")
    app = FinchApp(templates=tmp_path)

    @app.get("/birds/{name}")
    async def bird(request, name):
        return request.render("bird.html", name=name), 201

    async with TestClient(app) as client:
        response = await client.get("/birds/<b>")
    assert (response.status, response.text) == (201, "<h1>&lt;b&gt; of GET</h1>")
    assert isinstance(app.templates, Templates)
    own = Templates(tmp_path)
    assert FinchApp(templates=own).templates is own


async def test_a_page_without_templates_says_how_to_have_them(caplog):
    app = FinchApp()
    app.get("/")(lambda request: request.render("bird.html"))

    async with TestClient(app) as client:
        assert (await client.get("/")).status == 500
    assert "there are no templates for 'bird.html': write FinchApp(templates=" in caplog.text
