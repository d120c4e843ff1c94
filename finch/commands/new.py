"""``finch new NAME``: write an application to begin with: a page, a socket, tests, a Dockerfile.

The files are in ``finch/skeleton/``. Nothing that exists is overwritten.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Final

from finch.commands.output import say
from finch.commands.parser import begun_parser
from finch.finding import Mistake

SETTINGS: Final = ()

_HIDDEN: Final = {"gitignore", "dockerignore"}  # they are data here, and must not work as such
# A name of a distribution (PEP 508), which is also one of a folder on every system.
_NAME: Final = re.compile(r"[A-Za-z](?:[A-Za-z0-9_-]{0,62}[A-Za-z0-9])?")
_TAKEN: Final = {"finch", "finch-trio"}  # then pip would take it for Finch itself
# Windows has no folders of these names.
_DEVICES: Final = re.compile(r"con|prn|aux|nul|com\d|lpt\d")


def new_parser() -> argparse.ArgumentParser:
    parser = begun_parser(
        "finch new",
        "Write a new application: a page, a socket, tests, a Dockerfile.",
        "finch new shop; cd shop; finch --reload",
    )
    parser.add_argument("name", help="its name, and that of its folder, which must not exist")
    return parser


def perform(options: argparse.Namespace) -> int:
    name = str(options.name)
    _check(name)
    folder = Path(name)
    try:
        folder.mkdir(exist_ok=True)
        if any(folder.iterdir()):
            raise Mistake(f"the folder {name} exists and is not empty; nothing is written")
        for file, text in skeleton(name).items():
            with open(folder / file, "x", encoding="utf-8") as out:
                out.write(text)
    except OSError as error:
        raise Mistake(f"{name} cannot be written: {error.strerror}") from None
    program = os.path.basename(sys.executable) or "python3"
    say(
        f"{name} is written.\n\n  cd {name}\n  {program} -m finch --debug    # serve it\n"
        f"  {program} -m pytest           # test it (pip install pytest pytest-trio)",
        sys.stdout,
    )
    return 0


def _check(name: str) -> None:
    if os.sep in name or "/" in name or "\\" in name or name in (".", ".."):
        raise Mistake(f"{name!r} is a path; write a name, in the folder where it is to be")
    if not _NAME.fullmatch(name) or _DEVICES.fullmatch(name.lower()):
        raise Mistake(
            f"{name!r} is no name for an application; write letters, digits, - and _, beginning "
            "with a letter: my-shop"
        )
    if name.lower().replace("_", "-") in _TAKEN:
        raise Mistake(f"{name!r} is the name of Finch itself; choose another one")


def skeleton(name: str) -> dict[str, str]:
    """The files of a new application: their text by name."""
    found = {}
    for file in sorted(files("finch").joinpath("skeleton").iterdir(), key=lambda one: one.name):
        plain = file.name.removesuffix(".txt")
        target = f".{plain}" if plain in _HIDDEN else plain
        found[target] = Template(file.read_text(encoding="utf-8")).substitute(name=name)
    return found
