"""The programs of docs/first-hour.md, and those of Flask and FastAPI that do the same.

The latter are text: nothing here imports them. ``compare.py`` runs them, if they are installed.
"""

import re
import types
from pathlib import Path

from tests.pages import blocks, read, section

HERE = Path(__file__).parent
OTHERS = ("flask", "fastapi")
_TEXT = read("docs/first-hour.md")
TITLES = re.findall(r"^## (.*)$", _TEXT, re.MULTILINE)


def program(title):
    """What is under a heading: a program, or a command."""
    text = section(_TEXT, title)
    [code] = blocks(text, "python") or blocks(text, "sh")
    return code


def commands():
    """The headings under which there is a command."""
    return [title for title in TITLES if blocks(section(_TEXT, title), "sh")]


def others(title):
    """The same in other frameworks, for those that can: a dict of names and programs."""
    name = title.lower().replace(" ", "_").removeprefix("test_with_a_")  # which pytest would run
    return {
        other: path.read_text(encoding="utf-8")
        for other in OTHERS
        for path in sorted((HERE / other).glob(f"{name}.*"))
        if path.suffix in (".py", ".sh")
    }


def count(code):
    """How many lines a program has, without blank ones and those that are comments only."""
    return sum(1 for line in code.splitlines() if line.strip() and not line.strip().startswith("#"))


def run(title):
    """The module of a program, as ``python -m finch app:app`` would import it."""
    module = types.ModuleType("app")
    exec(compile(program(title), "app.py", "exec"), vars(module))
    return module
