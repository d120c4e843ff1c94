"""The commands of docs/first-hour.md, in real processes: reload, workers and TLS."""

import ssl

import httpx
import pytest
import trustme

from tests.first_hour.page import commands, program
from tests.processes import finch

APP = """
import os

from finch import FinchApp

app = FinchApp()


@app.get("/")
async def index(request):
    return f"old {os.getpid()}"
"""


def arguments(title):
    """What stands after ``python -m finch`` in a command of the page, and a free port."""
    [line] = program(title).splitlines()
    assert line.startswith("python -m finch app:app ")
    return [*line.split()[3:], "--port", "0"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    return tmp_path


def test_changed_code_is_loaded_again(folder):
    with finch(*arguments("Reload"), cwd=folder) as process:
        assert httpx.get(process.url).text.startswith("old")
        (folder / "app.py").write_text(APP.replace("old", "new"), encoding="utf-8")
        process.wait_for("serves again")
        assert httpx.get(process.url).text.startswith("new")


def test_two_workers_answer(folder):
    with finch(*arguments("Workers"), cwd=folder) as process:
        answers = set()
        for _ in range(200):  # the kernel deals the connections out
            answers.add(httpx.get(process.url).text)
            if len(answers) == 2:
                return
    pytest.fail("one worker has answered all")


def test_it_serves_by_tls(folder):
    authority = trustme.CA()
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(folder / "key.pem")
    for pem in issued.cert_chain_pems:
        pem.write_to_path(folder / "cert.pem", append=True)
    context = ssl.create_default_context()
    authority.configure_trust(context)
    with finch(*arguments("TLS"), cwd=folder) as process:
        assert process.url.startswith("https://")
        assert httpx.get(process.url, verify=context).text.startswith("old")


def test_each_command_has_its_test():
    assert commands() == ["Reload", "Workers", "TLS"]
