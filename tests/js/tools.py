"""What the tests of finch.js take from npm, and how to get it where it is missing."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.conftest import need

HERE = Path(__file__).parent
STATIC = HERE.parents[1] / "finch" / "static"


def node():
    """Where Node is. Skip if it, or what the tests take from npm, is missing; see ``need``."""
    program = need("node", "apt install nodejs npm")
    package("esbuild")
    return program


def package(name):
    """The folder of a package from npm."""
    folder = HERE / "node_modules" / name
    if not folder.is_dir():
        said = f"{name} is not installed: make client-tools"
        if os.environ.get("FINCH_TEST_ALL") == "1":
            pytest.fail(said)
        pytest.skip(said)
    return folder


def start(*command, cwd=HERE, **options):
    """Run a program to its end: ``returncode``, and all that it has written as ``stdout``."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=120,  # seconds
        check=False,
        **options,
    )


def run(*command, **options):
    """What a program has written.

    Raises:
        AssertionError: if it fails; it has what the program has written.
    """
    done = start(*command, **options)
    assert done.returncode == 0, done.stdout
    return done.stdout
