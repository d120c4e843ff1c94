"""The documentation says what is so: its links lead somewhere, and its programs run."""

import re
import sys
import types

import pytest
import trio

from finch import FinchApp
from finch.testing import TestClient
from tests.conftest import serving
from tests.js.tools import node, package, run, start
from tests.pages import PAGES, ROOT, blocks, read

NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
APP = blocks(read("docs/browser.md"), "python")[0]


def anchors(text):
    """The anchors of a page's headings, made as GitHub makes them."""
    text = re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("name", NAMES)
def test_links_lead_somewhere(name):
    text = CODE.sub("", read(name))
    for link in LINK.findall(text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (ROOT / name).parent / path if path else ROOT / name
        assert target.exists(), f"{name}: {link}"
        if anchor:
            assert anchor in anchors(target.read_text(encoding="utf-8")), f"{name}: {link}"


def test_the_readme_leads_to_every_page():
    text = read("README.md")
    assert [page for page in NAMES if page.startswith("docs/") and f"({page})" not in text] == []


def programs(*names):
    """The programs of some pages."""
    return [
        pytest.param(code, id=f"{name} {number}")
        for name in names
        for number, code in enumerate(blocks(read(name), "python"))
        if not re.search("^from (pydantic|fastapi|flask) ", code, re.MULTILINE)  # not for tests
    ]


# The pages whose programs are run here. Those of the tutorials run in tests/e2e/test_docs.py, and
# those of docs/realtime.md in tests/test_realtime.py.
SERVERS = [
    "quickstart",
    "browser",
    "sockets",
    "cluster",
    "http",
    "forms",
    "sessions",
    "templates",
    "errors",
    "guards",
    "routes",
    "typed-handlers",
    "descriptions",
    "sse",
    "coming-from-socketio",
    "coming-from-fastapi",
    "coming-from-flask",
    "settings",
]


def run_program(code):
    """Run a program of a server, as ``python -m finch app:app`` does: it makes an application."""
    module = types.ModuleType("app")
    exec(compile(code, "app.py", "exec"), vars(module))
    return module.app


@pytest.mark.parametrize("code", programs("README.md", *(f"docs/{name}.md" for name in SERVERS)))
def test_a_program_of_a_server_runs(code):
    assert isinstance(run_program(code), FinchApp)


@pytest.mark.parametrize("code", programs("docs/files.md"))
async def test_a_program_about_files_serves_them(code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("assets/app-BKf3x9_Q.js", "site/index.html", "site/404.html", "uploads/a.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name, encoding="utf-8")
    async with TestClient(run_program(code)) as client:
        response = await client.get("/assets/app-BKf3x9_Q.js")
        if "FileResponse" in code:
            assert (response.status, response.text) == (404, "site/404.html")
            response = await client.get("/reports/a.txt", headers={"cookie": "user=ann"})
            assert response.text == "uploads/a.txt"
            assert 'filename="Report: a.txt"' in response.headers["content-disposition"]
            assert (await client.get("/reports/a.txt")).status == 401
            return
        assert response.text == "assets/app-BKf3x9_Q.js"
        assert ("immutable" in response.headers["cache-control"]) == ("immutable=" in code)
        if "site" in code:
            response = await client.get("/")
            assert (response.text, response.headers["cache-control"]) == (
                "site/index.html",
                "max-age=60",
            )


# docs/client.md


@pytest.fixture
def app(monkeypatch):
    """The application of docs/browser.md, as the module ``app``."""
    module = types.ModuleType("app")
    module.app = run_program(APP)
    monkeypatch.setitem(sys.modules, "app", module)
    return module.app


async def printed(code, server):
    """What a program prints that talks to this server."""
    code = code.replace("ws://127.0.0.1:8080", server.ws)
    with trio.fail_after(20):
        done = await trio.run_process([sys.executable, "-c", code], capture_stdout=True)
    return done.stdout.decode()


CLIENTS = blocks(read("docs/client.md"), "python")
PRINTED = [  # of each program, some of what it prints, in this order
    ["3", "hello"],
    ["3"],
    ["output noon", "True"],
    ["True", "422", "data does not fit"],
    ["False 0 1", "['Ann']", "1 {'sender': 'Ann', 'text': 'hello'}", "to be kept:"],
    None,  # a test, for pytest
    [],
]


@pytest.mark.parametrize("number", [at for at, said in enumerate(PRINTED) if said is not None])
async def test_a_program_of_a_client_runs(number, app):
    async with serving(app) as running:
        said = await printed(CLIENTS[number], running)
    at = 0
    for text in PRINTED[number]:
        assert text in said[at:]
        at = said.index(text, at)


def test_every_program_of_a_client_is_run():
    assert len(CLIENTS) == len(PRINTED)


async def test_a_test_of_a_client_passes(autojump_clock, app):
    namespace = {}
    exec(compile(CLIENTS[5], "test_bot.py", "exec"), namespace)
    await namespace["test_a_bot_can_add"](autojump_clock)


async def test_the_least_that_a_client_does(app):
    [code] = blocks(read("docs/other-clients.md"), "python")
    async with serving(app) as running:
        assert await printed(code, running) == "sum 200 3\n"


# JavaScript


def test_the_javascript_about_the_client_fits_its_types(app, tmp_path):
    """All of docs/browser.md as one module, with the types of its application."""
    text = read("docs/browser.md")
    script = "\n".join(["// @ts-check", *blocks(text, "js")])
    declared = app.types()
    [config] = blocks(text, "json")
    for name, content in (("page.js", script), ("finch.d.ts", declared), ("jsconfig.json", config)):
        (tmp_path / name).write_text(content, encoding="utf-8")
    tsc = package("typescript") / "bin" / "tsc"
    run(node(), tsc, "--noEmit", "-p", "jsconfig.json", cwd=tmp_path)
    wrong = [  # what the page shows as errors
        'finch.call("sum", ["1"]);',
        'finch.call("summ", [1]);',
        'lobby.on("said", ({ sendr }) => sendr);',
    ]
    for line in wrong:
        (tmp_path / "page.js").write_text(f"{script}\n{line}", encoding="utf-8")
        assert start(node(), tsc, "--noEmit", "-p", "jsconfig.json", cwd=tmp_path).returncode != 0
