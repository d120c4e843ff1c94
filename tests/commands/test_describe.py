"""``finch types``, ``openapi`` and ``asyncapi``: an application described, printed or written."""

import json
import sys
from pathlib import Path

import pytest

from finch.browser import STATIC
from finch.cli import main

APP = """
from finch import FinchApp
app = FinchApp()

@app.socket("echo")
async def echo(socket, data):
    return data

@app.get("/birds/{key:int}")
async def bird(request, key):
    return "a bird"
"""


@pytest.fixture
def importing(tmp_path, monkeypatch):
    """A folder with an application; what is imported from it is forgotten after the test."""
    (tmp_path / "app.py").write_text(APP)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    before = set(sys.modules)
    yield
    for name in sys.modules.keys() - before:
        del sys.modules[name]


@pytest.mark.usefixtures("importing")
def test_types_are_printed_or_written(capsys):
    assert main(["types", "app:app"]) == 0
    text = capsys.readouterr().out
    assert text.startswith((STATIC / "finch.d.ts").read_text())
    assert "echo: { data: any; answer: any };" in text
    assert main(["types", "app:app", "--output", "finch.d.ts"]) == 0
    assert capsys.readouterr().out == ""
    assert Path("finch.d.ts").read_text() == text


@pytest.mark.usefixtures("importing")
def test_types_that_cannot_be_had_are_one_clear_line(capsys):
    assert main(["types", "app:nothing"]) == 1
    assert "nothing" in capsys.readouterr().err
    assert main(["types", "app:app", "--output", "nowhere/finch.d.ts"]) == 1
    assert "nowhere/finch.d.ts cannot be written" in capsys.readouterr().err


@pytest.mark.usefixtures("importing")
def test_openapi_and_asyncapi_are_had_of_applications_that_do_not_serve_them(capsys):
    assert main(["openapi", "app:app"]) == 0
    assert list(json.loads(capsys.readouterr().out)["paths"]) == ["/birds/{key}"]
    assert main(["asyncapi", "app:app", "--output", "a.json"]) == 0
    assert capsys.readouterr().out == ""
    assert "ws.echo" in json.loads(Path("a.json").read_text(encoding="utf-8"))["operations"]
